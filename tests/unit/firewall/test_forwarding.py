"""Which ports lead where, and which networks are apart, when the engine writes no rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.spec.reading import read
from tests.worlds import bare_world, with_container

from dockgate.firewall import host_facts
from dockgate.firewall.engine import mismatch
from dockgate.firewall.facts import HostFacts
from dockgate.firewall.forwarding import Forwarding, forwarding_gaps, forwarding_of
from dockgate.firewall.forwarding_text import forwarding_text
from dockgate.firewall.host_rules import HostRules, host_rules
from dockgate.model.desired import Desired
from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    Unknown,
)

FILE = "project: p\nfirewall:\n  docker_iptables: {}\n"
OFF = EngineRules(iptables=False)
ON_ALL = PublishedPort(80, 8080)
NETWORKS = (
    ObservedNetwork("b1", "bridge", "bridge", "local", False, False, subnet="172.17.0.0/16"),
    ObservedNetwork("a1", "apps", "bridge", "local", False, False, subnet="172.18.0.0/16", subnet6="fd00:18::/64"),
    ObservedNetwork("i1", "inner", "bridge", "local", True, False, subnet="172.19.0.0/16"),
    ObservedNetwork("n1", "noisy", "bridge", "local", False, False, subnet="172.20.0.0/16", icc=False),
)


def desired(docker_iptables: str = "off") -> Desired:
    return read(FILE.format(docker_iptables)).desired


def world(*containers: Container, rules: EngineRules = OFF, bridge_filter: bool = True) -> Observed:
    made = bare_world(desired())
    for container in containers:
        made = with_container(made, "local", container)
    host = made.host("local")
    assert isinstance(host, ObservedHost)
    host = replace(host, networks=NETWORKS, engine_rules=rules, bridge_filter=bridge_filter)
    return replace(made, hosts=(("local", host),))


def web(*places: Attachment, published: PublishedPort = ON_ALL) -> Container:
    return Container("1", "web", "web", "running", Labels(), places, (published,))


def both(observed: Observed) -> tuple[ObservedHost, HostFacts]:
    host, facts = observed.host("local"), host_facts(desired(), observed, "local")
    assert isinstance(host, ObservedHost)
    assert isinstance(facts, HostFacts)
    return host, facts


def forwarding(observed: Observed) -> Forwarding:
    return forwarding_of(*both(observed))


def leads(observed: Observed) -> list[str]:
    return [str(item.address) for item in forwarding(observed).ports]


def test_a_port_of_a_container_on_several_networks_leads_to_the_first_by_name_that_has_a_way_out() -> None:
    places = (Attachment("bridge", "172.17.0.2"), Attachment("inner", "172.19.0.2"), Attachment("apps", "172.18.0.2"))
    assert leads(world(web(*places))) == ["172.18.0.2"]


def test_a_container_that_is_only_on_an_internal_network_is_led_to_by_no_port() -> None:
    assert leads(world(web(Attachment("inner", "172.19.0.2")))) == []


@pytest.mark.parametrize(("proxy", "found"), [(True, []), (False, ["172.17.0.2"])])
def test_a_port_published_on_the_loopback_is_left_to_the_proxy_where_there_is_one(
    proxy: bool, found: list[str]
) -> None:
    container = web(Attachment("bridge", "172.17.0.2"), published=PublishedPort(80, 8080, "127.0.0.1"))
    assert leads(world(container, rules=EngineRules(iptables=False, proxy=proxy))) == found


def test_internal_networks_are_not_masqueraded() -> None:
    sides = {side.bridge.network: side.masquerade for side in forwarding(world()).sides}
    assert sides == {"bridge": True, "apps": True, "inner": False, "noisy": True}


@pytest.mark.parametrize(("told", "found"), [(True, True), (None, True), (False, False)])
def test_the_default_bridge_is_masqueraded_though_an_engine_without_rules_lists_it_as_not(
    told: bool | None, found: bool
) -> None:
    observed = world(rules=EngineRules(iptables=False, masquerade=told))
    host, facts = both(observed)
    listed = replace(host, networks=(replace(NETWORKS[0], masquerade=False),))
    assert [side.masquerade for side in forwarding_of(listed, facts).sides] == [found]


def test_the_same_forwarding_gives_the_same_bytes_whoever_is_named_first() -> None:
    one = web(Attachment("bridge", "172.17.0.2"))
    two = replace(one, id="2", name="aaa", published=(PublishedPort(80, 8081),))
    texts = {forwarding_text(forwarding(world(*order)), "x:1") for order in ((one, two), (two, one))}
    assert len(texts) == 1


def test_every_rule_that_decides_names_the_line_of_the_file_that_asks_for_it() -> None:
    text = forwarding_text(forwarding(world()), "dockgate.yaml:3")
    decides = [
        line for line in text.splitlines() if any(word in f"{line} " for word in (" drop ", " dnat ip", " masquerade "))
    ]
    assert len(decides) > 8
    assert all('comment "dockgate.yaml:3 ' in line for line in decides)


def test_without_the_key_nothing_of_it_is_in_the_rules() -> None:
    text = "project: p\nfirewall:\n  default: deny\n"
    rules = host_rules(read(text).desired, world(rules=EngineRules()), "local")
    assert isinstance(rules, HostRules)
    assert all("n_forward" not in table.text for table in rules.tables)


def test_with_the_key_it_is_in_the_hosts_rules_even_without_a_policy() -> None:
    rules = host_rules(desired(), world(), "local")
    assert isinstance(rules, HostRules)
    assert "n_forward" in rules.tables[0].text


def test_a_network_whose_containers_cannot_be_kept_apart_is_a_gap() -> None:
    assert any("noisy" in gap for gap in forwarding_gaps(*both(world(bridge_filter=False))))
    assert not any("noisy" in gap for gap in forwarding_gaps(*both(world())))


def test_ipv6_networks_on_a_host_that_does_not_forward_ipv6_are_a_gap() -> None:
    assert any("IPv6 forwarding is off on local" in gap for gap in forwarding_gaps(*both(world())))
    passes = EngineRules(iptables=False, forwarding6=True)
    assert not any("IPv6" in gap for gap in forwarding_gaps(*both(world(rules=passes))))


# --- the engine and the file


def said(rules: EngineRules, docker_iptables: str = "off") -> str:
    return str(mismatch(desired(docker_iptables), both(world(rules=rules))[0]) or "")


def test_an_engine_that_writes_rules_while_the_file_says_off_is_named_and_nothing_is_loaded() -> None:
    rules = EngineRules(iptables=True, chains=("ip nat DOCKER",))
    assert "the engine there writes rules of its own" in said(rules)
    made = host_rules(desired(), world(rules=rules), "local")
    assert isinstance(made, Unknown)
    assert '"iptables": false' in made.reason


def test_rules_that_an_engine_left_behind_stop_ours_as_well() -> None:
    assert "still there (ip nat DOCKER)" in said(EngineRules(iptables=False, chains=("ip nat DOCKER",)))


def test_a_kernel_that_passes_nothing_on_is_named_with_the_switch() -> None:
    assert "sysctl -w net.ipv4.ip_forward=1" in said(EngineRules(iptables=False, forwarding=False))


def test_an_engine_that_writes_none_while_the_file_says_on_is_told_and_stops_nothing() -> None:
    wrong = mismatch(desired("on"), both(world(rules=OFF))[0])
    assert wrong is not None
    assert not wrong.stops
    assert "docker_iptables: off" in wrong.hint


@pytest.mark.parametrize(("rules", "word"), [(EngineRules(), "on"), (OFF, "off")])
def test_an_engine_and_a_file_that_agree_are_no_finding(rules: EngineRules, word: str) -> None:
    assert said(rules, word) == ""


def test_an_engine_whose_settings_cannot_be_read_is_judged_by_the_rules_that_stand() -> None:
    assert said(EngineRules(iptables=None)) == ""
    assert "still there" in said(EngineRules(iptables=None, chains=("ip nat DOCKER",)))
