"""Ways on which Docker's proxy stands between: a container of the load balancer's own host, and IPv6."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.stage import Stage
from tests.scenarios.tracer import ADDRESS, Tracer, kinds

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT

pytestmark = pytest.mark.lab

SIX = {"docker1": "fd00:50::11", CLIENT: "fd00:50::100"}


@pytest.fixture(scope="module")
def ways(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    """HTTP on 8300, HTTPS on 8343, TCP on 9300; asker1 and asker2 on docker1's bridges, and IPv6 on the LAN."""
    stage = Stage(lab, tmp_path_factory.mktemp("trace-ways"))
    hosts = "\n".join(
        f'  {name}: {{engine: "unix://{lab.socket(name)}", address: {lab.address(name)}}}' for name in ADDRESS
    )
    file = stage.write(
        f"project: ways\nhosts:\n{hosts}\n"
        "networks: {ways_net: {driver: overlay, internal: true}}\n"
        "vips:\n  web:\n    hosts: [docker1]\n    pool: web\n    listen:\n"
        "      - {port: 8300}\n      - {port: 8343, tls: {self_signed: true}}\n"
        "      - {port: 9300, mode: tcp, pool: raw}\n"
        "pools:\n  web: {network: ways_net, port: 80, members: [way1]}\n"
        "  raw: {network: ways_net, port: 80, members: [way1]}\n"
    )
    try:
        for where, address in SIX.items():
            lab.exec(where, ["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"], check=True)
        stage.up(file)
        stage.start("docker2", "way1", network="ways_net")
        stage.start("docker1", "asker1")
        stage.start("docker1", "beside6", options=("--publish", "8320:80"))
        lab.docker("docker1", "network", "create", "elsewhere")
        stage.start("docker1", "asker2", network="elsewhere")
        stage.members_up(file, "way1")
        yield Tracer(stage, file, "web")
    finally:
        stage.clear()
        lab.docker("docker1", "network", "rm", "elsewhere", check=False)
        for where, address in SIX.items():
            lab.exec(where, ["ip", "address", "del", f"{address}/64", "dev", "eth0"])


FRONT = [(1, "host", "docker1"), (2, "host", "docker1"), (2, "container", "docker1"), (3, "container", "docker1")]


@pytest.mark.parametrize("url", ["http://docker1.lab.lab:8300/", "https://docker1.lab.lab:8343/"])
@pytest.mark.parametrize(("asker", "network"), [("asker1", "bridge"), ("asker2", "elsewhere")])
def test_a_container_on_the_load_balancers_own_host_goes_through_dockers_proxy(
    ways: Tracer, asker: str, network: str, url: str
) -> None:
    walk = ways.trace(url, "--from", asker)
    assert kinds(walk)[:5] == [(1, "container", "docker1"), *FRONT]
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    steps = walk["steps"]
    assert steps[0]["before"]["source"] == ways.address("docker1", asker, network)
    front = ways.address("docker1", ways.balancer, "bridge")
    gateway = ways.inspect("docker1", ways.balancer, '{{(index .NetworkSettings.Networks "bridge").Gateway}}')
    assert (steps[2]["before"]["source"], steps[2]["before"]["address"]) == (gateway, front)
    assert steps[2]["before"]["sport"] != steps[0]["before"]["sport"]
    assert walk["haproxy"]["log"]["client"] == gateway
    assert (walk["haproxy"]["server"], walk["count"]["sessions"], walk["count"]["translations"]) == ("way1", 3, 0)
    assert (walk["disagreements"], walk["notes"]) == ([], [])


def test_a_bare_connection_through_dockers_proxy_is_told_with_how_it_is_known(ways: Tracer) -> None:
    walk = ways.trace("tcp://docker1.lab.lab:9300", "--from", "asker1")
    assert (walk["answer"]["outcome"], walk["haproxy"]["server"]) == ("open", "way1")
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert walk["notes"] == [
        "which connection of Docker's proxy carries this one is told by the time of its first packet"
    ]


SIX_URL = f"http://[{SIX['docker1']}]:8320/"


def test_a_published_port_asked_over_ipv6_is_reached_through_dockers_proxy_over_ipv4(ways: Tracer) -> None:
    walk = ways.trace(SIX_URL)
    assert kinds(walk) == [
        (1, "client", ""),
        (1, "host", "docker1"),
        (2, "host", "docker1"),
        (2, "container", "docker1"),
    ]
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    first, second = walk["steps"][0]["before"], walk["steps"][2]["before"]
    gateway = ways.inspect("docker1", "beside6", '{{(index .NetworkSettings.Networks "bridge").Gateway}}')
    assert (first["source"], first["address"]) == (SIX[CLIENT], SIX["docker1"])
    assert (second["source"], second["address"]) == (gateway, ways.address("docker1", "beside6", "bridge"))
    assert (walk["answer"]["status"], walk["count"]["client_seen"], walk["disagreements"]) == (200, gateway, [])
    assert "web.py" in walk["process"]
    assert kinds(ways.trace(SIX_URL, "--dry-run")) == kinds(walk)


def test_the_same_port_over_ipv4_is_translated(ways: Tracer) -> None:
    walk = ways.trace("http://docker1:8320/")
    assert [step["translation"] for step in walk["steps"]] == [None, "DNAT", None]
    assert (walk["count"]["sessions"], walk["disagreements"]) == (1, [])


def test_a_vip_has_no_way_over_ipv6_and_that_is_said_before_and_after(ways: Tracer) -> None:
    """Docker publishes a VIP's ports at IPv4 addresses."""
    url = f"http://[{SIX['docker1']}]:8300/"
    foretold = ways.trace(url, "--dry-run", code=1)["stop"]
    assert foretold["why"] == f"Docker publishes port 8300 of {ways.balancer} for IPv4 only"
    stop = ways.stopped(url)
    assert stop["where"] == "docker1"
    assert stop["why"].startswith(f"nothing listens on {SIX['docker1']} port 8300: the connection is refused; ")
    assert stop["why"].endswith(foretold["why"])
