"""The plan where an engine and the file do not say the same about Docker's rules."""

from __future__ import annotations

from dataclasses import replace

from tests.golden.test_firewall import example, world

from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import Observed, ObservedHost
from dockgate.plan.firewall import FirewallPart, plan_firewall
from dockgate.plan.seats import Seating


def planned(rules: EngineRules, *, docker_iptables: bool) -> FirewallPart:
    desired = example()
    assert desired.firewall is not None
    desired = replace(desired, firewall=replace(desired.firewall, docker_iptables=docker_iptables))
    made = world(desired)
    hosts = tuple(
        (name, replace(host, engine_rules=rules)) for name, host in made.hosts if isinstance(host, ObservedHost)
    )
    return plan_firewall(desired, Observed(hosts), Seating((), (), (), ()), (), confirm_s=0)


def test_no_rules_are_planned_beside_an_engine_that_writes_its_own() -> None:
    part = planned(EngineRules(), docker_iptables=False)
    assert part.steps == ()
    assert len(part.blocked) == 3
    assert "the engine there writes rules of its own" in part.blocked[0].why
    assert "what is in force stays" in part.blocked[0].why


def test_an_engine_that_writes_none_is_noted_and_the_policy_is_planned_all_the_same() -> None:
    part = planned(EngineRules(iptables=False), docker_iptables=True)
    assert part.steps
    assert any("docker_iptables: off" in note for note in part.notes)


def test_ours_are_planned_where_the_engine_leaves_them_to_us() -> None:
    part = planned(EngineRules(iptables=False), docker_iptables=False)
    assert part.steps
    assert part.blocked == ()
    assert not any("docker_iptables" in note for note in part.notes)
