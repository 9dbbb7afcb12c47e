"""A run that is killed between a change and its proof: the next one asks, and takes the change back if it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.network import FakeNetwork, Killed
from tests.fakes.scene import PROJECT, add_members, desired, three_hosts, turn

from dockgate.controller.observe import observe
from dockgate.model import actions as a
from dockgate.model.desired import Check, Desired
from dockgate.model.observed import LoadBalancer, ObservedHost
from dockgate.plan import plan


async def served(folder: Path) -> FakeNetwork:
    """The running example with both members up."""
    network = three_hosts(folder)
    await turn(network, desired())
    add_members(network, "web1", "web2")
    await turn(network, desired())
    return network


def with_check(file: Desired, path: str) -> Desired:
    return replace(file, pools=(replace(file.pools[0], check=Check(path=path)),))


async def killed_before_its_proof(network: FakeNetwork, file: Desired) -> None:
    """One turn that dies right after the reload."""

    def die(call: str) -> bool:
        if "probe" in call:
            raise Killed(call)
        return False

    network.faults.fail = die
    with pytest.raises(Killed):
        await turn(network, file)
    network.faults.fail = lambda call: False


async def balancer(network: FakeNetwork) -> LoadBalancer:
    world = await observe(network.engines, PROJECT)
    host = world.host("docker1")
    assert isinstance(host, ObservedHost)
    return host.loadbalancers[0]


async def test_a_change_that_was_never_proved_is_asked_for_by_the_next_up(tmp_path: Path) -> None:
    network = await served(tmp_path)
    file = with_check(desired(), "/other")
    await killed_before_its_proof(network, file)
    assert (await balancer(network)).unproved == ("pres",)
    steps = plan(file, await observe(network.engines, PROJECT)).steps
    assert [type(step.action) for step in steps] == [a.Prove]
    assert steps[0].action.must_serve == ("pres",)
    _, report = await turn(network, file)
    assert report.ok
    assert (await balancer(network)).unproved is None
    assert plan(file, await observe(network.engines, PROJECT)).steps == ()


async def test_a_change_that_was_never_proved_and_does_not_serve_is_taken_back(tmp_path: Path) -> None:
    network = await served(tmp_path)
    proved = (await balancer(network)).config
    file = with_check(desired(), "/other")
    await killed_before_its_proof(network, file)
    network.faults.status = 503
    _, report = await turn(network, file)
    assert not report.ok
    network.faults.status = 0
    now = await balancer(network)
    assert now.config == proved
    assert now.unproved is None


async def test_what_was_proved_last_stays_the_previous_one_through_unproved_changes(tmp_path: Path) -> None:
    network = await served(tmp_path)
    proved = (await balancer(network)).config
    await killed_before_its_proof(network, with_check(desired(), "/other"))
    network.faults.status = 503
    _, report = await turn(network, with_check(desired(), "/third"))
    assert not report.ok
    assert (await balancer(network)).config == proved
