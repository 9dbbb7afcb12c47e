"""`replace` on fakes: the order of things, what is taken back and when, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes.engine import FakeContainer
from tests.fakes.haproxy import FakeServer
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import add_members, desired, see, turn, world

from dockgate.controller import execute as executor
from dockgate.controller.execute import execute
from dockgate.controller.report import Report
from dockgate.edges.small_load import Tally
from dockgate.errors import ProofFailed
from dockgate.model.actions import SetServers
from dockgate.model.desired import ByService, Desired, Published, Sticky
from dockgate.model.observed import Attachment, Labels
from dockgate.model.plan import Plan
from dockgate.model.replacing import AddServer, AwaitServer, DrainServer, StopMember
from dockgate.plan import describe
from dockgate.plan.replace import Order, plan_replace

NEW = "dockgate/web:2"


@pytest.fixture
async def ready(network: FakeNetwork) -> FakeNetwork:
    """Up, with web1 on docker2 and web2 on docker3, and the new image on both."""
    await turn(network, desired())
    add_members(network, "web1", "web2")
    for engine in network.engines.values():
        engine.tags.add(NEW)
    return network


def order(name: str = "web1", **more: object) -> Order:
    return replace(Order(name, NEW, healthy_s=1, drain_s=1), **more)  # type: ignore[arg-type]


async def carry_out(network: FakeNetwork, plan: Plan, tally: Tally | None = None) -> Report:
    async def load() -> Tally:
        return tally or Tally(100, 0)

    return await execute(plan, replace(world(network), load=load))


async def replaced(network: FakeNetwork, wanted: Order, tally: Tally | None = None) -> Report:
    plan = plan_replace(desired(), await see(network), wanted)
    assert not plan.blocked, describe(plan)
    return await carry_out(network, plan, tally)


def found(network: FakeNetwork, host: str = "docker2") -> dict[str, FakeContainer]:
    return {each.seen.name: each for each in network.engines[host].kept.values() if "node" not in each.seen.name}


def servers(network: FakeNetwork) -> dict[str, FakeServer]:
    (balancer,) = [each for each in network.engines["docker1"].kept.values() if each.volume]
    return {each.name: each for each in balancer.haproxy.servers}


async def test_the_new_one_has_the_name_and_nothing_is_left_over(ready: FakeNetwork) -> None:
    report = await replaced(ready, order())
    assert report.ok, [str(each.error) for each in report.failures]
    assert {name: each.seen.image for name, each in found(ready).items()} == {"web1": NEW}
    assert {name: each.admin for name, each in servers(ready).items()} == {"web1": "ready", "web2": "ready"}


async def test_the_old_one_is_drained_before_it_stops_and_after_its_stand_in_is_in(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order())
    kinds = [type(step.action).__name__ for step in plan.steps]
    assert (
        kinds.index("AddServer") < kinds.index("AwaitServer") < kinds.index("DrainServer") < kinds.index("StopMember")
    )


async def test_the_new_one_is_let_in_after_a_good_check_that_cannot_be_the_old_ones(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order())
    told = [str(step.action) for step in plan.steps if isinstance(step.action, SetServers | StopMember | AwaitServer)]
    assert told[1:] == [
        "stop web1",
        "set pres/web1 drain, checked anew over the runtime socket",
        "wait for the first good check of web1 in pool pres",
        "set pres/web1 ready over the runtime socket",
    ]


async def test_a_stand_in_has_the_weight_of_the_one_it_stands_in_for(ready: FakeNetwork) -> None:
    servers(ready)["web1"].weight = 37
    plan = plan_replace(desired(), await see(ready), order())
    (added,) = [step for step in plan.steps if isinstance(step.action, AddServer)]
    assert (await carry_out(ready, Plan(plan.steps[: plan.steps.index(added) + 1]))).ok
    assert {name: each.weight for name, each in servers(ready).items()} == {"web1": 37, "web2": 100, "web1.next": 37}


async def test_who_sticks_to_a_member_does_not_get_it_while_it_is_replaced(ready: FakeNetwork) -> None:
    wanted = replace(desired(), pools=tuple(replace(pool, sticky=Sticky()) for pool in desired().pools))
    plan = plan_replace(wanted, await see(ready), order())
    drain = next(place for place, step in enumerate(plan.steps) if isinstance(step.action, DrainServer))
    assert (await carry_out(ready, Plan(plan.steps[: drain + 1]))).ok
    assert servers(ready)["web1"].admin == "maint"


async def test_labels_stay_so_that_compose_knows_it_again(ready: FakeNetwork) -> None:
    compose = Labels.of({"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    old = found(ready)["web1"]
    old.seen = replace(old.seen, labels=compose)
    await replaced(ready, order())
    assert found(ready)["web1"].seen.labels == compose


async def test_a_request_that_failed_brings_the_old_one_back(ready: FakeNetwork) -> None:
    old = found(ready)["web1"].seen.id
    report = await replaced(ready, order(), Tally(100, 1, "status 503"))
    (failed,) = report.failures
    assert isinstance(failed.error, ProofFailed)
    assert not report.left_over
    assert {name: each.seen.id for name, each in found(ready).items()} == {"web1": old}
    assert found(ready)["web1"].seen.state == "running"
    assert {name: each.admin for name, each in servers(ready).items()} == {"web1": "ready", "web2": "ready"}


async def test_a_load_that_sent_nothing_proves_nothing(ready: FakeNetwork) -> None:
    report = await replaced(ready, order(), Tally(0, 0))
    assert [type(each.step.action).__name__ for each in report.failures] == ["JudgeLoad"]


async def test_any_step_that_fails_leaves_the_old_one_serving(ready: FakeNetwork) -> None:
    """Once for each call that changes something."""
    plan = plan_replace(desired(), await see(ready), order())
    judged = next(i for i, step in enumerate(plan.steps) if type(step.action).__name__ == "JudgeLoad")
    for number in range(judged):
        cut = Plan(plan.steps[: judged + 1])
        kind = type(cut.steps[number].action)
        failing = FailAt(number)
        report = await failing.carry_out(ready, cut)
        assert not report.ok, kind
        assert {name: each.seen.image for name, each in found(ready).items()} == {"web1": "dockgate/web:1"}, kind
        assert found(ready)["web1"].seen.state == "running", kind
        assert set(servers(ready)) == {"web1", "web2"}, kind
        assert servers(ready)["web1"].admin == "ready", kind


class FailAt:
    """Carries a plan out; the step with this number fails after it had its effect."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.forward = 0

    async def carry_out(self, network: FakeNetwork, plan: Plan) -> Report:
        real = executor.act

        async def act(it: object, action: object) -> str:
            mine = self.forward <= self.number and action is plan.steps[self.forward].action
            said = await real(it, action)  # type: ignore[arg-type]
            if mine:
                self.forward += 1
                if self.forward == self.number + 1:
                    raise ProofFailed("the test says so")
            return said

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "act", act)
            return await carry_out(network, plan)


async def test_a_pool_is_replaced_one_after_the_other(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order("pres"))
    second = [step for step in plan.steps if step.group == "web2 on docker3"]
    assert second[0].needs == ("clean up after web1 on docker2",)
    report = await carry_out(ready, plan)
    assert report.ok
    assert found(ready)["web1"].seen.image == found(ready, "docker3")["web2"].seen.image == NEW


async def test_two_at_a_time_do_not_wait_for_each_other(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order("pres", max_unavailable=2))
    assert all("clean up" not in need for step in plan.steps for need in step.needs)
    assert (await carry_out(ready, plan)).ok


async def test_a_member_by_service_name_needs_no_server_of_its_own(ready: FakeNetwork) -> None:
    wanted = by_service(desired())
    for host, name in (("docker2", "web1"), ("docker3", "web2")):
        member = found(ready, host)[name]
        address = f"10.0.5.{host[-1]}"
        member.seen = replace(member.seen, attachments=(Attachment("backend", address, aliases=("web",)),))
    await turn(ready, wanted)
    (balancer,) = [each for each in ready.engines["docker1"].kept.values() if each.volume]
    for slot, address in zip(balancer.haproxy.servers, ("10.0.5.2", "10.0.5.3"), strict=False):
        slot.place = address
    plan = plan_replace(wanted, await see(ready), order())
    assert not plan.blocked, describe(plan)
    kinds = {type(step.action).__name__ for step in plan.steps}
    assert "AddServer" not in kinds
    drained = [step.action for step in plan.steps if isinstance(step.action, DrainServer)]
    assert [each.server for each in drained] == ["web-1"]


async def test_a_member_by_published_port_is_refused_with_the_reason(ready: FakeNetwork) -> None:
    pool = desired().pools[0]
    members = getattr(pool.membership, "members", ())
    wanted = replace(desired(), pools=(replace(pool, membership=Published(members), network=None),))
    plan = plan_replace(wanted, await see(ready), order())
    assert [each.why for each in plan.blocked] == [
        "it is a member by its published port, which two containers cannot share"
    ]


async def test_nothing_is_replaced_while_a_host_cannot_be_read(ready: FakeNetwork) -> None:
    ready.faults.off.add("docker3")
    plan = plan_replace(desired(), await see(ready), order())
    assert plan.blocked
    assert not plan.steps


async def test_a_name_that_nobody_has_is_refused(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order("web9"))
    assert [each.why for each in plan.blocked] == ["no running container and no pool with one has that name"]


async def test_our_own_containers_are_not_replaced(ready: FakeNetwork) -> None:
    (balancer,) = [each for each in ready.engines["docker1"].kept.values() if each.volume]
    plan = plan_replace(desired(), await see(ready), order(balancer.seen.name))
    assert [each.why for each in plan.blocked] == ["it is dockgate's own"]


async def test_what_still_has_sessions_is_stopped_when_the_time_for_draining_is_over(ready: FakeNetwork) -> None:
    plan = plan_replace(desired(), await see(ready), order(drain_s=0))
    assert any(isinstance(step.action, StopMember) for step in plan.steps)
    assert (await carry_out(ready, plan)).ok


def by_service(wanted: Desired) -> Desired:
    (pool,) = wanted.pools
    return replace(wanted, pools=(replace(pool, membership=ByService("web", 4)),))
