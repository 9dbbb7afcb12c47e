"""`dockgate doctor` on what Docker's own tables have wrong: an overlay's forwarding entries, and names of its DNS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.scenarios.clinic import NETWORK, Clinic, opened
from tests.scenarios.stage import eventually

from dockgate.lab import Lab
from dockgate.model.desired import Images

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def ward(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    yield from opened(lab, tmp_path_factory.mktemp("clinic-tables"))


@pytest.fixture
def clinic(ward: Clinic) -> Iterator[Clinic]:
    yield ward
    ward.well()


def place(clinic: Clinic, host: str, container: str, what: str) -> str:
    form = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").{what}}}}}'
    return clinic.lab.docker(host, "inspect", "-f", form, container).stdout.strip()


@contextmanager
def tables_changed(clinic: Clinic, *changes: str) -> Iterator[tuple[str, str]]:
    """The entries for web1 on docker1 are changed, and put back. Its address and MAC; the changes may name them."""
    ident = clinic.lab.docker("docker1", "network", "inspect", "-f", "{{.Id}}", NETWORK).stdout.strip()
    address, mac = (place(clinic, "docker2", "web1", what) for what in ("IPAddress", "MacAddress"))
    enter = f"nsenter --net=/run/docker/netns/1-{ident[:10]}"
    back = (
        f"{enter} ip neigh replace {address} lladdr {mac} nud permanent dev vxlan0 && "
        f"{enter} bridge fdb replace {mac} dev vxlan0 dst 192.168.50.12 self permanent"
    )
    script = " && ".join(f"{enter} {change.format(address=address, mac=mac)}" for change in changes)
    with clinic.broken("docker1", script, back):
        yield address, mac


def test_a_forwarding_entry_that_leads_to_another_host_is_told_and_explains_its_member(clinic: Clinic) -> None:
    with tables_changed(clinic, "bridge fdb replace {mac} dev vxlan0 dst 192.168.50.13 self permanent"):
        found = clinic.says(("stale-neighbour", f"{NETWORK} on docker1"))
        assert "it sends to 192.168.50.13, and web1 is on docker2 (192.168.50.12)" in found[0]["evidence"]
        eventually(lambda: clinic.findings()[0]["affects"] == ["apps/web1"], "web1 is down because of it", within_s=40)


def test_a_neighbour_entry_that_is_missing_is_told_with_whose_it_is(clinic: Clinic) -> None:
    with tables_changed(clinic, "ip neigh del {address} dev vxlan0") as (address, _):
        found = clinic.says(("stale-neighbour", f"{NETWORK} on docker1"))
        assert f"it has no neighbour entry for {address}, which web1 has on docker2" in found[0]["evidence"]


def test_a_neighbour_entry_of_a_container_that_is_gone_is_told_with_both_macs(clinic: Clinic) -> None:
    with tables_changed(clinic, "ip neigh replace {address} lladdr 02:42:0a:00:00:99 dev vxlan0") as (address, mac):
        found = clinic.says(("stale-neighbour", f"{NETWORK} on docker1"))
        assert f"{address} is 02:42:0a:00:00:99 to it, and web1 has {mac}" in found[0]["evidence"]


FORGETFUL = """
import socket, struct, subprocess, sys
known = {sys.argv[1]: socket.inet_aton(sys.argv[2])}
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.11", 5300))
rule = "ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:5300"
chain = "add chain ip fault out { type nat hook output priority -110; }"
subprocess.run(["nft", f"add table ip fault; {chain}; add rule ip fault out {rule}"], check=True)
while True:
    asked, who = sock.recvfrom(2048)
    at, labels = 12, []
    while asked[at]:
        labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    question, address = asked[12 : at + 5], known.get(".".join(labels))
    record = b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + address if address and asked[at + 2] == 1 else b""
    head = asked[:2] + struct.pack("!HHHHH", 0x8180 if address else 0x8183, 1, bool(record), 0, 0)
    sock.sendto(head + question + record, who)
"""
"""Answers in the place of Docker's DNS, in a load balancer's own network, and knows one name only."""


def test_a_name_that_dockers_dns_no_longer_gives_is_told_and_explains_its_member(clinic: Clinic) -> None:
    balancer = clinic.stage.balancer(clinic.file, "web")
    web2 = place(clinic, "docker3", "web2", "IPAddress")
    words = ["--network", f"container:{balancer}", "--cap-add", "NET_ADMIN", Images().node, "python3", "-c", FORGETFUL]
    try:
        clinic.lab.docker("docker1", "run", "-d", "--name", "forgetful", *words, "web2", web2)
        eventually(lambda: ("dns-missing", "apps/web1") in seen(clinic), "the name is missed", within_s=30)
        found = next(each for each in clinic.findings() if each["cause"] == "dns-missing")
        assert "Docker on docker2 has it at " in found["evidence"], found
        assert "DNS on docker1 has nothing" in found["evidence"], found
        assert {cause for cause, _ in seen(clinic)} == {"dns-missing"}
    finally:
        pid = clinic.lab.docker("docker1", "inspect", "-f", "{{.State.Pid}}", balancer).stdout.strip()
        clinic.on("docker1", f"nsenter --net=/proc/{pid}/ns/net nft delete table ip fault || true")
        clinic.lab.docker("docker1", "rm", "-f", "forgetful")


def seen(clinic: Clinic) -> set[tuple[str, str]]:
    return {(each["cause"], each["where"].partition(" from ")[0]) for each in clinic.findings()}
