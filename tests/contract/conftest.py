"""Three kinds of engines for one test body: the fake, the real client at the fake's HTTP API, and real ones in a small
lab of their own (marker ``lab``)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes.http_engine import HttpEngine
from tests.fakes.scene import three_hosts

from dockgate.edges.api import EngineApi
from dockgate.edges.engine import Engine
from dockgate.lab import Lab
from dockgate.model.desired import Images
from dockgate.model.objects import LABEL_PROJECT, ContainerSpec, labels_for
from dockgate.model.observed import PublishedPort

PROJECT = "contract"
NAME = "dockgate-contract" + os.environ.get("PYTEST_XDIST_WORKER", "")
PORT = 18080


@dataclass
class Pair:
    """Two engines of one Swarm, the first one its manager; ``addresses`` on the LAN between them."""

    first: EngineApi
    second: EngineApi
    addresses: tuple[str, str]

    async def balancer(self, *, port: int = PORT) -> ContainerSpec:
        """A load balancer's specification, with its volume made."""
        await self.first.create_volume("contract-lb", labels_for(PROJECT, "config", "web"))
        return ContainerSpec(
            name="contract-lb",
            kind="lb",
            image=Images().haproxy,
            networks=("bridge",),
            publish=(PublishedPort(80, port),),
            config_volume="contract-lb",
            run_tmpfs=True,
            labels=labels_for(PROJECT, "lb", "web", "abc"),
        )

    async def node(self) -> str:
        """A node container that runs on the first engine; its id."""
        spec = ContainerSpec(
            name="contract-node",
            kind="node",
            image=Images().node,
            networks=("host",),
            capabilities=("NET_RAW",),
            labels=labels_for(PROJECT, "node", "docker1"),
        )
        node = await self.first.create_container(spec)
        await self.first.start_container(node)
        return node

    async def clear(self) -> None:
        """Take away what carries the mark of these tests."""
        for engine in (self.first, self.second):
            for container in await engine.containers():
                if container.labels.get(LABEL_PROJECT) == PROJECT:
                    await engine.remove_container(container.id, project=PROJECT)
            for volume in await engine.volumes():
                if volume.labels.get(LABEL_PROJECT) == PROJECT:
                    await engine.remove_volume(volume.name, project=PROJECT)
            for network in await engine.networks():
                if network.labels.get(LABEL_PROJECT) == PROJECT:
                    await engine.remove_network(network.id, project=PROJECT)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two real hosts of our own; kept for the next run with DOCKGATE_KEEP_LAB=1."""
    lab = Lab.up(NAME, hosts=2)
    yield lab
    if os.environ.get("DOCKGATE_KEEP_LAB") != "1":
        lab.down()


@pytest.fixture(params=["fake", "http", pytest.param("real", marks=pytest.mark.lab)])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    if request.param == "fake":
        engines = three_hosts(tmp_path).engines
        addresses = (engines["docker1"].address, engines["docker2"].address)
        yield Pair(engines["docker1"], engines["docker2"], addresses)
        return
    if request.param == "http":
        fakes = three_hosts(tmp_path).engines
        async with AsyncExitStack() as stack:
            pair_of = [
                await stack.enter_async_context(HttpEngine(fakes[name], tmp_path / f"{name}.sock").served())
                for name in ("docker1", "docker2")
            ]
            one, two = [await stack.enter_async_context(Engine(each.engine.host, each.url)) for each in pair_of]
            yield Pair(one, two, (fakes["docker1"].address, fakes["docker2"].address))
        return
    lab: Lab = request.getfixturevalue("lab")
    names = lab.hosts[:2]
    urls = [f"unix://{lab.socket(name)}" for name in names]
    async with Engine(names[0], urls[0]) as first, Engine(names[1], urls[1]) as second:
        pair = Pair(first, second, (lab.address(names[0]), lab.address(names[1])))
        await pair.clear()
        yield pair
        await pair.clear()
