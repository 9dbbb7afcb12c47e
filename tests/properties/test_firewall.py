"""The compiled rule set does what the policy says: two judges that share no code, compared cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from tests.contract.test_firewall_real import (
    CELLS,
    CROWDED,
    DESK,
    HOST,
    HOST6,
    MATRIX,
    OFFICE,
    OFFICE6,
    OTHER,
    OTHER6,
    PEER,
    facts_for,
)
from tests.firewalls import desired_firewalls, facts_of_hosts, facts_of_overlays, some_flows
from tests.unit.spec.reading import read

from dockgate.firewall import compile_ruleset, complete, evaluate, render, render_iptables
from dockgate.firewall.evaluate import Decision, Flow
from dockgate.firewall.facts import HostFacts
from dockgate.firewall.ruleset import Accept, Chain, Ruleset
from dockgate.firewall.ruleset_eval import Machine, Outcome
from dockgate.model.desired import Desired
from dockgate.model.policy import Policy

FLOWS = 400
"""Cells compared for each policy and host."""

_WORDS = {"accept": "allow", "drop": "drop", "reject": "reject"}


def disagreements(policy: Policy, facts: HostFacts, ruleset: Ruleset, flows: list[Flow]) -> list[str]:
    """Every cell in which the verdict or the rule that decides differs."""
    machine = Machine(ruleset)
    return [
        f"{flow}\n  policy: {said.verdict} by {said.rule}\n  rules: {found}"
        for flow in flows
        if not agrees(policy, said := evaluate(policy, facts, flow), found := machine.run(flow))
    ]


def agrees(policy: Policy, said: Decision, found: Outcome) -> bool:
    if said.verdict != _WORDS[found.verdict]:
        return False
    decided = policy.rules[int(found.chain[2:])] if found.chain.startswith("r_") else None
    return decided is said.rule


@given(st.data(), desired_firewalls(), st.integers(0, 2**32))
def test_the_rules_of_a_host_do_what_its_policy_says(data: st.DataObject, desired: Desired, seed: int) -> None:
    facts = data.draw(facts_of_hosts(desired))
    policy = complete(desired)
    flows = some_flows(facts, seed, FLOWS)
    assert disagreements(policy, facts, compile_ruleset(policy, facts), flows) == []


@given(st.data(), desired_firewalls(), st.integers(0, 2**32))
def test_the_rules_of_an_overlay_do_what_its_policy_says(data: st.DataObject, desired: Desired, seed: int) -> None:
    facts = data.draw(facts_of_overlays(desired))
    policy = complete(desired)
    flows = some_flows(facts, seed, FLOWS)
    assert disagreements(policy, facts, compile_ruleset(policy, facts), flows) == []


@given(st.data(), desired_firewalls())
def test_the_same_policy_gives_the_same_bytes(data: st.DataObject, desired: Desired) -> None:
    facts = data.draw(facts_of_hosts(desired))
    policy = complete(desired)
    text = render(compile_ruleset(policy, facts))
    assert text == render(compile_ruleset(policy, facts))
    assert text.startswith("# dockgate")
    assert render_iptables(policy, facts) == render_iptables(policy, facts)


@given(st.data(), desired_firewalls())
def test_one_empty_nat_chain_is_always_there(data: st.DataObject, desired: Desired) -> None:
    """Removing the last one of a host would reset connections that Docker translated."""
    ruleset = compile_ruleset(complete(desired), data.draw(facts_of_hosts(desired)))
    nat = [chain for chain in ruleset.chains if chain.base and chain.base.type == "nat"]
    assert [chain.lines for chain in nat] == [()]


def faults(ruleset: Ruleset) -> Iterator[tuple[str, Ruleset]]:
    """The rule set with one thing wrong: a line lost, an element lost, a drop that became an accept."""
    for number, chain in enumerate(ruleset.chains):
        for index in range(len(chain.lines)):
            lines = chain.lines[:index] + chain.lines[index + 1 :]
            yield f"{chain.name} without line {index}", _with_chain(ruleset, number, replace(chain, lines=lines))
        if chain.name.startswith("r_"):
            last = replace(chain.lines[-1], action=Accept())
            if last != chain.lines[-1]:
                made = replace(chain, lines=(*chain.lines[:-1], last))
                yield f"{chain.name} accepts", _with_chain(ruleset, number, made)
    for number, table in enumerate(ruleset.maps):
        for index in range(len(table.elements)):
            left = replace(table, elements=table.elements[:index] + table.elements[index + 1 :])
            maps = (*ruleset.maps[:number], left, *ruleset.maps[number + 1 :])
            yield f"{table.name} without element {index}", replace(ruleset, maps=maps)
    for number, found in enumerate(ruleset.sets):
        for index in range(len(found.elements)):
            fewer = replace(found, elements=found.elements[:index] + found.elements[index + 1 :])
            sets = (*ruleset.sets[:number], fewer, *ruleset.sets[number + 1 :])
            yield f"{found.name} without element {index}", replace(ruleset, sets=sets)


def _with_chain(ruleset: Ruleset, number: int, chain: Chain) -> Ruleset:
    return replace(ruleset, chains=(*ruleset.chains[:number], chain, *ruleset.chains[number + 1 :]))


def variants(flow: Flow) -> Iterator[Flow]:
    """The flow and its neighbours: other states, other clients, other ports."""
    yield flow
    yield replace(flow, state="established")
    yield replace(flow, state="invalid")
    yield replace(flow, syn=False)
    yield replace(flow, port=7946, asked=None)
    yield replace(flow, port=7946, protocol="udp", asked=None)
    yield replace(flow, port=9000, protocol="tcp", asked=None)
    yield replace(flow, protocol="gre", port=0, asked=None)
    yield replace(flow, protocol="icmp", port=0, asked=None, icmp_type=135)
    for source in (OFFICE, DESK, OTHER, PEER) if flow.source.version == 4 else (OFFICE6, OTHER6):
        for port in (flow.port, 4789, 7946, 8080, 80):
            at = replace(flow, source=ip_address(source), port=port, asked=flow.asked if port == flow.port else None)
            yield at
            yield replace(at, protocol="udp")


def crossed(facts: HostFacts) -> Iterator[Flow]:
    """From everybody to every container, to every published port, and to the host."""
    inside = [(bridge, address) for place in facts.places for bridge in ["docker0"] for address in place.addresses]
    outside = [("eth0", ip_address(text)) for text in (OFFICE, DESK, OTHER, PEER, "198.51.4.1", OFFICE6, OTHER6)]
    for iif, source in [*inside, *outside, ("", ip_address(HOST)), ("", ip_address(HOST6))]:
        for oif, address in inside:
            if source.version == address.version:
                yield from (Flow(iif, oif, source, address, port=port) for port in (80, 9000))
        host = ip_address(HOST if source.version == 4 else HOST6)
        if iif:
            yield from (Flow(iif, "", source, host, port=port) for port in (22, 80, 9018))
        for item in facts.publications:
            if item.family == source.version:
                asked = (item.host_address or host, item.host_port)
                yield Flow(iif, "docker0", source, item.address, item.protocol, item.port, asked=asked)
                if iif:
                    yield Flow(iif, "", source, asked[0], item.protocol, item.host_port)


def found_and_missed(text: str, flows: list[Flow], every: int = 1) -> tuple[int, list[str]]:
    """Of the faults, each of so many is seeded."""
    policy, facts = complete(read(text).desired), facts_for(text)
    chosen = [(flow, evaluate(policy, facts, flow)) for flow in dict.fromkeys(flows)]
    found, missed = 0, []
    for name, wrong in islice(faults(compile_ruleset(policy, facts)), 0, None, every):
        machine = Machine(wrong)
        if all(agrees(policy, said, machine.run(flow)) for flow, said in chosen):
            missed.append(name)
        else:
            found += 1
    print(f"{found} of {found + len(missed)} seeded faults found; missed: {missed}")
    return found, missed


def test_the_comparison_finds_seeded_faults() -> None:
    """Otherwise that both judges agree would mean nothing. What is missed is an element or a line whose loss changes
    nothing, because the next one says the same (a container that has the rules of its network, for one)."""
    flows = [twin for item in CELLS for twin in variants(item.flow)] + some_flows(facts_for(MATRIX), 1, 2000)
    found, missed = found_and_missed(MATRIX, flows)
    assert found >= 115, missed


def test_the_comparison_finds_seeded_faults_in_maps() -> None:
    """Each tenth of the faults. What is missed here are elements of outside clients: without theirs, everybody's in
    the world says the same."""
    found, missed = found_and_missed(CROWDED, list(crossed(facts_for(CROWDED))), 10)
    assert found >= 30, missed
