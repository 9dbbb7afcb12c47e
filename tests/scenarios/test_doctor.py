"""`dockgate doctor` on real hosts: nothing on a healthy system, and the right cause for each thing that is broken."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.scenarios.clinic import NETWORK, VIP_ADDRESS, Clinic, opened
from tests.scenarios.stage import eventually

from dockgate.lab import Lab
from dockgate.lab.faults import container_paused, container_stopped, engine_killed, link_cut
from dockgate.model.desired import Images

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def ward(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    yield from opened(lab, tmp_path_factory.mktemp("clinic"))


@pytest.fixture
def clinic(ward: Clinic) -> Iterator[Clinic]:
    """Well again once the fault is gone, so that no fault is taken for the one before."""
    yield ward
    ward.well()


def test_nothing_is_found_where_all_is_well_and_three_hosts_take_less_than_ten_seconds(ward: Clinic) -> None:
    ward.well()
    times = []
    for _ in range(3):
        started = time.monotonic()
        done = ward.stage.dockgate("doctor", ward.file)
        times.append(time.monotonic() - started)
        assert done.stdout.startswith("nothing is wrong (3 hosts, ")
    assert min(times) < 10, f"it took {times}"


def test_a_link_that_is_down_explains_its_member_and_what_does_not_pass(clinic: Clinic) -> None:
    with link_cut(clinic.lab, "docker2"):
        found = clinic.says(("link-down", "docker2"))
        assert "eth0 (192.168.50.12) has no carrier" in found[0]["evidence"]
        assert {"docker1 - docker2", "docker2 - docker3", "apps/web1"} <= set(found[0]["affects"])


def test_vxlan_that_is_blocked_on_a_host_is_told_and_explains_the_member_behind_it(clinic: Clinic) -> None:
    with clinic.dropped("docker2", "ip saddr 192.168.50.11 udp dport 4789"):
        found = clinic.says(("vxlan-blocked", "docker1 - docker2"))
        assert "UDP port 4789 does not arrive from docker1 to docker2" in found[0]["evidence"]
        eventually(lambda: clinic.findings()[0]["affects"] == ["apps/web1"], "web1 is down because of it")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_gossip_that_is_blocked_is_told_by_its_protocol_and_direction(clinic: Clinic, protocol: str) -> None:
    with clinic.dropped("docker3", f"ip saddr 192.168.50.11 {protocol} dport 7946"):
        found = clinic.says(("gossip-blocked", "docker1 - docker3"))
        assert f"{protocol.upper()}" in found[0]["evidence"]
        assert "from docker1 to docker3" in found[0]["evidence"]


def test_an_underlay_with_too_small_an_mtu_is_told_with_the_link(clinic: Clinic) -> None:
    with clinic.broken("docker3", "ip link set eth0 mtu 1400", "ip link set eth0 mtu 1500"):
        found = clinic.says(("mtu-too-small", "docker1 - docker3"), ("mtu-too-small", "docker2 - docker3"))
        assert "docker3's eth0 has MTU 1400" in found[0]["evidence"]


def test_full_packets_that_are_lost_without_a_word_are_told(clinic: Clinic) -> None:
    with clinic.dropped("docker2", "ip saddr 192.168.50.11 udp dport 4789 udp length > 1400"):
        found = clinic.says(("mtu-too-small", "docker1 - docker2"))
        assert "from docker1 to docker2: lost on the way" in found[0]["evidence"]


def test_a_member_that_was_stopped_is_told_from_one_that_is_paused(clinic: Clinic) -> None:
    with container_stopped(clinic.lab, "docker2", "web1", grace=0):
        clinic.says(("member-stopped", "apps/web1"))
    clinic.well()
    with container_paused(clinic.lab, "docker2", "web1"):
        clinic.says(("member-paused", "apps/web1"))


def test_a_member_that_hangs_is_one_that_takes_connections_and_does_not_answer(clinic: Clinic) -> None:
    pid = clinic.lab.docker("docker2", "inspect", "-f", "{{.State.Pid}}", "web1").stdout.strip()
    with clinic.broken("docker2", f"kill -STOP {pid}", f"kill -CONT {pid}"):
        found = clinic.says(("member-hung", "apps/web1"))
        assert ":80 is open" in found[0]["evidence"]


def test_a_member_on_the_wrong_port_is_told_with_the_port_it_listens_on(clinic: Clinic) -> None:
    clinic.lab.docker("docker2", "rm", "-f", "web1")
    try:
        clinic.stage.start("docker2", "web1", network=NETWORK, options=["-e", "PORT=8081"])
        found = clinic.says(("wrong-port", "apps/web1"))
        assert "refuses; it listens on 8081" in found[0]["evidence"]
    finally:
        clinic.lab.docker("docker2", "rm", "-f", "web1")
        clinic.stage.start("docker2", "web1", network=NETWORK)


def test_a_member_that_is_not_on_the_network_of_its_pool_is_told_with_the_networks_it_is_on(clinic: Clinic) -> None:
    undo = f"docker network disconnect bridge web1; docker network connect {NETWORK} web1"
    with clinic.broken(
        "docker2", f"docker network connect bridge web1; docker network disconnect {NETWORK} web1", undo
    ):
        found = clinic.says(("member-off-network", "apps/web1"))
        assert "docker2 has web1 on: bridge" in found[0]["evidence"]


def test_a_member_that_has_another_name_is_told_with_the_names_that_are_there(clinic: Clinic) -> None:
    clinic.lab.docker("docker2", "rm", "-f", "web1")
    try:
        clinic.stage.start("docker2", "wbe1", network=NETWORK)
        found = clinic.says(("member-missing", "apps/web1"))
        assert f"on {NETWORK} there are: wbe1" in found[0]["evidence"]
    finally:
        clinic.lab.docker("docker2", "rm", "-f", "wbe1")
        clinic.stage.start("docker2", "web1", network=NETWORK)


def test_a_connection_table_that_is_full_is_told_with_its_numbers(clinic: Clinic) -> None:
    words = ("run", "--rm", "--network", "host", "--cap-add", "NET_ADMIN", Images().node)
    try:
        clinic.lab.docker("docker3", *words, "python3", "-c", FILL)
        found = clinic.says(("conntrack-full", "docker3"), within_s=10.0)
        assert " of 262144 entries; what finds no place is dropped" in found[0]["evidence"]
    finally:
        clinic.lab.docker("docker3", *words, "conntrack", "-F")


FILL = """
import socket
limit = int(open('/proc/sys/net/netfilter/nf_conntrack_max').read())
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.bind(('0.0.0.0', 9999))
mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(1, int(limit * 0.99)):
    mouth.sendto(b'', (f'127.{number >> 16}.{number >> 8 & 255}.{number & 255}', 9999))
"""


def test_a_load_balancer_that_is_paused_explains_that_its_members_are_not_served(clinic: Clinic) -> None:
    with container_paused(clinic.lab, "docker1", clinic.stage.balancer(clinic.file, "web")):
        found = clinic.says(("balancer-paused", "VIP web on docker1"))
        assert set(found[0]["affects"]) == {"apps/web1", "apps/web2"}


def test_an_address_that_two_hosts_answer_for_is_told_with_both(clinic: Clinic) -> None:
    with clinic.broken(
        "docker3", f"ip address add {VIP_ADDRESS}/32 dev eth0", f"ip address del {VIP_ADDRESS}/32 dev eth0"
    ):
        found = clinic.says(("address-conflict", "VIP own"))
        assert "answered by docker3 (02:00:c0:a8:32:0d), and it belongs to docker1" in found[0]["evidence"]


def test_an_engine_that_is_dead_is_told_and_what_is_on_it_is_told_with_it(clinic: Clinic) -> None:
    try:
        with engine_killed(clinic.lab, "docker3"):
            found = clinic.says(("engine-unreachable", "docker3"))
            assert "apps/web2" in found[0]["affects"]
    finally:
        start = ("start", "web2")  # Docker may need more than one try after a crash (moby 32607)
        eventually(lambda: clinic.lab.docker("docker3", *start, check=False).returncode == 0, "web2 runs", within_s=40)


def test_a_port_that_somebody_else_has_taken_is_told_with_who_has_it(clinic: Clinic) -> None:
    balancer = clinic.stage.balancer(clinic.file, "web")
    clinic.lab.docker("docker1", "stop", "-t", "1", balancer)
    try:
        clinic.stage.start("docker1", "squatter", options=["-p", "80:80"])
        found = clinic.says(("port-taken", "VIP web on docker1"))
        assert found[0]["evidence"] == "container squatter publishes 0.0.0.0:80"
    finally:
        clinic.lab.docker("docker1", "rm", "-f", "squatter")
        clinic.lab.docker("docker1", "start", balancer)
