"""The controller's watching over the real wire, in a world that no machine here can hold: python -m bench.wire

100 engines in a process of their own answer Docker's HTTP API on unix sockets, with 20,000 members. Here, with the real
client: everything read and planned, then 100,000 events (told to stop, dead, back), each of which reaches the register
of members; one that says "start" costs another question. Processor time is this side's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench.scale import MOST_EVENT_MS, MOST_MB, MOST_PLAN_S, desired, observed, table
from tests.fakes.engine import FakeContainer, FakeEngine
from tests.fakes.http_engine import HttpEngine
from tests.fakes.network import FakeNetwork

from dockgate.controller.members import Members
from dockgate.controller.observe import observe
from dockgate.controller.wake import Wake
from dockgate.controller.watch import Watch
from dockgate.edges.engine import Engine
from dockgate.model.desired import Desired
from dockgate.plan import plan
from dockgate.plan.membership import ServerRef

BATCH = 1000
MOST_GROWTH_KB = 512.0
"""With what the libraries keep for a while."""


@dataclass(frozen=True)
class World:
    folder: Path
    hosts: int
    vips: int
    members: int

    def desired(self) -> Desired:
        return desired(self.hosts, self.vips, self.members)

    def socket(self, host: str) -> Path:
        return self.folder / f"{host}.sock"

    def words(self) -> list[str]:
        return [
            "--serve",
            str(self.folder),
            *(f"--{each}={getattr(self, each)}" for each in ("hosts", "vips", "members")),
        ]


# --- the engines' side


async def serve(world: World) -> None:
    """Says "ready", then answers each line "N" with as many events."""
    wanted = world.desired()
    network = FakeNetwork(world.folder)
    everybody: list[tuple[FakeEngine, str]] = []
    for host in observed(wanted).known():
        engine = FakeEngine(network, host.name, address="10.1.0.1", swarm="manager")
        engine.tags = set(host.images)
        engine.kept = {each.id: FakeContainer(each) for each in host.containers}
        network.overlays |= {each.name: each for each in host.networks}
        everybody += [(engine, each.id) for each in host.containers]
    async with AsyncExitStack() as stack:
        for name, engine in network.engines.items():
            await stack.enter_async_context(HttpEngine(engine, world.socket(name)).served())
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        print("ready", flush=True)
        number = 0
        while line := await lines.readline():
            for _ in range(int(line)):
                happen(*everybody[number // 3 * 7919 % len(everybody)], number % 3)
                number += 1
            network.calls.clear()
            print("done", flush=True)


def happen(engine: FakeEngine, container: str, kind: int) -> None:
    """Told to stop, dead, and back where it was."""
    if kind == 0:
        engine.kill(container, signal=15)
    elif kind == 1:
        engine.die(container)
    else:
        places = tuple(replace(each, address="10.9.9.9") for each in engine.kept[container].seen.attachments)
        engine.change(container, "start", state="running", attachments=places)


# --- the controller's side


class Heard:
    """Counts what the watches settle: once for each event about a member."""

    def __init__(self) -> None:
        self._count = self._target = 0
        self._reached = asyncio.Event()

    def settle(self, refs: Iterable[ServerRef]) -> None:
        assert refs, "an event that is about no member"
        self._count += 1
        if self._count >= self._target:
            self._reached.set()

    def expect(self, count: int) -> None:
        self._count, self._target = 0, count
        self._reached.clear()

    async def all(self) -> None:
        await self._reached.wait()


async def measure(world: World, events: int) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.wire",
        *world.words(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    wanted = world.desired()
    async with AsyncExitStack() as stack:
        engines = {
            host.name: await stack.enter_async_context(Engine(host.name, f"unix://{world.socket(host.name)}"))
            for host in wanted.hosts
        }
        began = time.monotonic()
        seen = await observe(engines, wanted.project, limit_s=300)
        read_s = time.monotonic() - began
        began = time.process_time()
        steps = len(plan(wanted, seen).steps)
        plan_s = time.process_time() - began
        members, heard = Members(wanted), Heard()
        watches = [Watch(wanted.project, engines[name], members, Wake(), heard.settle) for name in engines]
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        stack.callback(lambda: [task.cancel() for task in tasks])
        await asyncio.gather(*(watch.known.wait() for watch in watches))

        async def go(count: int) -> float:
            """Milliseconds of processor time for each event."""
            began = time.process_time()
            for _ in range(count // BATCH):
                heard.expect(BATCH)
                process.stdin.write(b"%d\n" % BATCH)  # type: ignore[union-attr]
                await process.stdout.readline()  # type: ignore[union-attr]
                await heard.all()
            return (time.process_time() - began) * 1000 / count

        event_ms = await go(3 * BATCH)
        mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before a record is kept of each allocation
        lost = [watch.why for watch in watches if watch.lost_at is not None]
        assert not lost, lost
        tracemalloc.start()
        await go(3 * max(world.members, BATCH))  # after that, every member has been through it once
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await go(events)
        gc.collect()
        growth_kb = (tracemalloc.get_traced_memory()[0] - before) / 1024
        assert all(watch.gaps == 1 for watch in watches), "a stream broke on the way"
    process.stdin.close()
    await process.wait()
    print(f"over HTTP: {world.hosts} hosts, {world.vips} VIPs, {world.members} members; read in {read_s:.1f} s")
    return table(
        (f"plan of all of it, {steps} steps", plan_s, "s", MOST_PLAN_S),
        ("one event, processor time", event_ms, "ms", MOST_EVENT_MS),
        (f"growth over {events} events", growth_kb, "kB", MOST_GROWTH_KB),
        ("memory at most", mb, "MB", MOST_MB),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("hosts", 100), ("vips", 1000), ("members", 20_000), ("events", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(World(options.serve, options.hosts, options.vips, options.members)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(World(Path(folder), options.hosts, options.vips, options.members), options.events))


if __name__ == "__main__":
    raise SystemExit(main())
