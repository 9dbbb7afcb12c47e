"""What becomes of a plan's steps and groups when some of them fail."""

from __future__ import annotations

import asyncio
import typing
from dataclasses import replace

import pytest
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import PROJECT, world

from dockgate.controller.acts import ACTS
from dockgate.controller.execute import execute
from dockgate.controller.report import Event, StepEnded, StepStarted, UndoEnded, UndoStarted
from dockgate.controller.wait import until
from dockgate.model.actions import Action, CreateVolume, RemoveContainer, RemoveVolume, StopContainer
from dockgate.model.plan import Plan, Step


def make(name: str, group: str, *, needs: tuple[str, ...] = (), host: str = "docker1") -> Step:
    undo = (RemoveVolume(host, name),)
    return Step(CreateVolume(host, name, PROJECT, "web"), "a test", group, undo=undo, needs=needs)


def statuses(report: object) -> list[str]:
    return [step.status for step in report.steps]  # type: ignore[attr-defined]


def test_every_type_of_action_can_be_carried_out() -> None:
    assert set(ACTS) == set(typing.get_args(Action))


async def test_steps_are_carried_out_in_the_plans_order(network: FakeNetwork) -> None:
    report = await execute(Plan((make("b", "one"), make("a", "two"))), world(network))
    assert report.ok
    assert network.calls == ["docker1: create_volume b", "docker1: create_volume a"]


async def test_a_failed_step_undoes_its_group_latest_first_and_skips_the_rest(network: FakeNetwork) -> None:
    network.faults.fail_at = 3
    report = await execute(Plan(tuple(make(name, "one") for name in "abcd")), world(network))
    assert statuses(report) == ["undone", "undone", "failed", "skipped"]
    assert network.calls[3:] == ["docker1: remove_volume b", "docker1: remove_volume a"]
    assert report.steps[3].why == "an earlier step failed: create volume c"


async def test_another_group_goes_on_when_one_fails(network: FakeNetwork) -> None:
    network.faults.fail_at = 1
    report = await execute(Plan((make("a", "one"), make("b", "two"))), world(network))
    assert statuses(report) == ["failed", "done"]


async def test_a_group_that_needs_a_failed_one_is_skipped_and_undone(network: FakeNetwork) -> None:
    network.faults.fail_at = 2
    steps = (make("a", "two"), make("b", "one"), make("c", "two", needs=("one",)), make("d", "three", needs=("two",)))
    report = await execute(Plan(steps), world(network))
    assert statuses(report) == ["undone", "failed", "skipped", "skipped"]
    assert [step.why for step in report.steps[2:]] == ["it needs one, which failed", "it needs two, which failed"]


async def test_a_need_that_the_plan_does_not_hold_is_no_obstacle(network: FakeNetwork) -> None:
    assert (await execute(Plan((make("a", "one", needs=("long done",)),)), world(network))).ok


async def test_an_undo_that_fails_is_reported_and_the_others_are_still_done(network: FakeNetwork) -> None:
    network.faults.fail = lambda call: call.endswith(("create_volume c", "remove_volume b"))
    report = await execute(Plan(tuple(make(name, "one") for name in "abc")), world(network))
    assert [undoing.action for undoing in report.left_over] == [RemoveVolume("docker1", "b")]
    assert network.calls[-1] == "docker1: remove_volume a"


async def test_the_failed_step_itself_is_not_undone(network: FakeNetwork) -> None:
    network.faults.fail_at = 1
    await execute(Plan((make("a", "one"),)), world(network))
    assert network.calls == ["docker1: create_volume a"]


async def test_progress_is_told_before_and_after_each_step_and_undo(network: FakeNetwork) -> None:
    network.faults.fail_at = 2
    heard: list[Event] = []
    await execute(Plan((make("a", "one"), make("b", "one"))), world(network), on_event=heard.append)
    kinds = [type(event) for event in heard]
    assert kinds == [StepStarted, StepEnded, StepStarted, StepEnded, UndoStarted, UndoEnded]


async def test_a_bug_is_not_taken_for_a_failed_step(network: FakeNetwork) -> None:
    with pytest.raises(AssertionError):
        await execute(
            Plan((make("a", "one"),)), world(network), on_event=lambda event: (_ for _ in ()).throw(AssertionError)
        )


@pytest.mark.parametrize("labels", ["none", "another project's"])
async def test_a_container_without_our_mark_is_left_alone(network: FakeNetwork, labels: str) -> None:
    from dockgate.model.objects import labels_for

    marks = labels_for("another", "lb", "web") if labels != "none" else None
    foreign = network.engines["docker1"].add_container("precious", labels=marks)
    steps = (
        Step(StopContainer("docker1", "precious"), "a test", "one"),
        Step(RemoveContainer("docker1", "precious", foreign.id), "a test", "two"),
    )
    report = await execute(Plan(steps), world(network))
    assert statuses(report) == ["failed", "failed"]
    assert (await network.engines["docker1"].container("precious")).state == "running"


async def test_groups_side_by_side_do_not_wait_for_each_other(network: FakeNetwork) -> None:
    network.faults.silent = {"docker1"}
    steps = (make("a1", "one"), make("b1", "two", host="docker2"), make("b2", "two", host="docker2"))
    heard: list[Event] = []
    run = asyncio.create_task(
        execute(Plan(tuple(replace(step, beside=True) for step in steps)), world(network), on_event=heard.append)
    )
    assert await until(lambda: _ended(heard, 2), limit_s=5, pause_s=0.01)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def _ended(heard: list[Event], count: int) -> bool | None:
    return sum(isinstance(event, StepEnded) for event in heard) >= count or None


async def test_a_group_side_by_side_waits_for_the_one_it_needs(network: FakeNetwork) -> None:
    steps = (make("a1", "one"), make("a2", "one"), make("b1", "two", needs=("one",)))
    await execute(Plan(tuple(replace(step, beside=True) for step in steps)), world(network))
    assert [call.rpartition(" ")[2] for call in network.calls] == ["a1", "a2", "b1"]


async def test_a_failure_leaves_the_groups_beside_it_alone(network: FakeNetwork) -> None:
    network.faults.fail = lambda call: call.endswith("create_volume a2")
    steps = (make("a1", "one"), make("a2", "one"), make("b1", "two"), make("b2", "two"))
    report = await execute(Plan(tuple(replace(step, beside=True) for step in steps)), world(network))
    assert statuses(report) == ["undone", "failed", "done", "done"]
