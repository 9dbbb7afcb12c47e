"""The same promises on other kinds of hosts: engines that write no rules, and engines of other versions.

Each kind has a small lab of its own, with the VIP on both of its hosts. What is asked is the core: the VIP answers,
clients keep their address, nobody gets past the policy, containers get out only where Docker would let them, and the
proof finds nothing wrong.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

import pytest
from tests.scenarios.conftest import KEEP, SUITE
from tests.scenarios.firewalled import NETWORK, PUBLISHED, TO_PUBLISHED, Walled
from tests.scenarios.stage import WEB, Stage, engine_restarted, eventually

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT
from dockgate.lab.kind import Kind
from dockgate.lab.progress import Progress

pytestmark = pytest.mark.lab

KINDS: Mapping[str, Mapping[str, Kind]] = {
    "no rules of the engine": {"docker1": Kind(iptables=False), "docker2": Kind(iptables=False, proxy=False)},
    "28.5 and 20.10": {"docker1": Kind("28.5"), "docker2": Kind("20.10")},
}
INNER = "inner"
OUT = "  - {name: bridge calls out, from: bridge, to: world, protocol: tcp, port: 9000}\n"
LISTEN = """
import socket
server = socket.create_server(("", 9000))
print("listening", flush=True)
while True:
    print(server.accept()[1][0], flush=True)
"""


@pytest.fixture(scope="module", params=KINDS)
def walled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    name = f"{SUITE}-{'off' if request.param.startswith('no') else 'mix'}"
    if not KEEP:
        Lab.remove(name)
    lab = Lab.up(name, hosts=2, kinds=KINDS[request.param], progress=Progress())
    stage = Stage(lab, tmp_path_factory.mktemp("kinds"))
    walled = Walled(stage, stage.folder / "dockgate.yaml", "docker1, docker2")
    try:
        walled.open()
        stage.start("docker2", "loner2", options=["-p", f"{PUBLISHED}:80", "-p", "127.0.0.1:8411:80"])
        for host in lab.hosts:
            lab.docker(host, "network", "create", "--internal", INNER)
            stage.start(host, f"inner-{host}", network=INNER)
        walled.up()
        yield walled
    finally:
        stage.clear()
        for host in lab.hosts:
            lab.docker(host, "network", "rm", INNER, check=False)
        if not KEEP:
            lab.down()


def test_the_vip_answers_on_both_hosts_from_both_members(walled: Walled) -> None:
    for host in walled.lab.hosts:
        found = set(walled.stage.answers(f"http://{host}.lab.lab:8400/", count=6))
        assert found == {"walled1", "walled2"}, host


def test_the_load_balancer_sees_the_clients_own_address(walled: Walled) -> None:
    """It came by a translation and not through Docker's proxy."""
    walled.stage.get("http://docker2.lab.lab:8400/whoever")
    name = walled.stage.balancer(walled.file, "web", "docker2")
    eventually(
        lambda: "192.168.50.100" in _line(walled.lab.docker("docker2", "logs", "--tail", "20", name).stdout),
        "the client's address in the log",
    )


def _line(log: str) -> str:
    return next((line for line in log.splitlines() if "/whoever" in line), "")


def test_members_and_published_ports_are_not_reached_past_the_policy(walled: Walled) -> None:
    walled.up()
    for host in walled.lab.hosts:
        assert not walled.client_reaches(PUBLISHED, host)
    assert not walled.reaches("docker2", "stranger", walled.address("docker1", "walled1", NETWORK), 80)
    assert not walled.reaches("docker2", "stranger", walled.address("docker2", "walled2", NETWORK), 80)


def test_a_published_port_that_the_file_allows_is_reached_and_one_on_the_loopback_only_from_its_host(
    walled: Walled,
) -> None:
    walled.up(TO_PUBLISHED, TO_PUBLISHED.replace("loner", "loner2"), _FROM_HOST)
    for host in walled.lab.hosts:
        assert walled.client_reaches(PUBLISHED, host), host
    assert not walled.client_reaches(8411, "docker2")
    for port in (8411, PUBLISHED):
        done = walled.lab.exec("docker2", ["curl", "-s", "-m", "3", f"http://127.0.0.1:{port}/"])
        assert done.stdout.strip() == "loner2", port


_FROM_HOST = "  - {name: host to bridge, from: host, to: bridge, protocol: tcp, port: 80}\n"


def test_ping_each_direction_is_a_decision_of_its_own(walled: Walled) -> None:
    assert walled.pings() == [(False, False), (True, False), (True, True)]


def test_containers_get_out_behind_their_host_and_only_where_docker_would_let_them(walled: Walled) -> None:
    """The LAN has no way back to a container's address: an answer comes only if it left behind the host's."""
    lab = walled.lab
    walled.up(OUT, OUT.replace("bridge calls out, from: bridge", 'inner calls out, from: "network:inner"'))
    with lab.spawn(CLIENT, [sys.executable, "-c", LISTEN], stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline().strip() == "listening"
            for host, container in (("docker1", "loner"), ("docker2", "loner2")):
                assert walled.reaches(host, container, "192.168.50.100", 9000), container
                assert listener.stdout.readline().strip() == lab.address(host)
                assert not walled.reaches(host, f"inner-{host}", "192.168.50.100", 9000)
        finally:
            listener.kill()


def test_the_proof_finds_nothing_wrong(walled: Walled) -> None:
    walled.up()
    assert "proved" in walled.stage.dockgate("verify", walled.file).stdout


def test_a_member_is_replaced_under_load_without_a_failed_request(walled: Walled) -> None:
    said = walled.stage.dockgate("replace", walled.file, "walled1", "--image", WEB, timeout=300).stdout.splitlines()[-1]
    assert said.startswith("failed: 0 of "), said


def test_after_a_restart_of_docker_the_vip_answers_through_the_same_rules(walled: Walled) -> None:
    """The rules outlast the engine. It may have given its containers other addresses (28.5 does, one time in two),
    which the rules learn from the next `up` or a controller. The member of this host does not come back, and that of
    the other one is reached again when its Docker has found this one, 24 to 60 s later."""
    walled.up()
    before = walled.table("docker1")
    with engine_restarted(walled.lab, "docker1"):
        assert walled.table("docker1") == before
    again = partial(walled.stage.dockgate, "up", walled.file, code=None)
    eventually(lambda: again().returncode == 0, "`up` finds all well", within_s=120, every_s=1)
    eventually(walled.serves, "the VIP serves again", within_s=90)
    assert not walled.client_reaches(PUBLISHED)


def test_a_file_that_does_not_fit_the_engine_is_told_and_changes_nothing(walled: Walled) -> None:
    """The other way round from what the engines are."""
    off = not walled.lab.kind("docker1").iptables
    text = walled.file.read_text()
    before = walled.table("docker1")
    other = walled.file.with_name("other.yaml")
    key = "  docker_iptables: off\n"
    other.write_text(text.replace(key, "") if off else text.replace("firewall:\n", f"firewall:\n{key}"))
    said = walled.stage.dockgate("plan", other, code=None)
    told = "the engine writes no rules (iptables: false)" if off else "the engine there writes rules of its own"
    assert told in said.stdout + said.stderr
    if not off:
        assert walled.stage.dockgate("up", other, code=None).returncode != 0
    assert walled.table("docker1") == before
