"""The proof of the proof, without a kernel: a fault seeded into a rule set or the world is found, each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from tests.fakes.packets import FakeWorld
from tests.proving import finds_nothing, finds_the_fault
from tests.scenes import FILE, scene

from dockgate.firewall import compile_ruleset
from dockgate.firewall.ruleset import Accept, Chain, Drop, InSet, Is, Line, Reject, Ruleset
from dockgate.verify import Scene

HOST1, HOST2, HOST3 = "host docker1", "host docker2", "host docker3"
BACK1, BACK2, BACK3 = (f"overlay back on docker{number}" for number in (1, 2, 3))
Fault = Callable[[FakeWorld], None]


@pytest.fixture(scope="module")
def stage() -> Scene:
    return scene()


def without_chain_lines(place: str, chain: str) -> Fault:
    return lambda world: edit(world, place, chain, lambda found: replace(found, lines=()))


def without_last_line(place: str, chain: str) -> Fault:
    return lambda world: edit(world, place, chain, lambda found: replace(found, lines=found.lines[:-1]))


def verdict(place: str, rule: str, action: Accept | Drop | Reject) -> Fault:
    """The rule's own chain does something else."""

    def change(world: FakeWorld) -> None:
        name = next(c.name for c in world.rulesets[place].chains if c.lines and c.lines[-1].comment.endswith(rule))
        edit(world, place, name, lambda c: replace(c, lines=tuple(replace(x, action=action) for x in c.lines)))

    return change


def without_first_element(place: str, table: str) -> Fault:
    """A set or map loses one element; it must have one."""

    def change(world: FakeWorld) -> None:
        ruleset = world.rulesets[place]
        assert any(item.name == table and item.elements for item in (*ruleset.sets, *ruleset.maps)), table
        sets = tuple(replace(s, elements=s.elements[1:]) if s.name == table else s for s in ruleset.sets)
        maps = tuple(replace(m, elements=m.elements[1:]) if m.name == table else m for m in ruleset.maps)
        world.rulesets[place] = replace(ruleset, sets=sets, maps=maps)

    return change


def without_client(place: str, field: str) -> Fault:
    """The first container whose own address in the client's place is asked for is asked for no more."""

    def about(line: Line) -> bool:
        return any(isinstance(match, Is) and match.field == field for match in line.matches)

    def without(chain: Chain) -> Chain:
        first = next(index for index, line in enumerate(chain.lines) if about(line))
        return replace(chain, lines=(*chain.lines[:first], *chain.lines[first + 1 :]))

    return lambda world: edit(world, place, "c_judge_forward", without)


def rules_of(old: str, new: str, *places: str) -> Fault:
    """The rules of another file."""

    def change(world: FakeWorld) -> None:
        assert old in FILE
        other = scene(FILE.replace(old, new))
        for place in (*other.hosts.values(), *other.overlays.values()):
            if place.name in places or not places:
                world.rulesets[place.name] = compile_ruleset(other.policy, place.facts)

    return change


def without_ipv6(world: FakeWorld) -> None:
    """Guards that somebody wrote for IPv4 only."""
    edit(
        world,
        HOST2,
        "c_raw",
        lambda chain: replace(chain, lines=tuple(x for x in chain.lines if not _is_v6(x.matches))),
    )


def _is_v6(matches: tuple[object, ...]) -> bool:
    fields = [match.fields[0] for match in matches if isinstance(match, InSet)]
    fields += [match.field for match in matches if isinstance(match, Is)]
    return any(field.endswith("6") for field in fields)


def stranger_among_peers(world: FakeWorld) -> None:
    for name, ruleset in world.rulesets.items():
        sets = tuple(
            replace(s, elements=(*s.elements, (ip_address("192.168.50.254"),))) if s.name == "peers4" else s
            for s in ruleset.sets
        )
        world.rulesets[name] = replace(ruleset, sets=sets)


def accept_first(world: FakeWorld) -> None:
    """Somebody's accept at the top of our own chain."""
    edit(
        world,
        HOST2,
        "c_judge_forward",
        lambda c: replace(c, lines=(replace(c.lines[-1], matches=(), action=Accept()), *c.lines)),
    )


def edit(world: FakeWorld, place: str, name: str, change: Callable[[Chain], Chain]) -> None:
    ruleset: Ruleset = world.rulesets[place]
    assert any(chain.name == name for chain in ruleset.chains), name
    chains = tuple(change(chain) if chain.name == name else chain for chain in ruleset.chains)
    world.rulesets[place] = replace(ruleset, chains=chains)


FAULTS: dict[str, Fault] = {
    "no table on a host": lambda world: world.rulesets.pop(HOST3) and None,
    "no table in an overlay on one host": lambda world: world.rulesets.pop(BACK2) and None,
    "forward decides nothing": without_chain_lines(HOST2, "c_forward"),
    "input decides nothing": without_chain_lines(HOST2, "c_input"),
    "output decides nothing": without_chain_lines(HOST1, "c_output"),
    "guards decide nothing": without_chain_lines(HOST2, "c_raw"),
    "peers are not asked for": without_chain_lines(HOST1, "c_peers"),
    "an overlay decides nothing": without_chain_lines(BACK3, "c_forward"),
    "no default in forward": without_last_line(HOST2, "c_judge_forward"),
    "no default in an overlay": without_last_line(BACK1, "c_judge_forward"),
    "no default behind the proxy": without_last_line(HOST2, "c_published"),
    "no default to the host": without_last_line(HOST2, "c_input"),
    "the default accepts": verdict(HOST2, "default deny", Accept()),
    "the default rejects": verdict(HOST2, "default deny", Reject()),
    "a reject drops": verdict(HOST2, "db stays off the host", Drop()),
    "an allow drops": verdict(HOST2, "app to db", Drop()),
    "a VIP's clients are dropped": verdict(HOST1, "clients of web", Drop()),
    "a load balancer's way to a member is dropped": verdict(BACK1, "web to web1 (site)", Drop()),
    "a bridge is missing": without_first_element(HOST2, "bridges"),
    "a subnet is missing": without_first_element(HOST2, "subnets4"),
    "an IPv6 subnet is missing": without_first_element(HOST2, "subnets6"),
    "a host of the project is missing": without_first_element(HOST1, "peers4"),
    "a stranger counts as a host": stranger_among_peers,
    "a client is missing": without_client(HOST2, "saddr4"),
    "an IPv6 client is missing": without_client(HOST2, "saddr6"),
    "a published port is missing": without_first_element(HOST2, "published_any"),
    "guards for IPv4 only": without_ipv6,
    "a foreign accept in our chain": accept_first,
    "a swapped direction": rules_of("from: host, to: bridge", "from: bridge, to: host"),
    "a wrong zone": rules_of("from: office, to", "from: world, to"),
    "a wrong port": rules_of("port: [5432,", "port: [5433,"),
    "a shorter range": rules_of('"6000-6010"', '"6000-6009"'),
    "a wrong protocol": rules_of("to: bridge, protocol: icmp", "to: bridge, protocol: udp"),
    "a rule of another line": rules_of("  zones: {office", "\n  zones: {office"),
    "a foreign drop": lambda world: world.foreign.add(HOST1),
    "a masquerade where there must be none": lambda world: world.masqueraded.add("web1"),
    "a target that is dead": lambda world: world.dead.add("db"),
    "a Docker API without TLS": lambda world: world.talkative.update({"Docker API": "200 OK\r\nApi-Version: 1"}),
    "a runtime socket on the network": lambda world: world.talkative.update(
        {"load balancer's runtime socket": "Name: HAProxy\n"}
    ),
    "statistics for everybody": lambda world: world.talkative.update(
        {"statistics without its password": "HTTP/1.0 200 OK\r\n"}
    ),
    "statistics that do not answer": lambda world: world.talkative.update({"statistics without its password": "x"}),
}  # fmt: skip


def test_a_world_without_a_fault_is_proved(stage: Scene) -> None:
    finds_nothing(FakeWorld.of(stage).prove)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(stage: Scene, fault: str) -> None:
    world = FakeWorld.of(stage)
    FAULTS[fault](world)
    finds_the_fault(world.prove, fault)


def test_a_cell_that_was_not_measured_fails_the_proof(stage: Scene) -> None:
    world = FakeWorld.of(stage)
    some = world.prove().results
    for result in (some[0], some[len(some) // 2], some[-1]):
        world.lost = {result.job}
        assert [(r.job, r.status) for r in world.prove().results if r.status != "ok"] == [(result.job, "probe failed")]


def test_a_probe_that_could_not_be_sent_never_counts_as_blocked(stage: Scene) -> None:
    world = FakeWorld.of(stage)
    results = world.prove().results
    world.broken = {result.job for result in results}
    assert {result.status for result in world.prove().results} == {"probe failed"}
