"""The members of every pool: where their containers are, where load balancers send to, and how they are.

Role: lay the file's members, the engines' containers and HAProxy's servers over each other.
Invariant: every member of the file is in the answer, found or not; "not found" while a host could not be read is
unknown, not absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dockgate.haproxy.pools import backend_name
from dockgate.haproxy.words import name as haproxy_name
from dockgate.model.desired import ByLabel, ByName, ByService, Endpoint, Endpoints, Member, Pool, Published
from dockgate.model.observed import Container, ObservedHost, ServerState
from dockgate.plan.labelled import LABEL_POOL
from dockgate.plan.published import locate

from .graph import Condition, MemberNode, Seen
from .world import World, balancer_id, member_id

PLANNED = Condition("planned", "PLANNED", "it is in the file; nothing was asked")


@dataclass(frozen=True)
class _Server:
    """A server as one load balancer has it."""

    balancer: str
    state: ServerState


def members_of(world: World, pool: Pool) -> tuple[MemberNode, ...]:
    """The members of one pool, sorted by id."""
    match pool.membership:
        case ByName(members):
            found = [_by_name(world, pool, member) for member in members]
        case ByService(service):
            found = list(_several(world, pool, service, lambda each: service in _names_on(each, pool.network or "")))
        case ByLabel():
            title = f"{LABEL_POOL}={pool.name}"
            found = list(_several(world, pool, title, lambda each: each.labels.get(LABEL_POOL) == pool.name))
        case Published(members):
            found = [_published(world, pool, index, member) for index, member in enumerate(members)]
        case Endpoints(endpoints):
            found = [_endpoint(world, pool, endpoint) for endpoint in endpoints]
    return tuple(sorted(found, key=lambda node: node.id))


def _by_name(world: World, pool: Pool, member: Member) -> MemberNode:
    servers = _servers(world, pool, haproxy_name(member.name))
    place = _find(world, member.name, pool.network or "")
    return _on_network(world, pool, member.name, place, servers)


def _several(world: World, pool: Pool, title: str, is_one: Callable[[Container], bool]) -> Iterator[MemberNode]:
    """Each container that is one, then addresses of load balancers that belong to none we can see."""
    if world.observed is None:
        yield _on_network(world, pool, title, None, [])
        return
    servers = [server for server in _servers(world, pool) if server.state.address]
    places = [(host, container) for host in world.known() for container in host.containers if is_one(container)]
    addresses = {_address(container, pool.network or "") for _, container in places}
    for host, container in places:
        address = _address(container, pool.network or "")
        mine = [server for server in servers if server.state.address == address]
        yield _on_network(world, pool, container.name, (host, container), mine)
    strangers = sorted({server.state.address for server in servers} - addresses)
    for address in strangers:
        mine = [server for server in servers if server.state.address == address]
        yield _on_network(world, pool, address, None, mine)
    if not places and not strangers:
        yield _on_network(world, pool, title, None, [])


def _on_network(
    world: World, pool: Pool, name: str, place: tuple[ObservedHost, Container] | None, servers: list[_Server]
) -> MemberNode:
    host = place[0].name if place else _only_host(world, pool)
    container = place[1] if place else None
    address = _address(container, pool.network or "") if container else ""
    known = address or next((server.state.address for server in servers if server.state.address), "")
    condition = _condition(world, container, servers)
    if container is not None and pool.network not in container.networks():
        condition = Condition("down", "DOWN", f"its container is not on network {pool.network}")
    return MemberNode(
        id=member_id(pool.name, name),
        pool=pool.name,
        name=name,
        host=host,
        container=container.name if container else "",
        address=known,
        port=pool.port,
        network=_network(world, pool, host),
        condition=condition,
        seen=_seen(servers),
    )


def _published(world: World, pool: Pool, index: int, member: Member) -> MemberNode:
    servers = _servers(world, pool, haproxy_name(member.name))
    place = _find(world, member.name, "")
    node = MemberNode(
        id=member_id(pool.name, member.name),
        pool=pool.name,
        name=member.name,
        host=place[0].name if place else "",
        container=place[1].name if place else "",
        address="",
        port=0,
        network="",
        condition=_condition(world, place[1] if place else None, servers),
        seen=_seen(servers),
    )
    if world.observed is None:
        return node
    found = locate(world.desired, pool, world.observed, None)
    said = [f"{item.what}: {item.why}" for item in found.blocked] + list(found.notes)
    why = next((text for text in said if f"member {member.name} " in text), f"it does not publish port {pool.port}")
    there = found.servers[index]
    if there.address is not None:
        return replace(node, address=there.address, port=there.port)
    told = next((server.state for server in servers if server.state.address), None)
    if place is None and told is not None:
        return replace(node, address=told.address, port=told.port)
    running = place is not None and place[1].state == "running"
    return replace(node, condition=Condition("down", "DOWN", why)) if running else node


def _endpoint(world: World, pool: Pool, endpoint: Endpoint) -> MemberNode:
    servers = _servers(world, pool, haproxy_name(endpoint.name))
    place = _behind(world, endpoint)
    return MemberNode(
        id=member_id(pool.name, endpoint.name),
        pool=pool.name,
        name=endpoint.name,
        host=place[0] if place else "",
        container=place[1] if place else "",
        address=endpoint.address,
        port=endpoint.port,
        network="",
        condition=_told(world, servers) or Condition("unknown", "UNKNOWN", "no load balancer says anything of it"),
        seen=_seen(servers),
    )


def _behind(world: World, endpoint: Endpoint) -> tuple[str, str] | None:
    """The host of the file at that address, and the running container that publishes the port there."""
    host_name = next(
        (host.name for host in world.desired.hosts if endpoint.address in (host.name, world.host_address(host.name))),
        None,
    )
    host = world.host(host_name) if host_name else None
    if not isinstance(host, ObservedHost):
        return (host_name, "") if host_name else None
    for container in host.containers:
        if any(port.host_port == endpoint.port for port in container.published):
            return host.name, container.name
    return host.name, ""


def _only_host(world: World, pool: Pool) -> str:
    """Where a member must be that is nowhere: a bridge is on one host, an overlay on any."""
    network = next((item for item in world.desired.networks if item.name == pool.network), None)
    hosts = world.network_hosts(network.name) if network is not None and network.driver == "bridge" else ()
    return hosts[0] if len(hosts) == 1 else ""


def _find(world: World, name: str, network: str) -> tuple[ObservedHost, Container] | None:
    """The container of that name (or, on a network, of that alias), one that runs before one that does not."""
    found = [
        (host, container)
        for host in world.known()
        for container in host.containers
        if container.name == name or (network and name in _names_on(container, network))
    ]
    return min(
        found,
        key=lambda place: (
            bool(network) and network not in place[1].networks(),
            place[1].state != "running",
            place[1].name != name,
            place[0].name,
        ),
        default=None,
    )


def _names_on(container: Container, network: str) -> tuple[str, ...]:
    return next(((container.name, *item.aliases) for item in container.attachments if item.network == network), ())


def _address(container: Container, network: str) -> str:
    return next((item.address for item in container.attachments if item.network == network), "")


def _network(world: World, pool: Pool, host: str) -> str:
    if not pool.network:
        return ""
    hosts = world.network_hosts(pool.network)
    return world.network_id(host or (hosts[0] if hosts else world.desired.hosts[0].name), pool.network)


def _servers(world: World, pool: Pool, name: str | None = None) -> list[_Server]:
    """That server (or all) of the pool in every load balancer that runs and answered."""
    backend = backend_name(pool.name)
    return [
        _Server(balancer_id(vip.name, host), state)
        for vip, host in world.seats()
        if pool.name in vip.pools() and (running := world.haproxy(vip.name, host)) is not None
        for state in running.servers
        if state.pool == backend and name in (None, state.name)
    ]


def _seen(servers: list[_Server]) -> tuple[Seen, ...]:
    return tuple(sorted((Seen(item.balancer, _said(item.state)) for item in servers), key=lambda seen: seen.balancer))


def _said(state: ServerState) -> Condition:
    """HAProxy's word for a server, without what changes all the time."""
    if state.up:
        return Condition("up", "UP", "not checked" if state.status.startswith("no check") else "")
    if state.status.startswith("MAINT (resolution)"):
        return Condition("down", "DOWN", "its name does not resolve")
    word = state.status.split()[0] if state.status else "DOWN"
    check = state.check + (f"/{state.check_code}" if state.check_code else "")
    return Condition("down", word, ": ".join(part for part in (check, state.check_text) if part))


def _told(world: World, servers: list[_Server]) -> Condition | None:
    """What all load balancers together say; None when none says anything."""
    if world.observed is None:
        return PLANNED
    said = [_said(server.state) for server in servers]
    down = [one for one in said if one.state != "up"]
    if not said:
        return None
    if down and len(down) < len(said):
        return Condition("down", "PARTLY UP", f"down for {len(down)} of {len(said)} load balancers: {down[0].why}")
    return down[0] if down else said[0]


def _condition(world: World, container: Container | None, servers: list[_Server]) -> Condition:
    told = _told(world, servers)
    if world.observed is None:
        return PLANNED
    if container is None:
        return _not_found(world, told)
    if container.state != "running":
        return Condition("down", "DOWN", f"its container is {container.state}")
    return told or Condition("unknown", "UNKNOWN", "it runs, but no load balancer says whether it answers")


def _not_found(world: World, told: Condition | None) -> Condition:
    blind = ", ".join(world.unknown())
    if told is not None and told.state == "up":
        return told
    if blind:
        why = f"not found, but {blind} could not be read"
        return Condition("down", told.word, f"{told.why}; {why}") if told else Condition("unknown", "UNKNOWN", why)
    return Condition("down", "ABSENT", "no host has a container of that name")
