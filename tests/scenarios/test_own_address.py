"""A VIP with an address of its own: on its host while it is ours, announced, moved by `up`, taken off by `down`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT

pytestmark = pytest.mark.lab

ONE, TWO, OTHER = "10.10.10.180", "10.10.10.181", "10.10.10.182"

FOLLOWED_S = 15.0
"""Longest time without an answer while an address changes hosts. A container is stopped and another one started, some
2.5 s; a client that asks in that moment repeats its SYN after 1 and 3 s. One that was never told asks for a minute."""

LISTEN_TO_ARP = """
import socket, struct
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
print("listening", flush=True)
while True:
    frame = listener.recv(1514)
    operation, = struct.unpack("!H", frame[20:22])
    sender, target = socket.inet_ntoa(frame[28:32]), socket.inet_ntoa(frame[38:42])
    print("broadcast" if frame[:6] == b"\\xff" * 6 else "unicast", operation, frame[22:28].hex(":"), sender, target,
          flush=True)
"""


def text(lab: Lab, *, one: str = ONE, host: str = "docker1") -> str:
    """VIPs one and two with the same port; two stays on docker1."""
    names = "\n".join(
        f'  {name}: {{engine: "unix:///run/dockgate-lab/{name}/docker.sock", address: {lab.address(name)}}}'
        for name in ("docker1", "docker2")
    )
    return (
        f"project: own\nhosts:\n{names}\n"
        "networks: {own_net: {driver: overlay, internal: true}}\n"
        "vips:\n"
        f"  one: {{hosts: [{host}], address: {one}, listen: [{{port: 80}}], pool: first}}\n"
        f"  two: {{hosts: [docker1], address: {TWO}, listen: [{{port: 80}}], pool: second}}\n"
        "pools:\n"
        "  first: {network: own_net, port: 80, members: [own1], check: {path: /healthy}}\n"
        "  second: {network: own_net, port: 80, members: [own2], check: {path: /healthy}}\n"
    )


@dataclass
class Play:
    stage: Stage
    file: Path

    def up(self, wanted: str) -> str:
        self.stage.write(wanted, self.file)
        return self.stage.up(self.file)

    def addresses(self, host: str) -> set[str]:
        done = self.stage.lab.exec(host, ["ip", "-4", "-o", "addr"], check=True)
        return {word.partition("/")[0] for word in done.stdout.split() if "/" in word}

    def neighbour(self, address: str) -> str:
        """The MAC address that the client has for an address."""
        words = self.stage.lab.client_exec("ip", "neigh", "show", address).stdout.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def get(self, address: str) -> tuple[int, str]:
        return self.stage.get(f"http://{address}/")


@pytest.fixture(scope="module")
def play(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    stage = Stage(lab, tmp_path_factory.mktemp("own"))
    try:
        file = stage.write(text(lab))
        stage.up(file)
        stage.start("docker1", "own1", network="own_net")
        stage.start("docker2", "own2", network="own_net")
        play = Play(stage, file)
        eventually(lambda: play.get(ONE) == (200, "own1"), "VIP one answers")
        eventually(lambda: play.get(TWO) == (200, "own2"), "VIP two answers")
        yield play
    finally:
        stage.clear()


@contextmanager
def arp_seen(lab: Lab) -> Iterator[list[list[str]]]:
    """What the client hears on the LAN: broadcast or unicast, operation, sender's MAC and address, target's address.
    Filled in at the end."""
    seen: list[list[str]] = []
    with lab.spawn(CLIENT, [sys.executable, "-c", LISTEN_TO_ARP], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "listening\n"
            yield seen
        finally:
            process.terminate()
            seen += [line.split() for line in process.stdout]


def test_several_vips_with_the_same_port_live_on_one_host_each_on_its_own_address(play: Play) -> None:
    assert {ONE, TWO} <= play.addresses("docker1")
    assert {ONE, TWO}.isdisjoint(play.addresses("docker2"))
    assert (play.get(ONE), play.get(TWO)) == ((200, "own1"), (200, "own2"))


def test_a_vip_is_published_on_its_own_address_only(play: Play) -> None:
    lab = play.stage.lab
    listening = lab.docker("docker1", "ps", "--format", "{{.Ports}}", "--filter", "label=dockgate.project=own").stdout
    assert sorted(word for word in listening.split() if word) == [f"{ONE}:80->80/tcp", f"{TWO}:80->80/tcp"]
    for address in (lab.address("docker1"), lab.address("docker2")):
        assert play.stage.curl(f"http://{address}/").returncode == 7, f"{address}:80 must stay closed"


def test_a_vip_that_moves_to_another_host_is_announced_there_and_clients_follow(play: Play) -> None:
    lab = play.stage.lab
    macs = {name: lab.host_plan(name).mac for name in lab.hosts}
    play.up(text(lab))
    assert play.get(ONE)[0] == 200
    assert play.neighbour(ONE) == macs["docker1"]
    with (
        arp_seen(lab) as seen,
        play.stage.load(f"http://{TWO}/", rate=100, connections=4) as bystander,
        play.stage.load(f"http://{ONE}/", rate=200, connections=8) as load,
    ):
        play.stage.write(text(lab, host="docker2"), play.file)
        assert f"not seamless, address {ONE} changes hands" in play.stage.plan(play.file)
        play.up(text(lab, host="docker2"))
        load.observe(0.5)
    gap = load.report.longest_gap_s
    print(f"moved to another host: {load.report.failed} requests failed, {gap:.2f} s without an answer")
    assert play.neighbour(ONE) == macs["docker2"]
    gratuitous = [line for line in seen if line[3] == line[4] == ONE]
    assert {(how, operation, mac) for how, operation, mac, _, _ in gratuitous} == {
        ("broadcast", "1", macs["docker2"]),
        ("broadcast", "2", macs["docker2"]),
    }
    assert ONE in play.addresses("docker2") - play.addresses("docker1")
    assert play.get(ONE) == (200, "own1")
    assert gap < FOLLOWED_S, str(load.report)
    assert bystander.report.failed == 0, str(bystander.report)
    assert "nothing to do" in play.stage.plan(play.file)


def test_an_address_that_changes_is_there_before_the_old_one_goes(play: Play) -> None:
    lab = play.stage.lab
    play.up(text(lab))
    with play.stage.load(f"http://{TWO}/", rate=100, connections=4) as bystander, arp_seen(lab) as seen:
        said = play.up(text(lab, one=OTHER)).splitlines()
    proved = next(n for n, line in enumerate(said) if f"ask {OTHER}:80" in line and " ok " in line)
    stopped = next(n for n, line in enumerate(said) if "stop container dockgate-own-one" in line)
    gone = next(n for n, line in enumerate(said) if f"take address {ONE} off" in line)
    assert proved < stopped < gone, said
    assert any(line[3] == line[4] == OTHER for line in seen), "the new address was not announced"
    assert play.get(OTHER) == (200, "own1")
    assert OTHER in play.addresses("docker1")
    assert ONE not in play.addresses("docker1")
    assert bystander.report.failed == 0, str(bystander.report)


def test_down_takes_the_addresses_off_the_host(play: Play) -> None:
    lab = play.stage.lab
    play.up(text(lab))
    assert {ONE, TWO} <= play.addresses("docker1")
    said = play.stage.dockgate("down", play.file).stdout
    assert f"take address {ONE} off the host" in said
    for host in ("docker1", "docker2"):
        assert {ONE, TWO, OTHER}.isdisjoint(play.addresses(host))
    assert "docker2" in said
    assert play.stage.curl(f"http://{ONE}/").returncode in (7, 28)
