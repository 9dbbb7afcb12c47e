"""The controller with the real client over HTTP: one `up`, and engines whose connections go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.http_engine import HttpEngine, HttpFaults
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import PROJECT, add_members, desired, three_hosts

from dockgate.controller.execute import execute
from dockgate.controller.members import Members
from dockgate.controller.observe import observe
from dockgate.controller.wake import Wake
from dockgate.controller.watch import Watch
from dockgate.controller.world import World
from dockgate.edges.engine import Engine
from dockgate.errors import EngineError
from dockgate.model.objects import is_ours
from dockgate.model.observed import ObservedHost, Unknown
from dockgate.plan import plan
from dockgate.plan.membership import Sighting


@dataclass
class Wire:
    network: FakeNetwork
    servers: dict[str, HttpEngine]
    engines: dict[str, Engine]

    @property
    def first(self) -> Engine:
        return self.engines["docker1"]


@asynccontextmanager
async def wired(folder: Path) -> AsyncIterator[Wire]:
    network = three_hosts(folder)
    servers = {name: HttpEngine(engine, folder / f"{name}.sock") for name, engine in network.engines.items()}
    async with AsyncExitStack() as stack:
        for server in servers.values():
            await stack.enter_async_context(server.served())
        engines = {name: await stack.enter_async_context(Engine(name, each.url)) for name, each in servers.items()}
        yield Wire(network, servers, engines)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path) as found:
        yield found


async def test_an_up_over_the_wire_leaves_the_next_one_nothing_to_do(wire: Wire) -> None:
    add_members(wire.network, "web1", "web2")
    here = World(project=PROJECT, engines=wire.engines)
    first = plan(desired(), await observe(wire.engines, PROJECT, limit_s=10))
    report = await execute(first, here)
    assert report.failures == ()
    kept = [
        each.seen for each in wire.network.engines["docker1"].kept.values() if is_ours(each.seen.labels, PROJECT, "lb")
    ]
    assert [each.state for each in kept] == ["running"]
    assert plan(desired(), await observe(wire.engines, PROJECT, limit_s=10)).steps == ()


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (HttpFaults(nonsense=True), "its answer is not one of a Docker engine"),
        (HttpFaults(cut=True), "cannot reach its Docker engine"),
    ],
)
async def test_a_broken_answer_is_an_error_that_names_host_and_attempt(
    wire: Wire, faults: HttpFaults, said: str
) -> None:
    assert (await wire.first.info()).swarm == "manager"
    wire.servers["docker1"].faults = faults
    with pytest.raises(EngineError, match=f"docker1: could not list its networks: {said}"):
        await wire.first.networks()


async def test_an_engine_that_hangs_up_is_an_error(wire: Wire) -> None:
    wire.network.faults.off.add("docker1")
    with pytest.raises(EngineError, match=r"docker1: .*cannot reach its Docker engine"):
        await wire.first.containers()


async def test_a_slow_engine_is_unknown_and_delays_nobody_else(wire: Wire) -> None:
    wire.servers["docker2"].faults = HttpFaults(slow_s=5)
    began = asyncio.get_running_loop().time()
    seen = await observe(wire.engines, PROJECT, limit_s=1)
    assert asyncio.get_running_loop().time() - began < 4
    kinds = {name: type(host) for name, host in seen.hosts}
    assert kinds == {"docker1": ObservedHost, "docker2": Unknown, "docker3": ObservedHost}


@dataclass
class Followed:
    """web1's host and what a watch made of it. ``settled``: how many servers each event was about."""

    fake: FakeEngine
    members: Members
    watch: Watch
    settled: asyncio.Queue[int]

    def only(self) -> Sighting:
        (one,) = self.members.seen.values()
        return one


@pytest.fixture
async def followed(wire: Wire) -> AsyncIterator[Followed]:
    add_members(wire.network, "web1")
    members, settled = Members(desired()), asyncio.Queue[int]()
    watch = Watch(PROJECT, wire.engines["docker2"], members, Wake(), lambda refs: settled.put_nowait(len(set(refs))))
    task = asyncio.create_task(watch.run())
    try:
        await settled.get()
        yield Followed(wire.network.engines["docker2"], members, watch, settled)
    finally:
        task.cancel()


async def test_a_watch_whose_stream_breaks_reads_everything_anew(followed: Followed) -> None:
    followed.fake.streams.silent = True
    followed.fake.die("web1")  # while nobody hears it
    followed.fake.streams.silent = False
    followed.fake.streams.cut()
    while followed.watch.gaps < 2:
        await followed.settled.get()
    assert followed.only().container.state == "exited"


async def test_events_of_a_member_reach_the_register_over_the_wire(followed: Followed) -> None:
    followed.fake.kill("web1", signal=15)
    await followed.settled.get()
    assert followed.only().told_at > 0
    followed.fake.die("web1")
    await followed.settled.get()
    places = tuple(replace(place, address="10.0.5.5") for place in followed.fake.find("web1").seen.attachments)
    followed.fake.change("web1", "start", state="running", attachments=places)
    await followed.settled.get()
    back = followed.only().container
    assert (back.state, back.attachments[0].address) == ("running", "10.0.5.5")
