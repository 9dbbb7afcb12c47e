"""dockgate killed at every call of an ``up``: the next one converges, and what served before goes on serving."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.fakes.network import FakeNetwork, Faults, Killed
from tests.fakes.scene import add_members, desired, see, three_hosts, turn, with_check, world

from dockgate.controller.execute import execute
from dockgate.model.actions import Prove, StartContainer, StopContainer
from dockgate.model.desired import Desired
from dockgate.model.plan import Plan
from dockgate.plan import plan

CHANGES: dict[str, Callable[[Desired], Desired]] = {
    "first up": lambda wanted: wanted,
    "reload": lambda wanted: with_check(wanted, "/healthz"),
    "another port": lambda wanted: desired(port=81),
    "a member less": lambda wanted: desired(members=("web1",)),
}


async def before(folder: Path, change: str) -> FakeNetwork:
    network = three_hosts(folder)
    if change != "first up":
        await turn(network, desired())
        add_members(network, "web1", "web2")
        assert serving(network)
    network.calls.clear()
    return network


def serving(network: FakeNetwork) -> bool:
    """Some load balancer of ours runs and has a member that takes traffic."""
    return any(
        each.seen.state == "running"
        and any(server.usable(partial(network.lookup, each.seen)) for server in each.haproxy.servers)
        for each in network.engines["docker1"].kept.values()
        if each.volume
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
async def test_killed_at_any_call_the_next_up_converges(tmp_path: Path, change: str, when: str) -> None:
    wanted = CHANGES[change](desired())
    counted = await before(tmp_path / "count", change)
    await turn(counted, wanted)
    for number in range(1, len(counted.calls) + 1):
        network = await before(tmp_path / str(number), change)
        network.faults = Faults(kill_before=number) if when == "before" else Faults(kill_after=number)
        with pytest.raises(Killed):
            await turn(network, wanted)
        assert change == "first up" or serving(network), network.calls[-1]
        network.faults = Faults()
        _, report = await turn(network, wanted)
        assert report.ok, (network.calls, report.failures)
        assert plan(wanted, await see(network)).empty, network.calls


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "first up"])
async def test_any_call_may_fail_and_what_served_goes_on_serving(tmp_path: Path, change: str) -> None:
    wanted = CHANGES[change](desired())
    counted = await before(tmp_path / "count", change)
    await turn(counted, wanted)
    for number in range(1, len(counted.calls) + 1):
        network = await before(tmp_path / str(number), change)
        network.faults.fail_at = number
        await turn(network, wanted)
        assert serving(network), network.calls
        network.faults = Faults()
        _, report = await turn(network, wanted)
        assert report.ok, report.failures
        assert plan(wanted, await see(network)).empty


async def test_an_up_that_finds_both_running_asks_the_new_one_before_the_old_one_leaves(tmp_path: Path) -> None:
    """Killed between start and proof, the next plan used to stop the old load balancer without asking the new one."""
    network = await before(tmp_path, "another port")
    wanted = desired(port=81)
    steps = plan(wanted, await see(network)).steps
    started = next(place for place, step in enumerate(steps) if isinstance(step.action, StartContainer))
    assert (await execute(Plan(steps[: started + 1]), world(network))).ok
    then = [type(step.action) for step in plan(wanted, await see(network)).steps]
    assert then.index(Prove) < then.index(StopContainer)
