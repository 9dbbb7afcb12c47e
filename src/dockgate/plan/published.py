"""Where published members are: the host port that Docker gave them, at the address of their host.

A member that is not there resolves to no address (its slot stays, disabled). What could not be observed is not "not
there": while a host is unknown, a member that no other host runs keeps the place it has in the running load balancer.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockgate.haproxy.build import ResolvedServer
from dockgate.model.desired import Desired, Member, Pool, Published
from dockgate.model.observed import Container, LoadBalancer, Observed, ObservedHost, RunningHaproxy, ServerState
from dockgate.model.plan import Blocked

_EVERY_ADDRESS = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Places:
    """The servers of one pool in the file's order, and what a person should know about them."""

    servers: tuple[ResolvedServer, ...]
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()


def locate(desired: Desired, pool: Pool, observed: Observed, balancer: LoadBalancer | None) -> Places:
    """Find every member of a pool with published members. ``balancer``: the load balancer that holds the pool now."""
    assert isinstance(pool.membership, Published)
    found = [_locate_member(desired, pool, member, observed, balancer) for member in pool.membership.members]
    return Places(
        servers=tuple(place.servers[0] for place in found),
        blocked=tuple(item for place in found for item in place.blocked),
        notes=tuple(item for place in found for item in place.notes),
    )


def place_on(desired: Desired, pool: Pool, member: Member, host: ObservedHost, container: Container) -> Places:
    """The place of a member that runs on this host."""
    absent = ResolvedServer(member.name, None, 0, member.weight)
    ports = [port for port in container.published if port.container_port == pool.port]
    if not ports:
        note = f"member {member.name} on {host.name} does not publish port {pool.port}: it gets no traffic"
        return Places((absent,), notes=(note,))
    reachable = [port for port in ports if not port.host_address.startswith("127.") and port.host_address != "::1"]
    if not reachable:
        note = f"member {member.name} publishes port {pool.port} on {host.name}'s loopback only: it gets no traffic"
        return Places((absent,), notes=(note,))
    port = min(reachable, key=lambda item: (item.host_address not in _EVERY_ADDRESS, item.host_port))
    address = host_address(desired, host) if port.host_address in _EVERY_ADDRESS else port.host_address
    if address is None:
        return Places(
            (absent,),
            blocked=(
                Blocked(
                    f"member {member.name} of pool {pool.name}",
                    f"it runs on {host.name}, and no IPv4 address of that host is known",
                    f"give host {host.name} an `address:`",
                    desired.host(host.name).source,
                ),
            ),
        )
    return Places((ResolvedServer(member.name, address, port.host_port, member.weight),))


def _locate_member(
    desired: Desired, pool: Pool, member: Member, observed: Observed, balancer: LoadBalancer | None
) -> Places:
    running = [
        (host, container)
        for host in observed.known()
        if (container := host.container(member.name)) is not None and container.state == "running"
    ]
    absent = ResolvedServer(member.name, None, 0, member.weight)
    if len(running) > 1:
        hosts = " and ".join(host.name for host, _ in running)
        return Places(
            (absent,),
            blocked=(
                Blocked(
                    f"member {member.name} of pool {pool.name}",
                    f"containers of that name run on {hosts}",
                    "rename one of them, so that the name says which is meant",
                    member.source,
                ),
            ),
        )
    if not running:
        return _not_running(member, pool, observed, balancer, absent)
    host, container = running[0]
    return place_on(desired, pool, member, host, container)


def _not_running(
    member: Member, pool: Pool, observed: Observed, balancer: LoadBalancer | None, absent: ResolvedServer
) -> Places:
    unknown = ", ".join(name for name, _ in observed.unknown())
    if not unknown:
        return Places((absent,), notes=(f"member {member.name} of pool {pool.name} does not run on any host",))
    last = _last_known(balancer, pool.name, member.name)
    note = f"member {member.name} of pool {pool.name} was not found, but {unknown} could not be read"
    if last is None:
        return Places((absent,), notes=(note,))
    kept = ResolvedServer(member.name, last.address, last.port, member.weight)
    return Places((kept,), notes=(f"{note}; it keeps {last.address}:{last.port}",))


def host_address(desired: Desired, host: ObservedHost) -> str | None:
    """An IPv4 address by which other hosts reach this one: the file's word, else its Swarm's."""
    given = desired.host(host.name).address
    if given is not None and _is_ipv4(given):
        return given
    return host.node_address or None


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _last_known(balancer: LoadBalancer | None, pool: str, member: str) -> ServerState | None:
    if balancer is None or not isinstance(balancer.running, RunningHaproxy):
        return None
    return next(
        (
            server
            for server in balancer.running.servers
            if server.pool == pool and server.name == member and server.address not in ("", "0.0.0.0")
        ),
        None,
    )
