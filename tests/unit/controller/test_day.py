"""A day of events in a minute: nothing of the controller grows. And the machine's clock is set, to and fro.

The controller with the real client over HTTP. The suite makes sixty events; ``DOCKGATE_DAY=8640`` makes as many
as one every ten seconds of a day, and prints the figures.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.haproxy import FakeServer
from tests.fakes.http_engine import HttpEngine
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import PROJECT, add_members, desired, three_hosts, turn

from dockgate.controller import keep, lease, line, wake, watch
from dockgate.controller.keep import Cycle, Keeper
from dockgate.controller.world import World
from dockgate.edges.engine import Engine

EVENTS = int(os.environ.get("DOCKGATE_DAY", "60"))
CUT_EVERY, LOST_EVERY = 8, 20


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "SETTLE_S", 0.001)
    monkeypatch.setattr(keep, "TIMER_S", 0.2)
    monkeypatch.setattr(keep, "FIRST_S", 2.0)
    monkeypatch.setattr(watch, "RETRY_S", (0.01,))
    monkeypatch.setattr(line, "RETRY_S", (0.01,))
    monkeypatch.setattr(lease, "SOON_S", 0.01)
    monkeypatch.setattr(lease, "TRY_S", 0.1)


@dataclass(frozen=True)
class Figures:
    """What must not grow. ``memory``: bytes, see ``_held``."""

    tasks: int
    files: int
    containers: int
    memory: int


@dataclass
class Day:
    """The running example looked after over the wire. ``lines``: of the log."""

    network: FakeNetwork
    keeper: Keeper
    lines: list[int] = field(default_factory=lambda: [0])

    @property
    def home(self) -> FakeEngine:
        return self.network.engines["docker2"]

    def server(self) -> FakeServer:
        """How web1 stands in HAProxy."""
        (balancer,) = [each for each in self.network.engines["docker1"].kept.values() if each.volume]
        return next(each for each in balancer.haproxy.servers if each.name == "web1")

    def figures(self) -> Figures:
        self.network.calls.clear()
        gc.collect()
        kept = sum(len(engine.kept) for engine in self.network.engines.values())
        files = len(os.listdir("/proc/self/fd"))
        return Figures(len(asyncio.all_tasks()), files, kept, _held())

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + 20.0
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
            await asyncio.sleep(0.002)

    async def event(self, number: int) -> None:
        """One of a day's: a member goes and comes, a stream is cut, an engine is away for a while."""
        cycles = self.keeper.cycles
        if number % LOST_EVERY == 0:
            await self._away()
        elif number % CUT_EVERY == 0:
            self.home.streams.cut()
        elif number % 2:
            self.home.kill("web1", signal=15)
            self.home.die("web1")
        else:
            places = tuple(
                replace(p, address=f"10.0.5.{number % 250}") for p in self.home.find("web1").seen.attachments
            )
            self.home.change("web1", "start", state="running", attachments=places)
        await self.until(lambda: self.keeper.cycles > cycles, f"a cycle after event {number}")

    async def _away(self) -> None:
        self.network.faults.off.add("docker2")
        self.home.streams.cut()
        await self.until(lambda: self.keeper.watches[1].lost_at is not None, "docker2 is lost")
        self.network.faults.off.discard("docker2")
        await self.until(lambda: self.keeper.watches[1].lost_at is None, "docker2 is back")


def _held() -> int:
    """What dockgate and its Docker library have taken and not given back; the fakes write everything down."""
    ours = [tracemalloc.Filter(True, f"*/{package}/*") for package in ("src/dockgate", "aiodocker")]
    if not tracemalloc.is_tracing():
        return 0
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces(ours).statistics("filename"))


@asynccontextmanager
async def day(folder: Path) -> AsyncIterator[Day]:
    network = three_hosts(folder)
    add_members(network, "web1", "web2")
    await turn(network, desired())
    servers = {name: HttpEngine(engine, folder / f"{name}.sock") for name, engine in network.engines.items()}
    async with AsyncExitStack() as stack:
        for server in servers.values():
            await stack.enter_async_context(server.served())
        calls, ears = [
            {name: await stack.enter_async_context(Engine(name, each.url)) for name, each in servers.items()}
            for _ in range(2)
        ]
        lines = [0]

        def said(_: Cycle | str) -> None:
            lines[0] += 1

        keeper = Keeper(desired(), World(PROJECT, calls), ears, said, said)
        task = asyncio.create_task(keeper.run())
        try:
            it = Day(network, keeper, lines)
            await it.until(lambda: task.done() or any(each.pid for each in keeper.lines.values()), "a line stands")
            yield it
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_day_of_events_leaves_nothing_behind(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        async with day(tmp_path) as it:
            for number in range(1, EVENTS // 3):
                await it.event(number)
            before, lines = it.figures(), it.lines[0]
            for number in range(EVENTS // 3, EVENTS):
                await it.event(number)
            after, more = it.figures(), it.lines[0] - lines
    finally:
        tracemalloc.stop()
    print(f"{EVENTS} events: {before} {after}, {more} lines of the log")
    rest = EVENTS - EVENTS // 3
    assert after.containers == before.containers
    assert after.tasks - before.tasks < rest / 4, f"{before} {after}"
    assert after.files - before.files < rest / 4, f"{before} {after}"
    assert after.memory - before.memory < 1000 * rest, f"{before} {after}"
    assert more < 6 * rest, f"{more} lines of the log for {rest} events"


@pytest.mark.parametrize("hours", [-24, 24])
async def test_a_clock_that_is_set_changes_no_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    async with day(tmp_path) as it:
        real, changes = time.time, it.keeper.changes
        monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
        it.home.kill("web1", signal=15)
        await it.until(lambda: it.server().admin == "drain", "web1, told to stop, is held")
        cycles = it.keeper.cycles
        await it.until(lambda: it.keeper.cycles > cycles + 3, "cycles go on")
        assert it.server().admin == "drain"
        it.home.die("web1")
        await it.until(lambda: it.server().admin == "ready", "one that died is held no more")
        assert it.keeper.lease.state == "ours"
        assert it.keeper.changes == changes
