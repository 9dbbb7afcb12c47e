"""A system of three hosts that is well, and what `dockgate doctor` says of it; for the scenarios that hurt it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab

NETWORK = "presentation_backend"
VIP_ADDRESS = "192.168.50.77"
FILE = """
project: clinic
hosts:
  docker1: {engine: "unix:///run/dockgate-lab/docker1/docker.sock", address: 192.168.50.11}
  docker2: {engine: "unix:///run/dockgate-lab/docker2/docker.sock", address: 192.168.50.12}
  docker3: {engine: "unix:///run/dockgate-lab/docker3/docker.sock", address: 192.168.50.13}
networks:
  presentation_backend: {driver: overlay, internal: true}
vips:
  web: {hosts: [docker1], listen: [{port: 80}], pool: apps}
  own: {hosts: [docker1], address: 192.168.50.77, listen: [{port: 8080}], pool: apps}
pools:
  apps: {network: presentation_backend, port: 80, members: [web1, web2], check: {path: /index.html}}
"""


class Clinic:
    """A system of three hosts that is well, and what `doctor` says of it."""

    def __init__(self, stage: Stage, file: Path) -> None:
        self.stage, self.lab, self.file = stage, stage.lab, file

    def findings(self) -> list[dict[str, Any]]:
        done = self.stage.dockgate("doctor", self.file, "--output", "json", code=None)
        found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        assert done.returncode == (1 if found else 0)
        return found

    def says(self, *expected: tuple[str, str], within_s: float = 25.0) -> list[dict[str, Any]]:
        """Doctor comes to exactly these (cause, where); its findings. HAProxy may need a moment to see a fault."""
        said: list[dict[str, Any]] = []

        def these() -> bool:
            said[:] = self.findings()
            return {(each["cause"], each["where"]) for each in said} == set(expected)

        try:
            eventually(these, "the right cause", within_s=within_s, every_s=0.3)
        except AssertionError as error:
            raise AssertionError(f"{expected} expected, doctor says {json.dumps(said, indent=1)}") from error
        return said

    def well(self) -> None:
        self.stage.members_up(self.file, "web1", "web2", within_s=40.0)
        # After a link was cut the Swarm tells a host its neighbours again at its next exchange, every 30 s.
        self.says(within_s=90.0)

    def on(self, host: str, script: str) -> str:
        return self.lab.exec(host, ["sh", "-c", script], check=True).stdout

    @contextmanager
    def broken(self, host: str, script: str, undo: str) -> Iterator[None]:
        self.on(host, script)
        try:
            yield
        finally:
            self.on(host, undo)

    def dropped(self, host: str, rule: str) -> Any:
        chain = "add chain inet fault lost { type filter hook input priority -400; }"
        script = f"nft 'add table inet fault; {chain}; add rule inet fault lost {rule} drop'"
        return self.broken(host, script, "nft delete table inet fault")


def opened(lab: Lab, folder: Path) -> Iterator[Clinic]:
    """The system up, with its members, until it is no longer needed."""
    stage = Stage(lab, folder)
    try:
        file = stage.write(FILE)
        stage.up(file)
        stage.start("docker2", "web1", network=NETWORK)
        stage.start("docker3", "web2", network=NETWORK)
        stage.members_up(file, "web1", "web2")
        yield Clinic(stage, file)
    finally:
        stage.clear()
