"""Desired and Observed -> Graph. Pure.

Shown are the hosts and VIPs of the file, its pools' members wherever they are, and of other people's containers those
that matter to it: what publishes a port, and what is on a network of the file. The rest is counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from dockgate.haproxy.pools import backend_name
from dockgate.model.desired import ByLabel, ByName, ByService, Desired, Host, Network, Pool, Published, Route, Vip
from dockgate.model.objects import is_ours
from dockgate.model.observed import Container, Observed, ObservedHost, ObservedNetwork, RunningHaproxy, Unknown

from .graph import (
    BalancerNode,
    Condition,
    ContainerNode,
    Graph,
    HostNode,
    ListenFact,
    MemberNode,
    NetworkNode,
    Place,
    PoolNode,
    RouteFact,
)
from .ports import dnats_of, ports_of, way_in_of, ways_of
from .servers import PLANNED, members_of
from .world import NO_NETWORK, World, balancer_id, container_id, host_id, network_id, pool_id

WELL = Condition("up")
ASKED = Condition("planned", "", "nothing was asked")


def graph_of(desired: Desired, observed: Observed | None) -> Graph:
    """The live system, or (``observed`` None) the file before it is applied."""
    world = World(desired, observed)
    pools = tuple(sorted((_pool(world, pool) for pool in desired.pools), key=lambda node: node.id))
    members = tuple(node for pool in sorted(desired.pools, key=lambda p: p.name) for node in members_of(world, pool))
    balancers = tuple(sorted((_balancer(world, vip, host) for vip, host in world.seats()), key=lambda node: node.id))
    containers = _containers(world, members, balancers)
    ports = ports_of(world, balancers, members, {(node.host, node.name): node.id for node in containers})
    members = tuple(_with_way_in(world, node) for node in members)
    ways = ways_of(world, balancers, pools, members, ports)
    return Graph(
        project=desired.project,
        view="desired" if observed is None else "live",
        hosts=tuple(sorted((_host(world, host, containers) for host in desired.hosts), key=lambda node: node.id)),
        networks=_networks(world, balancers, members, containers),
        balancers=balancers,
        pools=pools,
        members=tuple(sorted(members, key=lambda node: node.id)),
        containers=containers,
        ports=ports,
        nat=tuple(sorted((*dnats_of(world, ports), *ways.nat), key=lambda node: node.id)),
        links=ways.links,
    )


def _with_way_in(world: World, node: MemberNode) -> MemberNode:
    """A published member is on the network that its port leads into, also while it is stopped."""
    host = world.host(node.host) if node.container and not node.network else None
    container = host.container(node.container) if isinstance(host, ObservedHost) else None
    if not isinstance(host, ObservedHost) or container is None:
        return node
    way_in = way_in_of(host, container).network
    return replace(node, network=world.network_id(host.name, way_in)) if way_in else node


def _host(world: World, host: Host, shown: tuple[ContainerNode, ...]) -> HostNode:
    addresses = (
        world.host_address(host.name),
        *sorted(vip.address for vip in world.desired.vips if vip.address and host.name in vip.hosts),
    )
    node = HostNode(host_id(host.name), host.name, tuple(item for item in addresses if item), WELL)
    state = world.host(host.name)
    if state is None:
        return replace(node, condition=ASKED)
    if isinstance(state, Unknown):
        return replace(node, condition=Condition("unknown", "UNKNOWN", state.reason))
    ours = [item for item in state.containers if is_ours(item.labels, world.desired.project)]
    nodes = sorted((item for item in ours if is_ours(item.labels, world.desired.project, "node")), key=_liveliest)
    drawn = {item.name for item in shown if item.host == host.name} | {item.name for item in ours}
    members = {member for pool in world.desired.pools for member in _member_names(pool)}
    return replace(
        node,
        engine=state.engine_version,
        swarm="" if state.swarm == "none" else state.swarm,
        node=nodes[0].state if nodes else "",
        others=sum(item.name not in drawn | members for item in state.containers),
    )


def _liveliest(container: Container) -> tuple[bool, str]:
    return container.state != "running", container.name


def _member_names(pool: Pool) -> tuple[str, ...]:
    return tuple(m.name for m in pool.membership.members) if isinstance(pool.membership, ByName | Published) else ()


def _pool(world: World, pool: Pool) -> PoolNode:
    hosts = world.network_hosts(pool.network) if pool.network else ()
    network = world.network_id(hosts[0] if hosts else world.desired.hosts[0].name, pool.network) if pool.network else ""
    how: Literal["names", "service", "published", "endpoints"]
    match pool.membership:
        case ByName():
            how = "names"
        case ByService() | ByLabel():
            how = "service"
        case Published():
            how = "published"
        case _:
            how = "endpoints"
    return PoolNode(pool_id(pool.name), pool.name, how, network, pool.port, pool.mode, pool.balance)


def _route(route: Route) -> RouteFact:
    header = "" if route.header is None else f"{route.header.name}: {route.header.value or '*'}"
    return RouteFact(route.pool, route.host or "", route.path or "", header, route.percent)


def _balancer(world: World, vip: Vip, host: str) -> BalancerNode:
    container = world.balancer(vip.name, host)
    if container is not None:
        places = tuple(Place(world.network_id(host, item.network), item.address) for item in container.attachments)
    else:
        places = tuple(Place(world.network_id(host, name)) for name in world.planned_networks(vip))
    return BalancerNode(
        id=balancer_id(vip.name, host),
        vip=vip.name,
        host=host,
        address=vip.address or world.host_address(host),
        own_address=vip.address is not None,
        listens=tuple(ListenFact(listen.port, listen.mode, listen.pool or "") for listen in vip.listens),
        routes=tuple(_route(route) for route in vip.routes),
        pools=vip.pools(),
        container=container.name if container else "",
        places=tuple(sorted(places, key=lambda place: place.network)),
        condition=_balancer_condition(world, vip, host, container),
    )


def _balancer_condition(world: World, vip: Vip, host: str, container: Container | None) -> Condition:
    state = world.host(host)
    if state is None:
        return PLANNED
    if isinstance(state, Unknown):
        return Condition("unknown", "UNKNOWN", f"{host} could not be read: {state.reason}")
    if container is None:
        return Condition("down", "NOT THERE", "no load balancer container of this VIP is there; `dockgate up` makes it")
    if container.state != "running":
        return Condition("down", "DOWN", f"its container is {container.state}")
    holder = world.holder(vip.name, host)
    running = holder.running if holder is not None else None
    if not isinstance(running, RunningHaproxy):
        why = running.reason if isinstance(running, Unknown) else "HAProxy was not asked"
        return Condition("unknown", "UNKNOWN", why)
    dead = [name for name in vip.pools() if not any(s.up for s in running.servers if s.pool == backend_name(name))]
    return Condition("down", "NO MEMBER UP", f"in pool {', '.join(dead)}") if dead else Condition("up", "UP")


def _containers(
    world: World, members: tuple[MemberNode, ...], balancers: tuple[BalancerNode, ...]
) -> tuple[ContainerNode, ...]:
    taken = {(node.host, node.container) for node in members} | {(node.host, node.container) for node in balancers}
    wanted = {network.name for network in world.desired.networks}
    found = [
        ContainerNode(
            id=container_id(host.name, item.name),
            host=host.name,
            name=item.name,
            places=tuple(
                Place(world.network_id(host.name, place.network), place.address)
                for place in item.attachments
                if place.network not in NO_NETWORK
            ),
            condition=Condition("up", "UP")
            if item.state == "running"
            else Condition("down", "DOWN", f"it is {item.state}"),
        )
        for host in world.known()
        for item in host.containers
        if (host.name, item.name) not in taken
        and not is_ours(item.labels, world.desired.project)
        and (item.published or wanted & set(item.networks()))
    ]
    return tuple(sorted(found, key=lambda node: node.id))


def _networks(
    world: World,
    balancers: tuple[BalancerNode, ...],
    members: tuple[MemberNode, ...],
    containers: tuple[ContainerNode, ...],
) -> tuple[NetworkNode, ...]:
    used = {place.network for node in balancers for place in node.places}
    used |= {place.network for node in containers for place in node.places}
    used |= {node.network for node in members if node.network}
    nodes: dict[str, NetworkNode] = {}
    for network in world.desired.networks:
        for node in _wanted(world, network):
            nodes[node.id] = node
    for key in sorted(used - set(nodes)):
        nodes[key] = _used(world, key)
    return tuple(nodes[key] for key in sorted(nodes))


def _wanted(world: World, network: Network) -> list[NetworkNode]:
    """A network of the file: once if it spans hosts, else on each host that needs it."""
    if network.driver == "overlay":
        return [_network(world, network, "", _seen_on(world, network.name))]
    hosts = world.network_hosts(network.name) or tuple(name for name, _ in _seen_on(world, network.name))
    return [
        _network(world, network, host, [(host, seen)] if (seen := world.network(host, network.name)) else [])
        for host in hosts
    ]


def _network(world: World, network: Network, host: str, seen: list[tuple[str, ObservedNetwork]]) -> NetworkNode:
    subnet = next((item.subnet for _, item in seen if item.subnet), "") or network.subnet or ""
    return NetworkNode(
        id=network_id(network.name, host),
        name=network.name,
        driver=seen[0][1].driver if seen else network.driver,
        internal=seen[0][1].internal if seen else network.internal,
        subnet=subnet,
        host=host,
        hosts=tuple(name for name, _ in seen),
        wanted=True,
        condition=_network_condition(world, host, there=bool(seen)),
    )


def _network_condition(world: World, host: str, *, there: bool) -> Condition:
    if world.observed is None:
        return PLANNED
    if there:
        return WELL
    blind = tuple(name for name in world.unknown() if host in ("", name))
    if blind:
        return Condition("unknown", "UNKNOWN", f"not seen, but {', '.join(blind)} could not be read")
    return Condition("down", "NOT THERE", "no host has it; `dockgate up` makes it")


def _seen_on(world: World, name: str) -> list[tuple[str, ObservedNetwork]]:
    return [(host.name, found) for host in world.known() if (found := host.network(name)) is not None]


def _used(world: World, key: str) -> NetworkNode:
    """A network that is not in the file, but that something shown is on."""
    name, _, host = (
        key.removeprefix("network:").rpartition("@") if "@" in key else (key.removeprefix("network:"), "", "")
    )
    seen = [(where, item) for where, item in _seen_on(world, name) if host in ("", where)]
    first = seen[0][1] if seen else None
    state = world.host(host) if host else None
    condition = ASKED if world.observed is None else WELL
    if isinstance(state, Unknown):
        condition = Condition("unknown", "UNKNOWN", state.reason)
    return NetworkNode(
        id=key,
        name=name,
        driver=first.driver if first else "bridge",
        internal=first.internal if first else False,
        subnet=first.subnet if first else "",
        host=host,
        hosts=tuple(where for where, _ in seen) or ((host,) if isinstance(state, ObservedHost) else ()),
        wanted=False,
        condition=condition,
    )
