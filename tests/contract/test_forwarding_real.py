"""Forwarding and published ports by our own rules, in the kernel: what Docker's would do is done, and nothing more.

The same namespaces and the same questions as for the policy beside Docker's rules, with those taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from tests.contract.firewall_stage import Stage
from tests.contract.test_firewall_real import CELLS, HOST, HOST6, MATRIX, OFFICE, OFFICE6, WEB, WEB6, expected, facts
from tests.contract.test_firewall_real import LB4 as LB
from tests.unit.spec.reading import read

from dockgate.firewall import compile_ruleset, complete, render
from dockgate.firewall.facts import Bridge
from dockgate.firewall.forwarding import Forwarding, Side
from dockgate.firewall.forwarding_text import forwarding_text

pytestmark = pytest.mark.lab

NOTHING = "table inet dockgate\ndelete table inet dockgate\n"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    try:
        made.up()
        made.lose_docker()
        yield made
    finally:
        made.down()


def forwarding(*, icc: bool = True, internal: bool = False, proxy: bool = True) -> Forwarding:
    bridge = facts().bridges[0]
    side = Side(bridge, internal=internal, icc=icc, masquerade=not internal)
    other = Side(Bridge("other", "br-other", (ip_network("172.18.0.0/16"),)))
    ports = tuple(item for item in facts().publications if item.host_address is None)
    return Forwarding((side, other), () if internal else ports, proxy)


def load(stage: Stage, made: Forwarding) -> None:
    text = NOTHING + forwarding_text(made, "dockgate.yaml:9")
    stage.check(text)
    stage.load(text)


def test_the_precondition_holds_without_rules_a_published_port_is_the_hosts_own(stage: Stage) -> None:
    stage.load(NOTHING)
    assert stage.tcp(stage.client, OFFICE, HOST, 80) == "refused"
    assert stage.tcp(stage.client, OFFICE, WEB, 80) == "open"


def test_a_published_port_leads_to_its_container_over_both_families(stage: Stage) -> None:
    load(stage, forwarding())
    assert stage.tcp(stage.client, OFFICE, HOST, 80) == "open"
    assert stage.tcp(stage.client, OFFICE, HOST, 8080) == "open"
    assert stage.tcp(stage.client, OFFICE6, HOST6, 8080) == "open"


def test_the_hosts_own_request_to_its_published_port_is_led_there_as_well(stage: Stage) -> None:
    load(stage, forwarding())
    assert stage.tcp(stage.host, "", HOST, 80) == "open"


def test_nobody_outside_reaches_what_is_not_published(stage: Stage) -> None:
    load(stage, forwarding())
    assert stage.tcp(stage.client, OFFICE, WEB, 80) == "dropped"
    assert stage.tcp(stage.client, OFFICE6, WEB6, 80) == "dropped"
    assert stage.ping(stage.client, OFFICE, WEB) == "dropped"


def test_containers_reach_the_outside_and_each_other(stage: Stage) -> None:
    load(stage, forwarding())
    assert stage.tcp(stage.web, WEB, OFFICE, 9000) == "open"
    assert stage.tcp(stage.web, WEB6, OFFICE6, 9000) == "open"
    assert stage.tcp(stage.lb, LB, WEB, 80) == "open"


def test_containers_of_a_network_without_icc_do_not_reach_each_other(stage: Stage) -> None:
    load(stage, forwarding(icc=False))
    assert stage.tcp(stage.lb, LB, WEB, 80) == "dropped"
    assert stage.tcp(stage.web, WEB, OFFICE, 9000) == "open"


def test_an_internal_network_has_no_way_out_and_none_in(stage: Stage) -> None:
    load(stage, forwarding(internal=True))
    assert stage.tcp(stage.web, WEB, OFFICE, 9000) == "dropped"
    assert stage.tcp(stage.web, WEB6, OFFICE6, 9000) == "dropped"
    assert stage.tcp(stage.client, OFFICE, WEB, 80) == "dropped"
    assert stage.tcp(stage.lb, LB, WEB, 80) == "open"
    assert stage.tcp(stage.host, "", WEB, 80) == "open"


def test_without_a_proxy_a_container_reaches_its_neighbours_published_port(stage: Stage) -> None:
    """With one it is the proxy that answers, on the host itself: there, nobody listens at 80."""
    load(stage, forwarding())
    assert stage.tcp(stage.web, WEB, "172.17.0.1", 80) == "refused"
    load(stage, forwarding(proxy=False))
    assert stage.tcp(stage.web, WEB, "172.17.0.1", 80) == "open"


def test_a_frame_for_the_loopback_is_dropped_without_any_policy(stage: Stage) -> None:
    load(stage, forwarding())
    stage.frame("127.0.0.1", 9000)
    assert stage.counts()["n_guard"] == 1


def test_real_packets_agree_with_the_policy_as_they_do_beside_dockers_rules(stage: Stage) -> None:
    policy = complete(read(MATRIX).desired)
    stage.load(render(compile_ruleset(policy, facts())) + forwarding_text(forwarding(), "dockgate.yaml:9"))
    wrong = []
    for item in CELLS:
        outcome, chain = expected(policy, MATRIX, item.flow)
        before = stage.counts()
        measured = item.send(stage)
        counted = {name for name, count in stage.counts().items() if count > before.get(name, 0)}
        if measured != outcome or (chain and chain not in counted):
            wrong.append(f"{item.name}: {measured}, not {outcome}; counted by {sorted(counted)}, not {chain}")
    assert not wrong, "\n".join(wrong)


def test_two_hundred_replaces_lose_nothing_of_a_translated_connection(stage: Stage) -> None:
    policy = complete(read(MATRIX).desired)
    rules = render(compile_ruleset(policy, facts())) + forwarding_text(forwarding(), "dockgate.yaml:9")
    stage.load(rules)
    with stage.echo(HOST, 80) as said:
        for _ in range(200):
            stage.load(rules)
    assert [item for item in said if not isinstance(item, float)] == []
    assert len(said) > 500


def test_a_port_that_is_published_on_one_address_is_not_led_on_at_another(stage: Stage) -> None:
    made = forwarding()
    at = tuple(replace(item, host_address=ip_address("192.168.50.12")) for item in made.ports if item.family == 4)
    load(stage, replace(made, ports=at))
    assert stage.tcp(stage.client, OFFICE, HOST, 80) == "refused"
