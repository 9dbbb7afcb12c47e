"""The running example on fakes: three hosts in a Swarm, a VIP on docker1, two members; and one turn of dockgate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fakes.engine import FakeEngine
from tests.fakes.network import FakeNetwork

from dockgate.controller.execute import execute
from dockgate.controller.observe import observe
from dockgate.controller.report import Report
from dockgate.controller.world import World
from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Network, Pool, Vip
from dockgate.model.observed import Observed
from dockgate.model.plan import Plan
from dockgate.plan import plan

HOSTS = ("docker1", "docker2", "docker3")
PROJECT = "example"


def desired(*, members: tuple[str, ...] = ("web1", "web2"), port: int = 80) -> Desired:
    """The running example of the design."""
    return Desired(
        project=PROJECT,
        hosts=tuple(Host(name, f"unix:///run/{name}.sock", f"192.168.50.1{i}") for i, name in enumerate(HOSTS, 1)),
        networks=(Network("backend", "overlay", internal=True),),
        pools=(Pool("pres", ByName(tuple(map(Member, members))), network="backend", port=80),),
        vips=(Vip("web", hosts=("docker1",), listens=(Listen(port, pool="pres"),)),),
    )


def three_hosts(folder: Path, *, images: bool = True) -> FakeNetwork:
    """Three engines with nothing on them but, mostly, our images."""
    network = FakeNetwork(folder)
    for number, name in enumerate(HOSTS, 1):
        engine = FakeEngine(network, name, address=f"192.168.50.1{number}", swarm="worker" if number > 1 else "manager")
        wanted = desired().images
        engine.tags = {wanted.haproxy, wanted.node, wanted.waf, "dockgate/web:1"} if images else set()
    return network


def world(network: FakeNetwork) -> World:
    return World(project=PROJECT, engines=network.engines)


async def see(network: FakeNetwork) -> Observed:
    return await observe(network.engines, PROJECT, limit_s=0.2)


async def turn(network: FakeNetwork, wanted: Desired) -> tuple[Plan, Report]:
    """Observe, decide, act: one ``up``."""
    decided = plan(wanted, await see(network))
    return decided, await execute(decided, world(network))


def add_members(network: FakeNetwork, *names: str) -> None:
    """Web containers on the other hosts, on the backend network."""
    for number, name in enumerate(names):
        network.engines[HOSTS[1 + number % 2]].add_container(name, networks=("backend",))


def with_check(wanted: Desired, path: str) -> Desired:
    """The same with another check, which needs a reload."""
    pools = []
    for pool in wanted.pools:
        assert pool.check is not None
        pools.append(replace(pool, check=replace(pool.check, path=path)))
    return replace(wanted, pools=tuple(pools))
