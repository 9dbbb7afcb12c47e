"""A small firewalled world in the lab: a VIP on docker1, its members, and a container that nobody allows anything.

Probes are plain tools and sockets in the right network namespace; what dockgate itself proves is not asked here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT

PROJECT = "walled"
NETWORK = "walled_net"
URL = "http://docker1.lab.lab:8400/"
PUBLISHED = 8410
CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.0).close()"
TALK = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as talk:
    talk.settimeout(2)
    while True:
        talk.sendall(b"GET /healthy HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        if not talk.recv(4096):
            break
        print(time.time(), flush=True)
        time.sleep(0.02)
"""
PING_HOST = "  - {name: host pings containers, from: host, to: bridge, protocol: icmp}\n"
PING_BACK = "  - {name: containers ping host, from: bridge, to: host, protocol: icmp}\n"
TO_PUBLISHED = '  - {name: lan to loner, from: world, to: "container:loner", protocol: tcp, port: 80}\n'


@dataclass
class Talk:
    """A connection over which something is asked all the time. ``answers``: when each answer came."""

    process: subprocess.Popen[str]
    answers: list[float] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.append(float(line))

    def goes_on(self) -> bool:
        """Whether another answer comes."""
        seen = len(self.answers)
        try:
            return bool(eventually(lambda: len(self.answers) > seen, "another answer", within_s=1.5, every_s=0.02))
        except AssertionError:
            return False


@dataclass
class Walled:
    """``balancers``: the VIP's hosts."""

    stage: Stage
    file: Path
    balancers: str = "docker1"

    @property
    def lab(self) -> Lab:
        return self.stage.lab

    def text(self, *rules: str, default: str = "deny") -> str:
        names = "\n".join(
            f'  {name}: {{engine: "unix:///run/dockgate-lab/{name}/docker.sock", address: {self.lab.address(name)}}}'
            for name in ("docker1", "docker2")
        )
        allow = f"  allow:\n{''.join(f'  {rule}' for rule in rules)}" if rules else ""
        return (
            f"project: {PROJECT}\nhosts:\n{names}\nnetworks: {{{NETWORK}: {{driver: overlay, internal: true}}}}\n"
            f"vips: {{web: {{hosts: [{self.balancers}], listen: [{{port: 8400}}], pool: web}}}}\n"
            f"pools:\n  web: {{network: {NETWORK}, port: 80, members: [walled1, walled2], check: {{path: /healthy}}}}\n"
            f"firewall:\n  default: {default}\n{allow}"
        )

    def up(self, *rules: str, more: tuple[str, ...] = ()) -> str:
        self.stage.write(self.text(*rules), self.file)
        return self.stage.up(self.file, *more)

    def open(self) -> None:
        """VIP, members on both hosts, a stranger on their overlay, and a loner with a published port."""
        self.up()
        for host, name in (("docker1", "walled1"), ("docker2", "walled2"), ("docker2", "stranger")):
            self.stage.start(host, name, network=NETWORK)
        self.stage.start("docker1", "loner", options=["-p", f"{PUBLISHED}:80"])
        self.up()
        self.stage.members_up(self.file, "walled1", "walled2")

    # --- the world's questions

    def pid(self, host: str, container: str) -> str:
        return self.lab.docker(host, "inspect", "-f", "{{.State.Pid}}", container).stdout.strip()

    def address(self, host: str, container: str, network: str = "bridge") -> str:
        place = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        return self.lab.docker(host, "inspect", "-f", place, container).stdout.strip()

    def ping(self, host: str, target: str, *, inside: str = "") -> bool:
        """Plain ping, from the host or from the inside of a container of it."""
        where = ["nsenter", "-t", self.pid(host, inside), "-n"] if inside else []
        return self.lab.exec(host, [*where, "ping", "-c", "1", "-W", "1", target]).returncode == 0

    def pings(self) -> list[tuple[bool, bool]]:
        """The running example's steps: nothing allowed, then host to containers, then both. Each time whether the host
        gets through to a container, and the container to its host."""
        loner = self.address("docker1", "loner")
        seen = []
        for rules in ((), (PING_HOST,), (PING_HOST, PING_BACK)):
            self.up(*rules)
            seen.append((self.ping("docker1", loner), self.ping("docker1", "172.17.0.1", inside="loner")))
        return seen

    def client_reaches(self, port: int, host: str = "docker1") -> bool:
        done = self.lab.client_exec(sys.executable, "-c", CONNECT, self.lab.address(host), str(port))
        return done.returncode == 0

    def client_sends(self, data: bytes, *, port: int) -> None:
        """One datagram from the client to docker1."""
        text = (
            f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto({data!r}, {self._place(port)!r})"
        )
        self.lab.client_exec(sys.executable, "-c", text, check=True)

    def _place(self, port: int) -> tuple[str, int]:
        return self.lab.address("docker1"), port

    def reaches(self, host: str, container: str, target: str, port: int) -> bool:
        """Whether a container can open a connection."""
        done = self.lab.docker(host, "exec", container, "python3", "-c", CONNECT, target, str(port), check=False)
        return done.returncode == 0

    def serves(self) -> bool:
        return self.stage.get(URL)[0] == 200

    @contextmanager
    def talk(self, port: int) -> Iterator[Talk]:
        """A connection from the client to docker1, kept busy until the block ends."""
        argv = [sys.executable, "-c", TALK, self.lab.address("docker1"), str(port)]
        talk = Talk(self.lab.spawn(CLIENT, argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        reader = threading.Thread(target=talk.read)
        reader.start()
        try:
            eventually(lambda: talk.answers, "a first answer")
            yield talk
        finally:
            talk.process.kill()
            reader.join()
            talk.process.communicate()

    # --- our table

    def node(self, host: str) -> str:
        words = ["ps", "-q", "--filter", f"label=dockgate.project={PROJECT}", "--filter", "label=dockgate.kind=node"]
        return self.lab.docker(host, *words).stdout.strip()

    def table(self, host: str) -> str:
        """The rules of our table in the kernel, "" when it is not there."""
        return self.lab.exec(host, ["nft", "-s", "list", "table", "inet", "dockgate"]).stdout

    def counted(self, host: str, rule: str) -> int:
        """Packets that a rule decided, by its name; it must be there."""
        said = json.loads(self.lab.exec(host, ["nft", "-j", "list", "table", "inet", "dockgate"], check=True).stdout)
        rules = [item["rule"] for item in said["nftables"] if rule in item.get("rule", {}).get("comment", "")]
        assert rules, f"no rule {rule!r} on {host}"
        return sum(part["counter"]["packets"] for item in rules for part in item["expr"] if "counter" in part)

    def loaded_again(self, host: str, before: str, *, within_s: float) -> float:
        """Seconds until the table is as before."""
        began = time.monotonic()
        eventually(
            lambda: self.table(host) == before, f"our table on {host} as it was", within_s=within_s, every_s=0.05
        )
        return time.monotonic() - began
