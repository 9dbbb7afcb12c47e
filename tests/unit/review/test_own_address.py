"""A VIP's own address: it is never on two hosts, never taken from a load balancer that still serves on it, and comes
back when it is gone."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.review.scenes import (
    ADDRESS,
    OWN_ADDRESS,
    balancer,
    change_container,
    known,
    reached,
    with_containers,
    with_vip,
)

from dockgate.model import actions as a
from dockgate.model.observed import Observed, Unknown
from dockgate.model.plan import Plan, Step
from dockgate.plan import plan, simulate, trees_of


def holders(world: Observed) -> list[str]:
    return [host.name for host in world.known() if any(item.gateway == ADDRESS for item in host.networks)]


def broken_at(wanted: type[a.Action], decided: Plan) -> tuple[list[Step], list[Step]]:
    """The steps done before the first action of a type fails, and all that may still be done after it."""
    place = next(i for i, step in enumerate(decided.steps) if isinstance(step.action, wanted))
    broken = {decided.steps[place].group}
    rest = []
    for step in decided.steps[place + 1 :]:
        if step.group in broken or broken & set(step.needs):
            broken.add(step.group)
        else:
            rest.append(step)
    return list(decided.steps[:place]), rest


def after_failed_proof(decided: Plan, world: Observed, trees: dict[str, object]) -> Observed:
    """As the executor does it: steps, undo in reverse, then the groups that do not depend on the broken one."""
    done, rest = broken_at(a.Prove, decided)
    for step in done:
        world = simulate(world, step.action, trees)  # type: ignore[arg-type]
    group = next(step.group for step in decided.steps if isinstance(step.action, a.Prove))
    for action in (action for step in reversed(done) if step.group == group for action in step.undo):
        world = simulate(world, action, trees)  # type: ignore[arg-type]
    for step in rest:
        world = simulate(world, step.action, trees)  # type: ignore[arg-type]
    return world


def test_an_address_removed_by_hand_under_a_running_load_balancer_comes_back_and_is_proved() -> None:
    world = reached(OWN_ADDRESS)
    host = known(world, "docker1")
    gone = replace(host, networks=tuple(item for item in host.networks if item.gateway != ADDRESS))
    decided = plan(OWN_ADDRESS, with_containers(world, gone))
    assert [type(step.action) for step in decided.steps] == [a.CreateNetwork, a.Announce, a.Prove]


def test_a_failed_move_leaves_the_address_on_the_old_host_only_and_tells_the_lan() -> None:
    moved = with_vip(OWN_ADDRESS, hosts=("docker2",))
    world = reached(OWN_ADDRESS)
    decided = plan(moved, world)
    after = after_failed_proof(decided, world, {**trees_of(OWN_ADDRESS, world), **trees_of(moved, world)})
    assert holders(after) == ["docker1"]
    assert balancer(after, "docker1").state == "running"
    told = [action for step in decided.steps for action in step.undo if isinstance(action, a.Announce)]
    assert told == [a.Announce("docker1", ADDRESS)]


def test_a_failed_change_of_address_does_not_take_the_address_that_still_serves() -> None:
    other = with_vip(OWN_ADDRESS, address="10.10.10.151")
    world = reached(OWN_ADDRESS)
    after = after_failed_proof(plan(other, world), world, {**trees_of(OWN_ADDRESS, world), **trees_of(other, world)})
    assert holders(after) == ["docker1"]


def test_the_address_of_a_load_balancer_that_has_to_stay_stays_too() -> None:
    other = with_vip(OWN_ADDRESS, address="10.10.10.151")
    blocked = replace(other, networks=(replace(other.networks[0], internal=False),))
    decided = plan(blocked, reached(OWN_ADDRESS))
    assert decided.blocked
    assert not [step for step in decided.steps if isinstance(step.action, a.RemoveNetwork)]


def test_a_renamed_vip_takes_over_the_address_instead_of_asking_docker_for_an_overlapping_one() -> None:
    renamed = with_vip(OWN_ADDRESS, name="www")
    decided = plan(renamed, reached(OWN_ADDRESS))
    networks = [step for step in decided.steps if isinstance(step.action, a.CreateNetwork | a.RemoveNetwork)]
    assert networks == []


def test_an_address_leaves_its_old_host_before_it_appears_on_the_new_one_although_nothing_serves_there() -> None:
    world = reached(OWN_ADDRESS)
    name = balancer(world, "docker1").name
    stopped = change_container(world, "docker1", name, state="exited", published=())
    decided = plan(with_vip(OWN_ADDRESS, hosts=("docker2",)), stopped)
    moves = [(type(s.action), s.action.host) for s in decided.steps if s.action.host and _moves(s.action)]
    assert moves == [(a.RemoveNetwork, "docker1"), (a.CreateNetwork, "docker2")]


def _moves(action: a.Action) -> bool:
    return isinstance(action, a.RemoveNetwork | a.CreateNetwork)


def test_an_address_is_not_put_on_a_host_while_another_that_may_have_it_is_unknown() -> None:
    world = reached(with_vip(OWN_ADDRESS, hosts=("docker3",)))
    blind = replace(world, hosts=(*world.hosts[:2], ("docker3", Unknown("connection refused"))))
    decided = plan(with_vip(OWN_ADDRESS, hosts=("docker2",)), blind)
    assert not [step for step in decided.steps if isinstance(step.action, a.CreateNetwork)]
    assert any("docker3" in item.why and ADDRESS in item.why for item in decided.blocked)
