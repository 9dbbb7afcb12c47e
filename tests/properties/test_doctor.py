"""Whatever the file and the world: a diagnosis is made, is the same twice, names hosts, and is never silent blindly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import desireds
from tests.worlds import bare_world, worlds

from dockgate.doctor import Facts, diagnose
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, Unknown
from dockgate.plan import plan, simulate, trees_of


@st.composite
def after_up(draw: st.DrawFn) -> tuple[Desired, Observed]:
    """A world as ``up`` leaves it, of which some hosts may be lost."""
    desired = draw(desireds())
    world = draw(worlds(desired))
    trees = trees_of(desired, world)
    for step in plan(desired, world).steps:
        world = simulate(world, step.action, trees)
    lost = draw(st.sets(st.sampled_from([host.name for host in desired.hosts])))
    return desired, Observed(
        tuple((name, Unknown(f"{name}: gone") if name in lost else state) for name, state in world.hosts)
    )


@given(after_up())
def test_without_facts_every_host_is_told_of(case: tuple[Desired, Observed]) -> None:
    desired, observed = case
    found = diagnose(desired, observed, Facts())
    assert found == diagnose(desired, observed, Facts())
    named = {name for each in found for name in (each.where, *each.affects)}
    assert {host.name for host in desired.hosts} <= named


@given(after_up())
def test_no_finding_is_told_twice_and_each_says_what_was_seen_and_what_to_do(case: tuple[Desired, Observed]) -> None:
    found = diagnose(*case, Facts())
    assert len({(each.cause, each.where) for each in found}) == len(found)
    assert all(each.what and each.evidence and each.advice for each in found)


@given(desireds())
def test_hosts_that_cannot_be_read_are_all_that_is_said(desired: Desired) -> None:
    world = bare_world(desired)
    gone = Observed(tuple((name, Unknown(f"{name}: gone")) for name, _ in world.hosts))
    assert {each.cause for each in diagnose(desired, gone, Facts())} <= {"engine-unreachable"}
