"""One system with its members up, traced from the client host; what the scenarios about traces share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.scenarios.stage import Stage

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT

URL = "http://docker1.lab.lab/"
OLD_URL = "http://docker1.lab.lab:8080/"
CLIENT_ADDRESS = "192.168.50.100"
ADDRESS = {"docker1": "192.168.50.11", "docker2": "192.168.50.12", "docker3": "192.168.50.13"}


class Tracer:
    """One example with its members up, traced from the client host."""

    def __init__(self, stage: Stage, file: Path, vip: str) -> None:
        self.stage, self.file, self.vip = stage, file, vip
        self.lab = stage.lab

    def words(self, url: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "dockgate", "trace", url, "--file", str(self.file), *more]

    def trace(self, url: str, *more: str, code: int = 0) -> dict[str, Any]:
        done = self.lab.exec(CLIENT, self.words(url, "--output", "json", *more))
        assert done.returncode == code, done.stdout[-3000:] + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def stopped(self, url: str) -> dict[str, str]:
        found: dict[str, str] = self.trace(url, code=1)["stop"]
        return found

    def inspect(self, host: str, container: str, form: str) -> str:
        return self.lab.docker(host, "inspect", "-f", form, container).stdout.strip()

    @property
    def balancer(self) -> str:
        return self.stage.balancer(self.file, self.vip)

    def agrees(self, walk: dict[str, Any]) -> bool:
        """Whether HAProxy's log names the server of the last step; False where HAProxy has lost lines and this one is
        missing: a thread that meets another one writing its line tries 200 times and gives its own up."""
        if walk["haproxy"]["log"] is None:
            assert self.lost_lines(), "HAProxy wrote its line, and the trace did not find it"
            return False
        assert walk["haproxy"]["log"]["server"] == walk["steps"][-1]["place"]["name"]
        return True

    def lost_lines(self) -> int:
        ask = "echo 'show info' | socat - /run/haproxy/admin.sock"
        said = self.lab.docker("docker1", "exec", self.balancer, "sh", "-c", ask).stdout
        (count,) = (line.partition(": ")[2] for line in said.splitlines() if line.startswith("DroppedLogs: "))
        return int(count)

    def address(self, host: str, container: str, network: str) -> str:
        return self.inspect(host, container, f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}')

    def nft(self, host: str, *words: str) -> str:
        return self.lab.exec(host, ["nft", *words], check=True).stdout


def overlay_tracer(lab: Lab, folder: Path) -> Iterator[Tracer]:
    """The running example over an overlay network."""
    stage = Stage(lab, folder)
    file = stage.example("01-overlay")
    try:
        stage.up(file)
        stage.start("docker2", "web1", network="presentation_backend")
        stage.start("docker3", "web2", network="presentation_backend")
        stage.members_up(file, "web1", "web2")
        yield Tracer(stage, file, "web")
    finally:
        stage.clear()


def published_tracer(lab: Lab, folder: Path) -> Iterator[Tracer]:
    """The running example over published ports."""
    stage = Stage(lab, folder)
    file = stage.example("02-published")
    try:
        stage.up(file)
        stage.start("docker2", "pub1", options=("--publish", "80"))
        stage.start("docker3", "pub2", options=("--publish", "80"))
        stage.up(file)
        stage.members_up(file, "pub1", "pub2")
        yield Tracer(stage, file, "old")
    finally:
        stage.clear()


def ends(step: dict[str, Any], which: str = "before") -> tuple[str, str, int]:
    found = step[which]
    return found["source"], found["address"], found["dport"]


def kinds(walk: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(step["session"], step["place"]["kind"], step["place"]["seat"]) for step in walk["steps"]]


@contextmanager
def added_rule(tracer: Tracer, host: str, *words: str) -> Iterator[int]:
    """An nft rule added for the moment; its handle."""
    text = tracer.nft(host, "-a", "-e", "insert", "rule", *words)
    handle = text.partition("# handle ")[2].split()[0]
    try:
        yield int(handle)
    finally:
        tracer.nft(host, "delete", "rule", *words[:3], "handle", handle)


LOOK = """
for place in /proc/[0-9]*/ns/net /run/docker/netns/*; do echo "$(stat -L -c %i "$place") $place"; done 2>/dev/null |
sort -u -k1,1 | while read -r _ place; do nsenter --net="$place" nft list tables; done 2>/dev/null
cat /proc/[0-9]*/cmdline | tr '\\0' ' '
"""


def left(tracer: Tracer) -> list[str]:
    """Tables and processes of the trace in every namespace of every host."""
    said = {host: tracer.lab.exec(host, ["sh", "-c", LOOK]).stdout for host in tracer.lab.hosts}
    assert all("dockerd" in text for text in said.values()), "the look itself failed"
    return [host for host, text in said.items() if "table inet dockgate_trace" in text or "dockgate_trace.py" in text]
