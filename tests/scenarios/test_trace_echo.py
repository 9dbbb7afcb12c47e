"""`dockgate trace icmp://HOST`: the pings of the running example, with the decision of the policy and its line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.scenarios.firewalled import PING_BACK, PING_HOST
from tests.scenarios.stage import Stage
from tests.scenarios.tracer import ADDRESS, CLIENT_ADDRESS, Tracer, kinds

from dockgate.lab import Lab

pytestmark = pytest.mark.lab

NETWORK = "echo_net"
OUT = "  - {name: containers ping the lan, from: bridge, to: lan, protocol: icmp}\n"
AMONG = "  - {name: members ping each other, from: echo_net, to: echo_net, protocol: icmp}\n"


@pytest.fixture(scope="module")
def walled(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    """Default deny; a host may ping containers and not the other way round. loner is on docker1's bridge."""
    stage = Stage(lab, tmp_path_factory.mktemp("trace-echo"))
    hosts = "\n".join(
        f'  {name}: {{engine: "unix://{lab.socket(name)}", address: {lab.address(name)}}}' for name in ADDRESS
    )
    try:
        file = stage.write(
            f"project: pinged\nhosts:\n{hosts}\n"
            f"networks: {{{NETWORK}: {{driver: overlay, internal: true}}}}\n"
            "vips:\n  web: {hosts: [docker1], address: 192.168.50.77, listen: [{port: 8400}], pool: web}\n"
            f"pools: {{web: {{network: {NETWORK}, port: 80, members: [echo1, echo2]}}}}\n"
            f"firewall:\n  default: deny\n  allow:\n{PING_HOST}{OUT}{AMONG}"
        )
        stage.up(file)
        stage.start("docker1", "loner")
        stage.start("docker2", "echo1", network=NETWORK)
        stage.start("docker3", "echo2", network=NETWORK)
        stage.up(file)
        yield Tracer(stage, file, "web")
    finally:
        stage.clear()


def line_of(tracer: Tracer, name: str) -> str:
    """The place in the file of a rule."""
    numbers = [at for at, text in enumerate(tracer.file.read_text().splitlines(), 1) if f"name: {name}," in text]
    return f"{tracer.file.name}:{numbers[0]} {name}"


def ours(step: dict[str, Any]) -> list[str]:
    return [rule["text"] for rule in step["rules"] if rule["whose"] == "our rule"]


@pytest.mark.parametrize("url", ["icmp://docker1", "icmp://docker1.lab.lab", "icmp://192.168.50.77"])
def test_a_client_pings_a_host_and_a_vips_own_address(walled: Tracer, url: str) -> None:
    walk = walled.trace(url)
    assert kinds(walk) == [(1, "client", ""), (1, "host", "docker1")]
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert walk["count"] == {"hops": 2, "translations": 0, "sessions": 1, "client_seen": CLIENT_ADDRESS}
    assert walk["disagreements"] == []


def test_a_host_pings_its_container_by_the_files_rule(walled: Tracer) -> None:
    walk = walled.trace("icmp://loner", "--from", "docker1")
    assert kinds(walk) == [(1, "host", "docker1"), (1, "container", "docker1")]
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    wanted = line_of(walled, "host pings containers")
    assert any(text.endswith(wanted) for text in ours(walk["steps"][0])), walk["steps"][0]["rules"]
    assert [text.endswith(f"lets it through by {text.partition(' by ')[2]}") for text in walk["policy"]] == [True]
    assert walk["policy"][0].endswith(wanted)
    assert walk["disagreements"] == []


def test_a_container_may_not_ping_its_gateway_and_the_default_says_so(walled: Tracer) -> None:
    gateway = walled.inspect("docker1", "loner", '{{(index .NetworkSettings.Networks "bridge").Gateway}}')
    predicted = walled.trace(f"icmp://{gateway}", "--from", "loner", "--dry-run", code=1)["stop"]
    stop = walled.trace(f"icmp://{gateway}", "--from", "loner", code=1)["stop"]
    assert predicted["where"] == "host docker1"
    assert "the policy drops it by " in predicted["why"] or "the policy refuses it by " in predicted["why"]
    assert stop["where"] == "docker1"
    assert "our rule dropped it" in stop["why"], stop
    assert predicted["why"].rpartition("/")[2] in stop["why"], (predicted, stop)


def test_with_one_more_rule_the_container_pings_its_gateway(walled: Tracer) -> None:
    text = walled.file.read_text()
    gateway = walled.inspect("docker1", "loner", '{{(index .NetworkSettings.Networks "bridge").Gateway}}')
    try:
        walled.stage.edit(walled.file, PING_HOST, PING_HOST + PING_BACK)
        walled.stage.up(walled.file)
        walk = walled.trace(f"icmp://{gateway}", "--from", "loner")
        wanted = line_of(walled, "containers ping host")
    finally:
        walled.stage.write(text, walled.file)
        walled.stage.up(walled.file)
    assert kinds(walk) == [(1, "container", "docker1"), (1, "host", "docker1")]
    assert any(text.endswith(wanted) for text in ours(walk["steps"][1])), walk["steps"][1]["rules"]


def test_a_container_pings_another_host_behind_its_own_ones_address(walled: Tracer) -> None:
    walk = walled.trace("icmp://docker2", "--from", "loner")
    assert kinds(walk) == [(1, "container", "docker1"), (1, "host", "docker1"), (1, "host", "docker2")]
    middle = walk["steps"][1]
    own = walled.address("docker1", "loner", "bridge")
    assert (middle["translation"], middle["after"]["source"]) == ("MASQUERADE", ADDRESS["docker1"])
    assert (middle["back"]["translated_back"], middle["back"]["left"]["address"]) == (True, own)
    assert walk["count"]["client_seen"] == ADDRESS["docker1"]
    assert walk["disagreements"] == []


def test_members_ping_each_other_over_vxlan_by_the_files_rule(walled: Tracer) -> None:
    walk = walled.trace("icmp://echo2", "--from", "echo1")
    assert kinds(walk) == [
        (1, "container", "docker2"), (1, "overlay", "docker2"), (1, "host", "docker2"),
        (1, "host", "docker3"), (1, "overlay", "docker3"), (1, "container", "docker3"),
    ]  # fmt: skip
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert {tuple(s["vxlan"][:2]) for s in walk["steps"] if s["vxlan"]} == {(ADDRESS["docker2"], ADDRESS["docker3"])}
    wanted = line_of(walled, "members ping each other")
    assert any(text.endswith(wanted) for text in ours(walk["steps"][1])), walk["steps"][1]["rules"]
    assert walk["steps"][1]["forwarding"]["host"] == ADDRESS["docker3"]


@pytest.mark.parametrize(
    ("url", "vantage", "why"),
    [
        ("icmp://echo1", "docker2", "which a host is no part of"),
        ("icmp://loner", "", "no way leads there from outside"),
        ("icmp://docker2", "echo1", "on internal networks only"),
    ],
)
def test_where_no_way_leads_the_reason_is_foretold(walled: Tracer, url: str, vantage: str, why: str) -> None:
    more = ("--from", vantage) if vantage else ()
    stop = walled.trace(url, *more, "--dry-run", code=1)["stop"]
    assert why in stop["why"], stop
    assert not walled.trace(url, *more, code=1)["arrived"]


def test_an_address_that_nobody_has_is_told_with_the_kernels_word(walled: Tracer) -> None:
    stop = walled.trace("icmp://192.168.50.200", code=1)["stop"]
    assert stop["where"] == "client", stop
    assert "nobody answers for its address" in stop["why"] or "host unreachable" in stop["why"], stop
