"""What is said of hosts and of what passes between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.doctor.scenes import (
    DESIRED,
    FACTS,
    NAMES,
    OBSERVED,
    causes,
    looked,
    say,
    server,
    with_host,
    with_looked,
    with_lost,
    with_servers,
)

from dockgate.doctor.model import Link, Meeting, OverlayFacts
from dockgate.model.observed import Observed, ObservedHost, Unknown

BOTH = [("docker1", "docker2"), ("docker2", "docker1")]
DOWN = with_servers(server("web1", "10.0.1.4", status="DOWN", check="L4TOUT"), server("web2", "10.0.1.5"))


def test_nothing_is_said_of_a_system_that_is_well() -> None:
    assert say() == ()


def test_an_engine_that_cannot_be_read_explains_its_members_with_the_reason_of_the_engine() -> None:
    found = say(with_host(Unknown("docker3: connection refused"), "docker3"))
    assert causes(found) == [("engine-unreachable", "docker3")]
    assert found[0].evidence == "connection refused"
    assert found[0].affects == ("apps/web2",)


def test_a_host_that_could_not_be_examined_is_unknown_and_not_well() -> None:
    facts = replace(FACTS, hosts={**FACTS.hosts, "docker2": Unknown("docker2: no node container runs there")})
    facts = replace(facts, meetings={**facts.meetings, "docker2": Unknown("docker2: no node container runs there")})
    found = say(facts=facts)
    assert [(each.severity, each.cause, each.where) for each in found] == [("unknown", "host-not-examined", "docker2")]
    assert found[0].affects == ("docker1 - docker2", "docker2 - docker3")


def test_facts_that_nobody_gathered_are_findings_and_never_silence() -> None:
    found = say(facts=type(FACTS)())
    assert {each.cause for each in found} == {"host-not-examined"}
    assert [each.where for each in found] == list(NAMES)


def test_a_link_without_carrier_explains_pairs_and_members() -> None:
    facts = with_looked("docker2", links=(Link("eth0", "02:00:00:00:00:02", 1500, False, ("192.168.50.12/24",)),))
    lost = [(a, b, kind) for a, b in [*BOTH, ("docker3", "docker2"), ("docker2", "docker3")]
            for kind in ("gossip", "vxlan", "full", "tcp")]  # fmt: skip
    found = say(DOWN, with_lost(*lost, facts=facts))
    assert causes(found) == [("link-down", "docker2")]
    assert found[0].affects == ("docker1 - docker2", "docker2 - docker3", "apps/web1")


@pytest.mark.parametrize(
    ("lost", "cause", "evidence"),
    [
        (("vxlan", "full"), "vxlan-blocked", "UDP port 4789 does not arrive either way; other traffic does"),
        (("gossip",), "gossip-blocked", "port 7946: UDP does not arrive either way"),
        (("full",), "mtu-too-small", "either way: lost on the way; small ones pass"),
        (("gossip", "vxlan", "full", "tcp"), "hosts-apart", "neither gossip nor VXLAN arrived, either way"),
    ],
)
def test_what_does_not_pass_between_two_hosts_is_told_by_its_kind(
    lost: tuple[str, ...], cause: str, evidence: str
) -> None:
    found = say(DOWN, with_lost(*((a, b, kind) for a, b in BOTH for kind in lost)))
    assert causes(found) == [(cause, "docker1 - docker2")]
    assert found[0].evidence == evidence
    assert found[0].affects == ("apps/web1",)


def test_vxlan_on_another_port_is_told_with_that_port() -> None:
    world = Observed(tuple((name, replace(host, vxlan_port=7777)) for name, host in DOWN.hosts))  # type: ignore[type-var]
    found = say(world, with_lost(("docker1", "docker2", "vxlan"), ("docker1", "docker2", "full")))
    assert found[0].evidence == "UDP port 7777 does not arrive from docker1 to docker2; other traffic does"
    assert "let UDP 7777 pass" in found[0].advice


def test_a_gossip_port_that_takes_no_connection_is_told_with_its_direction() -> None:
    found = say(facts=with_lost(("docker3", "docker1", "tcp")))
    assert causes(found) == [("gossip-blocked", "docker1 - docker3")]
    assert found[0].evidence == "port 7946: TCP from docker3 to docker1: no answer"


def test_a_packet_that_the_kernel_does_not_send_is_told_with_its_reason_and_the_link() -> None:
    facts = with_lost(("docker2", "docker1", "full"))
    small = (Link("eth0", "02:00:00:00:00:02", 1400, True, ("192.168.50.12/24",)),)
    met = facts.meetings["docker2"]
    assert isinstance(met, Meeting)
    facts = replace(
        facts,
        hosts={**facts.hosts, "docker2": replace(looked("docker2"), links=small)},
        meetings={**facts.meetings, "docker2": replace(met, refused={("docker1", "full"): "Message too long"})},
    )
    (found,) = say(facts=facts)
    assert found.evidence == ("from docker2 to docker1: Message too long; small ones pass; docker2's eth0 has MTU 1400")


@pytest.mark.parametrize(
    ("count", "said"),
    [(100_000, []), (215_000, [("warning", "conntrack-full")]), (262_144, [("error", "conntrack-full")])],
)
def test_a_connection_table_is_told_when_it_is_nearly_and_when_it_is_full(
    count: int, said: list[tuple[str, str]]
) -> None:
    found = say(facts=with_looked("docker3", conntrack=(count, 262_144)))
    assert [(each.severity, each.cause) for each in found] == said


@pytest.mark.parametrize(
    ("ahead", "said"), [(0.9, ""), (3.01, "its clock is 3.0 s ahead"), (-60.0, "its clock is 60.0 s behind")]
)
def test_a_clock_is_held_against_the_other_hosts_clocks(ahead: float, said: str) -> None:
    found = say(facts=with_looked("docker2", ahead_s=ahead))
    assert [each.what for each in found] == ([said] if said else [])


def test_a_clock_that_was_measured_badly_is_not_called_wrong() -> None:
    assert say(facts=with_looked("docker2", ahead_s=3.0, doubt_s=2.5)) == ()


def test_an_event_stream_that_does_not_open_is_told_with_the_reason() -> None:
    found = say(facts=replace(FACTS, events={**FACTS.events, "docker2": "docker2: no answer within 5 s"}))
    assert causes(found) == [("no-events", "docker2")]
    assert found[0].evidence == "no answer within 5 s"


def test_engines_of_different_versions_are_told_with_their_hosts() -> None:
    found = say(with_host(replace(known("docker3"), engine_version="28.0.1"), "docker3"))
    assert causes(found) == [("versions", "engines")]
    assert found[0].evidence == "26.1 on docker1, docker2; 28.0 on docker3"


def test_a_host_outside_the_swarm_is_told_when_an_overlay_is_wanted() -> None:
    found = say(with_host(replace(known("docker3"), swarm="none", node_address=""), "docker3"))
    assert ("no-swarm", "docker3") in causes(found)


def test_an_address_that_another_host_answers_for_is_told_with_both() -> None:
    met = FACTS.meetings["docker1"]
    assert isinstance(met, Meeting)
    arp = met.arp | {("192.168.50.12", "02:00:00:00:00:03")}
    found = say(facts=replace(FACTS, meetings={**FACTS.meetings, "docker1": replace(met, arp=arp)}))
    assert causes(found) == [("address-conflict", "docker2")]
    assert found[0].evidence == ("ARP for it is answered by docker3 (02:00:00:00:00:03), and it belongs to docker2")


def test_the_own_address_of_a_vip_must_be_on_its_host() -> None:
    desired = replace(DESIRED, vips=(replace(DESIRED.vips[0], address="192.168.50.77"),))
    found = say(desired=desired)
    assert causes(found) == [("address-missing", "VIP web")]


@pytest.mark.parametrize(
    ("facts", "evidence"),
    [
        (
            OverlayFacts((("10.0.1.4", "02:42:0a:00:01:04"),), (("02:42:0a:00:01:04", "192.168.50.12"),)),
            "it has no neighbour entry for 10.0.1.5, which web2 has on docker3",
        ),
        (
            OverlayFacts(
                (("10.0.1.4", "02:42:0a:00:01:04"), ("10.0.1.5", "02:42:00:00:00:99")),
                (("02:42:0a:00:01:04", "192.168.50.12"), ("02:42:00:00:00:99", "192.168.50.13")),
            ),
            "10.0.1.5 is 02:42:00:00:00:99 to it, and web2 has 02:42:0a:00:01:05",
        ),
        (
            OverlayFacts(
                (("10.0.1.4", "02:42:0a:00:01:04"), ("10.0.1.5", "02:42:0a:00:01:05")),
                (("02:42:0a:00:01:04", "192.168.50.12"), ("02:42:0a:00:01:05", "192.168.50.12")),
            ),
            "it sends to 192.168.50.12, and web2 is on docker3 (192.168.50.13)",
        ),
    ],
    ids=["missing", "another MAC", "another host"],
)
def test_an_overlay_entry_that_is_not_as_docker_says_is_stale(facts: OverlayFacts, evidence: str) -> None:
    down = with_servers(server("web1", "10.0.1.4"), server("web2", "10.0.1.5", status="DOWN"))
    found = say(down, with_looked("docker1", overlays={"net1": facts}))
    assert causes(found) == [("stale-neighbour", "backend on docker1")]
    assert (found[0].evidence, found[0].affects) == (evidence, ("apps/web2",))


def test_an_overlay_that_could_not_be_read_is_unknown() -> None:
    found = say(facts=with_looked("docker1", overlays={"net1": Unknown("there is no namespace")}))
    assert [(each.severity, each.cause) for each in found] == [("unknown", "neighbours-not-read")]


def test_two_hosts_of_which_each_fails_are_two_findings() -> None:
    observed = with_host(Unknown("docker2: refused"), "docker2", with_host(Unknown("docker3: refused"), "docker3"))
    assert causes(say(observed)) == [("engine-unreachable", "docker2"), ("engine-unreachable", "docker3")]


def known(name: str) -> ObservedHost:
    state = OBSERVED.host(name)
    assert isinstance(state, ObservedHost)
    return state


def test_an_address_that_the_swarm_knows_and_no_link_has_is_a_warning_that_hides_nothing() -> None:
    facts = with_looked("docker2", links=(Link("eth0", "02:00:00:00:00:02", 1500, True, ("10.9.9.9/24",)),))
    found = say(facts=with_lost(*((a, b, "gossip") for a, b in BOTH), facts=facts))
    assert [(each.severity, each.cause) for each in found] == [
        ("warning", "address-lost"),
        ("error", "gossip-blocked"),
    ]
