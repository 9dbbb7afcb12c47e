"""The running example with and without an address of its own, and the world after an ``up``, for regression tests."""

from __future__ import annotations

from dataclasses import replace

from tests.worlds import bare_world

from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Network, Pool, Vip
from dockgate.model.observed import Container, Observed, ObservedHost
from dockgate.plan import plan, simulate, trees_of

ADDRESS = "10.10.10.150"
HOSTS = tuple(Host(f"docker{n}", f"unix:///run/docker{n}.sock", f"192.168.50.{10 + n}") for n in (1, 2, 3))
FILE = Desired(
    "example",
    HOSTS,
    (Network("backend", "overlay", internal=True),),
    (Pool("pres", ByName((Member("web1"), Member("web2"))), 80, "backend"),),
    (Vip("web", ("docker1",), (Listen(80, "http", "pres"),)),),
)


def with_vip(desired: Desired, **changes: object) -> Desired:
    """The file with its one VIP changed."""
    return replace(desired, vips=(replace(desired.vips[0], **changes),))  # type: ignore[arg-type]


OWN_ADDRESS = with_vip(FILE, address=ADDRESS)


def reached(desired: Desired, world: Observed | None = None) -> Observed:
    """The world after ``up``."""
    world = world or bare_world(desired)
    trees = trees_of(desired, world)
    for step in plan(desired, world).steps:
        world = simulate(world, step.action, trees)
    return world


def known(world: Observed, name: str) -> ObservedHost:
    host = world.host(name)
    assert isinstance(host, ObservedHost)
    return host


def balancer(world: Observed, host: str) -> Container:
    """The one load balancer of ours on a host."""
    (found,) = [item for item in known(world, host).containers if item.labels.get("dockgate.kind") == "lb"]
    return found


def with_containers(world: Observed, host: ObservedHost) -> Observed:
    """The world with one host replaced."""
    return replace(world, hosts=tuple((name, host if name == host.name else state) for name, state in world.hosts))


def change_container(world: Observed, host_name: str, name: str, **changes: object) -> Observed:
    """The world with one container changed behind dockgate's back."""
    host = known(world, host_name)
    containers = tuple(
        replace(item, **changes) if item.name == name else item  # type: ignore[arg-type]
        for item in host.containers
    )
    return with_containers(world, replace(host, containers=containers))
