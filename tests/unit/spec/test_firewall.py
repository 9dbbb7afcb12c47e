"""The firewall's section: what it becomes, and what cannot be meant."""

from __future__ import annotations

import pytest
from tests.unit.spec.reading import VALID, desired, problem, problems, read

from dockgate.model.policy import (
    AddressesZone,
    ContainerZone,
    Firewall,
    HostZone,
    LabelZone,
    LanZone,
    NetworkZone,
    Rule,
    VipZone,
    WorldZone,
    Zone,
)


def firewall(*lines: str, default: str = "deny") -> str:
    """The valid file with a firewall of these lines."""
    return VALID + f"firewall:\n  default: {default}\n" + "".join(f"  {line}\n" for line in lines)


def rule(text: str, verdict: str = "allow") -> str:
    """One rule in a list of its own."""
    return firewall("zones: {office: [192.0.2.0/24]}", f"{verdict}:", f"  - {{name: r, {text}}}")


def parsed(content: str) -> Firewall:
    found = desired(content).firewall
    assert found is not None
    return found


def only(content: str) -> Rule:
    (found,) = parsed(content).rules
    return found


ZONES: dict[str, Zone] = {
    "host": HostZone(),
    "lan": LanZone(),
    "world": WorldZone(),
    "bridge": NetworkZone("bridge"),
    "back": NetworkZone("back"),
    "office": AddressesZone("office", ("192.0.2.0/24",)),
    "'network:other'": NetworkZone("other"),
    "'container:web1'": ContainerZone("web1"),
    "'label:tier=front'": LabelZone("tier", "front"),
}


@pytest.mark.parametrize("said", ZONES)
def test_knows_every_way_to_name_a_zone(said: str) -> None:
    other = "back" if said in ("host", "lan", "world", "office") else "host"
    assert only(rule(f"from: {said}, to: {other}")).client == ZONES[said]


def test_a_vip_is_known_by_its_ports() -> None:
    assert only(rule("from: office, to: 'vip:web'")).server == VipZone("shop", "web", None, (80,))


def test_has_defaults() -> None:
    found = parsed(VALID + "firewall: {}\n")
    assert (found.default, found.docker_iptables, found.failsafe, found.rules) == ("off", True, (22,), ())


PORTS = {
    "80": ((80, 80),),
    "[443, 80]": ((80, 80), (443, 443)),
    "'8000-8100'": ((8000, 8100),),
    "[80, 81]": ((80, 81),),
}


@pytest.mark.parametrize("said", PORTS)
def test_ports_become_ranges(said: str) -> None:
    assert only(rule(f"from: office, to: back, protocol: tcp, port: {said}")).ports == PORTS[said]


def test_rules_keep_the_files_order_across_lists() -> None:
    lists = ["drop:", "  - {name: one, from: lan, to: back}", "allow:", "  - {name: two, from: world, to: back}"]
    assert [(item.name, item.verdict) for item in parsed(firewall(*lists)).rules] == [("one", "drop"), ("two", "allow")]


def test_a_rule_knows_its_line() -> None:
    assert str(only(rule("from: host, to: back")).source) == "f:17:7"


WRONG = {
    "an unknown zone": ("from: ofice, to: back", "names 'ofice', which is not a zone; did you mean 'office'?"),
    "a container without its kind": ("from: web1, to: host", "not a zone; did you mean container:web1?"),
    "an unknown kind of zone": ("from: 'contaner:a', to: host", "is not a kind of zone; did you mean 'container'?"),
    "an unknown VIP": ("from: lan, to: 'vip:wob'", "names 'wob', which is not in 'vips'; did you mean 'web'?"),
    "a label without value": ("from: 'label:tier', to: host", "names a label without a value"),
    "icmp with a port": ("from: host, to: back, protocol: icmp, port: 80", "needs a protocol that has ports, not icmp"),
    "a port without protocol": ("from: host, to: back, port: 80", "add protocol: tcp or protocol: udp"),
    "a VIP as the client": ("from: 'vip:web', to: host", "is a VIP, and connections do not come from one"),
    "a VIP over udp": ("from: lan, to: 'vip:web', protocol: udp", "and a VIP listens on TCP only"),
    "a port that the VIP has not": (
        "from: lan, to: 'vip:web', protocol: tcp, port: 81",
        "does not listen there; it listens on 80",
    ),
    "the host to itself": ("from: host, to: host", "is from the host to itself"),
    "two places outside": ("from: lan, to: world", "no Docker host stands between them"),
    "another list's action": ("from: host, to: back, action: drop", "the rule stands in the list 'allow'"),
    "a port too high": ("from: host, to: back, protocol: tcp, port: 65536", "must be between 1 and 65535"),
    "a range backwards": ("from: host, to: back, protocol: tcp, port: '9-1'", "ends before it begins ('9-1')"),
    "no ports": ("from: host, to: back, protocol: tcp, port: []", "must not be empty"),
    "a protocol of its own": ("from: host, to: back, protocol: icpm", "did you mean 'icmp'?"),
    "an unknown key": ("from: host, to: back, prot: tcp", "unknown key 'prot'"),
}


@pytest.mark.parametrize(("said", "wrong"), WRONG.values(), ids=WRONG)
def test_refuses(said: str, wrong: str) -> None:
    found = problem(rule(said))
    assert wrong in found
    assert found.startswith("f:17:")


SETS = {
    "an empty set": ("{office: []}", "firewall.zones.office must not be empty"),
    "host bits": ("{office: [192.0.2.1/24]}", "did you mean 192.0.2.0/24?"),
    "no prefix": ("{office: [here]}", "must be an address or a prefix, not 'here'"),
    "a prefix twice": ("{office: [192.0.2.0/24, 192.0.2.0/24]}", "has '192.0.2.0/24' twice"),
    "a word of ours": ("{world: [192.0.2.0/24]}", "firewall.zones.world is a word of the policy"),
    "a network's name": ("{back: [192.0.2.0/24]}", "firewall.zones.back is also the name of a network"),
}


@pytest.mark.parametrize(("said", "wrong"), SETS.values(), ids=SETS)
def test_refuses_sets(said: str, wrong: str) -> None:
    assert wrong in problem(firewall(f"zones: {said}"))


def test_refuses_a_name_twice() -> None:
    lines = ["allow:", "  - {name: a, from: host, to: back}", "  - {name: a, from: lan, to: back}"]
    assert "a rule named 'a' stands here a second time; the first is in line 16" in problem(firewall(*lines))


def notes(content: str) -> str:
    return "\n".join(map(str, read(content).notes))


def test_notes_a_rule_that_an_earlier_one_hides() -> None:
    lines = ["drop:", "  - {name: all, from: world, to: back}", "allow:", "  - {name: some, from: lan, to: back}"]
    assert "the rule 'some' is never used: 'all' in line 16 decides first (drop)" in notes(firewall(*lines))


def test_notes_no_rule_that_an_earlier_one_hides_in_part() -> None:
    lines = ["drop:", "  - {name: all, from: lan, to: back}", "allow:", "  - {name: some, from: world, to: back}"]
    assert "never used" not in notes(firewall(*lines))


@pytest.mark.parametrize(("word", "docker"), [("on", True), ("off", False)])
def test_who_writes_dockers_rules_is_the_files_word(word: str, docker: bool) -> None:
    made = read(firewall(f"docker_iptables: {word}")).desired.firewall
    assert made is not None
    assert made.docker_iptables is docker


def test_notes_what_is_there_for_nothing() -> None:
    assert "failsafe is empty" in notes(firewall("failsafe: []"))
    assert "these rules change nothing" in notes(firewall("allow: [{name: a, from: lan, to: back}]", default="off"))


def test_one_mistake_does_not_hide_another() -> None:
    lines = ["zones: {office: []}", "allow:", "  - {name: a, from: nobody, to: host, protocol: icmp, port: 80}"]
    assert len(problems(firewall(*lines))) == 3
