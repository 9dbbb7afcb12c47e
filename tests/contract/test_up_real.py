"""Whole turns of observe, plan and execute on real Docker: what fakes cannot know of checks and reloads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.fakes.scene import PROJECT, desired

from dockgate.controller.execute import execute
from dockgate.controller.observe import observe
from dockgate.controller.report import Report
from dockgate.controller.world import World
from dockgate.edges.engine import Engine
from dockgate.errors import ConfigRefused, ProofFailed
from dockgate.lab import Lab
from dockgate.model.actions import ActivateConfig, ValidateConfig, WriteConfig
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, ObservedHost, RunningHaproxy
from dockgate.model.plan import Plan, Step
from dockgate.plan import plan, plan_down

pytestmark = pytest.mark.lab

WANTED = replace(desired(), hosts=desired().hosts[:2])


@pytest.fixture
async def world(lab: Lab) -> AsyncIterator[World]:
    """The running example up on two hosts, with both members on the second one."""
    first, second = lab.hosts[:2]
    async with (
        Engine(first, f"unix://{lab.socket(first)}") as one,
        Engine(second, f"unix://{lab.socket(second)}") as two,
    ):
        world = World(project=PROJECT, engines={first: one, second: two})
        report = await turn(world, WANTED)
        assert report.ok, report.failures
        for name in ("web1", "web2"):
            run = ["docker", "run", "-d", "--name", name, "--network", "backend", "dockgate/web:1"]
            lab.exec(second, run, check=True)
        yield world
        lab.exec(second, ["docker", "rm", "-f", "web1", "web2"], check=True)
        assert (await execute(plan_down(PROJECT, await see(world)), world)).ok


async def see(world: World) -> Observed:
    return await observe(world.engines, PROJECT)


async def turn(world: World, wanted: Desired) -> Report:
    return await execute(plan(wanted, await see(world)), world)


async def running(world: World) -> RunningHaproxy:
    host = (await see(world)).host("docker1")
    assert isinstance(host, ObservedHost)
    (balancer,) = host.loadbalancers
    assert isinstance(balancer.running, RunningHaproxy)
    return balancer.running


def checking(expect: str) -> Desired:
    (pool,) = WANTED.pools
    assert pool.check is not None
    return replace(WANTED, pools=(replace(pool, check=replace(pool.check, expect=expect)),))


async def test_a_check_that_no_member_passes_fails_its_proof_and_is_taken_back(world: World) -> None:
    """Right after the reload all members show the old verdict, UP, from the state file; that must not be the proof."""
    assert (await turn(world, checking("200-499"))).ok
    before = (await running(world)).structure
    report = await turn(world, checking("302"))
    assert [type(failed.error) for failed in report.failures] == [ProofFailed]
    assert not report.left_over
    after = await running(world)
    assert after.structure == before
    assert plan(checking("200-499"), await see(world)).empty


async def test_what_haproxy_refuses_is_never_loaded_and_says_which_line_of_the_file(world: World) -> None:
    before = await running(world)
    wanted = plan(checking("302"), await see(world))
    report = await execute(Plan(tuple(map(_spoiled, wanted.steps))), world)
    (failed,) = report.failures
    assert isinstance(failed.error, ConfigRefused)
    assert "balance only supports" in failed.error.messages[0]
    assert (await running(world)).pid == before.pid


def _spoiled(step: Step) -> Step:
    action = step.action
    if not isinstance(action, WriteConfig | ValidateConfig | ActivateConfig):
        return step
    config = replace(action.config, text=action.config.text.replace("balance roundrobin", "balance nonsense"))
    return replace(step, action=replace(action, config=config))
