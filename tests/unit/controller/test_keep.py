"""`run` on fakes: members leave and return by events, drift is repaired, gaps are read anew, one of two acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.haproxy import FakeServer
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import add_members, desired, turn, world

from dockgate.controller import keep, lease, line, wake, watch
from dockgate.controller.journal import read_entry
from dockgate.controller.keep import Cycle, Keeper
from dockgate.model.desired import Desired, Sticky


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "SETTLE_S", 0.005)
    monkeypatch.setattr(keep, "TIMER_S", 0.3)
    monkeypatch.setattr(keep, "FIRST_S", 0.2)
    monkeypatch.setattr(keep, "HOST_S", 0.2)
    monkeypatch.setattr(watch, "QUIET_S", 0.05)
    monkeypatch.setattr(watch, "PROOF_S", 0.05)
    monkeypatch.setattr(watch, "RETRY_S", (0.02,))
    monkeypatch.setattr(line, "RETRY_S", (0.01,))
    monkeypatch.setattr(line, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(lease, "TRY_S", 0.03)
    monkeypatch.setattr(lease, "SOON_S", 0.01)


class Kept:
    """A keeper that runs. ``cycles``: what it said."""

    def __init__(self, network: FakeNetwork, wanted: Desired) -> None:
        self.cycles: list[Cycle] = []
        self.notes: list[str] = []
        self.keeper = Keeper(wanted, world(network), network.engines, self.cycles.append, self.notes.append)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + 5.0
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}; {self.cycles} {self.notes}"
            await asyncio.sleep(0.005)

    @property
    def connected(self) -> bool:
        return any(each.pid for each in self.keeper.lines.values())


@asynccontextmanager
async def kept(network: FakeNetwork, wanted: Desired | None = None) -> AsyncIterator[Kept]:
    """A controller on the running example, up, with its two members."""
    wanted = wanted or desired()
    it = Kept(network, wanted)
    task = asyncio.create_task(it.keeper.run())
    try:
        await it.until(lambda: it.cycles or task.done(), "a first cycle")
        if not task.done():
            yield it
    finally:
        task.cancel()
        ended = (await asyncio.gather(task, return_exceptions=True))[0]
    if not isinstance(ended, asyncio.CancelledError):
        raise AssertionError("the controller ended by itself") from ended


@pytest.fixture
async def ready(network: FakeNetwork) -> FakeNetwork:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    return network


def server(network: FakeNetwork, name: str = "web1") -> FakeServer:
    (balancer,) = [each for each in network.engines["docker1"].kept.values() if each.volume]
    return next(each for each in balancer.haproxy.servers if each.name == name)


def home(network: FakeNetwork) -> FakeEngine:
    return network.engines["docker2"]


async def test_a_member_that_is_told_to_stop_is_drained_before_it_dies(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "drained")


async def test_clients_that_stick_to_a_member_do_not_keep_it_in(network: FakeNetwork) -> None:
    """To a drained server HAProxy still sends who has its cookie."""
    wanted = desired()
    sticky = replace(wanted, pools=tuple(replace(pool, sticky=Sticky()) for pool in wanted.pools))
    await turn(network, sticky)
    add_members(network, "web1", "web2")
    async with kept(network, sticky) as it:
        await it.until(lambda: it.connected, "a line")
        home(network).kill("web1", signal=15)
        await it.until(lambda: server(network).admin == "maint", "out")
        home(network).die("web1")
        await it.until(lambda: server(network).admin == "ready", "not held any more")
        assert server(network).down


async def test_a_signal_that_is_no_order_to_stop_drains_nobody(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=1)
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "the control: a real order is followed")
        (only,) = it.keeper.lines.values()
        assert only.pushed == 1


async def test_the_image_s_own_stop_signal_is_an_order_to_stop(ready: FakeNetwork) -> None:
    home(ready).change("web1", "update", stop_signal=10)
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=10)
        await it.until(lambda: server(ready).admin == "drain", "drained")


async def test_a_member_that_died_is_down_and_not_held_so_that_its_checks_bring_it_back(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "drained")
        home(ready).die("web1")
        await it.until(lambda: server(ready).admin == "ready", "not held any more")


async def test_a_member_that_goes_on_after_an_order_to_stop_is_let_in_again(
    ready: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "drained")
        monkeypatch.setattr(keep, "STUBBORN_S", 0.0)
        await it.until(lambda: server(ready).admin == "ready", "let in")


async def test_a_member_without_health_waits_for_it(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).change("web1", "start", health="starting")
        await it.until(lambda: server(ready).admin == "drain", "kept out")
        home(ready).change("web1", "health_status: healthy", health="healthy")
        await it.until(lambda: server(ready).admin == "ready", "let in")


async def test_what_a_person_set_aside_is_left_so(ready: FakeNetwork) -> None:
    server(ready).admin = "maint"
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        home(ready).die("web1")
        await it.until(lambda: len(it.cycles) > 2, "some cycles")
        assert server(ready).admin == "maint"


async def test_a_controller_that_ends_leaves_nobody_held(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "drained")
    assert server(ready).admin == "ready"


async def test_a_reload_does_not_let_a_held_member_in(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).kill("web1", signal=15)
        await it.until(lambda: server(ready).admin == "drain", "drained")
        (balancer,) = [each for each in ready.engines["docker1"].kept.values() if each.volume]
        balancer.haproxy.load(balancer.haproxy.text)
        (only,) = it.keeper.lines.values()
        await it.until(lambda: only.pid == balancer.haproxy.pid, "a line to the new process")
        await it.until(lambda: server(ready).admin == "drain", "drained there too")


async def test_a_load_balancer_that_is_removed_is_made_again(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        engine = ready.engines["docker1"]
        (balancer,) = [each for each in engine.kept.values() if each.volume]
        await engine.remove_container(balancer.seen.id, project="example")
        await it.until(lambda: any(each.volume and each.seen.state == "running" for each in engine.kept.values()), "up")


async def test_a_lost_host_delays_nobody_and_its_age_is_said(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        ready.faults.off.add("docker2")
        ready.engines["docker2"].streams.cut()
        await it.until(lambda: it.keeper.watches[1].lost_at is not None, "noticed")
        before = len(it.cycles)
        await it.until(lambda: len(it.cycles) > before + 1, "cycles go on")
        assert it.cycles[-1].seconds < 0.15
        assert "last heard of" in it.keeper._absence(it.keeper.watches[1])


async def test_what_happened_in_a_gap_is_found_out_after_it(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        home(ready).change("web1", "start", health="starting")
        await it.until(lambda: server(ready).admin == "drain", "kept out")
        home(ready).streams.silent = True
        home(ready).change("web1", "health_status: healthy", health="healthy")
        home(ready).streams.cut()
        await it.until(lambda: server(ready).admin == "ready", "found healthy by a reading")


async def test_a_stream_that_has_gone_silent_is_noticed(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        engine = ready.engines["docker1"]
        before = it.keeper.watches[0].gaps
        engine.streams.silent = True
        await it.until(lambda: it.keeper.watches[0].gaps > before, "opened again")


async def test_of_two_controllers_one_acts_and_the_other_says_so(ready: FakeNetwork) -> None:
    async with kept(ready) as first:
        await first.until(lambda: first.keeper.lease.state == "ours", "the lock")
        async with kept(ready) as second:
            told = "another controller acts: it holds the lock in dockgate-example-"
            await second.until(lambda: second.cycles[-1].said.startswith(told), "it says so")
            assert not any(cycle.changes for cycle in second.cycles)
            assert second.keeper.lines == {}


async def test_when_the_one_that_acts_ends_the_other_takes_over(ready: FakeNetwork) -> None:
    async with kept(ready) as first:
        await first.until(lambda: first.keeper.lease.state == "ours", "the lock")
        second = Kept(ready, desired())
        task = asyncio.create_task(second.keeper.run())
        await second.until(lambda: second.keeper.lease.state == "taken", "waits")
    await second.until(lambda: second.keeper.lease.state == "ours", "acts")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_rings_at_once_is_one_cycle(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        await it.until(lambda: it.connected, "a line")
        before = len(it.cycles)
        for _ in range(200):
            it.keeper.wake.ring("a storm")
        await it.until(lambda: len(it.cycles) > before, "a cycle")
        assert sum("a storm" in each.reasons for each in it.cycles) == 1


async def test_a_failure_is_tried_again_ever_less_often(ready: FakeNetwork) -> None:
    async with kept(ready) as it:
        it.keeper.failures = 3
        assert it.keeper._patience() == 8.0
        it.keeper.failures = 30
        assert it.keeper._patience() == keep.LONGEST_S


async def test_the_last_cycle_is_noted_on_the_load_balancer(ready: FakeNetwork) -> None:
    engine = ready.engines["docker1"]
    (balancer,) = [each for each in engine.kept.values() if each.volume]
    async with kept(ready) as it:
        await it.until(lambda: it.keeper.entry is not None, "an entry")
        entry = await read_entry(engine, balancer.seen.id)
        assert entry is not None
        assert entry.said == "nothing to do"
