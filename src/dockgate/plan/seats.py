"""Seats: for each VIP and host, the load balancer that must be there beside what is there now; and who must leave.

Invariant: a seat that stands on something unknown or missing is blocked with its reason, never planned halfway; the
load balancers of a VIP with a blocked seat do not leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dockgate.haproxy.build import ResolvedServer
from dockgate.model.desired import ByLabel, Desired, Published, Vip
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import (
    Container,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    RunningHaproxy,
    Unknown,
)
from dockgate.model.plan import Blocked
from dockgate.plan.labelled import seat_labelled
from dockgate.plan.published import locate
from dockgate.plan.target import BalancerTarget, balancer_target

ALIVE = frozenset({"running", "paused", "restarting"})
"""States in which a container holds the ports that it publishes."""


@dataclass(frozen=True)
class Seat:
    """``current``: the container of exactly this specification, if it exists; ``balancer``: what it holds.

    ``served``: the VIP's pools that have a usable server now, in this container or in an older one it replaces.
    """

    target: BalancerTarget
    host: ObservedHost
    current: Container | None
    balancer: LoadBalancer | None
    served: tuple[str, ...]

    @property
    def running(self) -> RunningHaproxy | None:
        if self.current is None or self.current.state != "running" or self.balancer is None:
            return None
        return self.balancer.running if isinstance(self.balancer.running, RunningHaproxy) else None


@dataclass(frozen=True)
class Leaver:
    """A load balancer container of ours that no seat wants, and the VIP it was for."""

    host: str
    container: Container
    vip: str


@dataclass(frozen=True)
class Seating:
    seats: tuple[Seat, ...]
    leavers: tuple[Leaver, ...]
    blocked: tuple[Blocked, ...]
    notes: tuple[str, ...]


def seat_all(desired: Desired, observed: Observed, usable: frozenset[tuple[str, str]]) -> Seating:
    """``usable``: the (host, network) pairs that exist or will exist before load balancers are made."""
    seats: list[Seat] = []
    blocked: list[Blocked] = []
    notes: list[str] = []
    targets = _Targets(desired)
    for vip in desired.vips:
        for host in vip.hosts:
            seat = _seat(targets, vip, host, observed)
            problems = _problems(desired, observed, vip, seat, usable)
            blocked += [*seat.blocked, *problems]
            notes += seat.notes
            if seat.seat is not None and not problems and not seat.blocked:
                seats.append(seat.seat)
    while True:
        stuck = {vip.name for vip in desired.vips for host in vip.hosts if not _seated(seats, vip.name, host)}
        leavers, kept = _leavers(desired, observed, {seat.target.spec.name for seat in seats}, stuck)
        behind = {index: found for index, seat in enumerate(seats) if (found := _kept_in_the_way(seat, kept))}
        if not behind:
            break
        blocked += behind.values()
        seats = [seat for index, seat in enumerate(seats) if index not in behind]
    notes += [f"{item.container.name} on {item.host} stays until VIP {item.vip} can be made" for item in kept]
    return Seating(tuple(seats), leavers, tuple(dict.fromkeys(blocked)), tuple(dict.fromkeys(notes)))


@dataclass(frozen=True)
class _Try:
    seat: Seat | None
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Targets:
    """What load balancers must be: the same on all hosts of a VIP unless a published member is elsewhere for one."""

    desired: Desired
    made: dict[tuple[str, tuple[tuple[str, tuple[ResolvedServer, ...]], ...]], BalancerTarget] = field(
        default_factory=dict
    )
    seen: dict[str, dict[str, list[Container]]] = field(default_factory=dict)

    def target(self, vip: Vip, host: str, resolved: dict[str, tuple[ResolvedServer, ...]]) -> BalancerTarget:
        key = (vip.name, tuple(sorted(resolved.items(), key=lambda item: item[0])))
        if key not in self.made:
            self.made[key] = balancer_target(self.desired, vip, host, resolved)
        return replace(self.made[key], host=host)

    def balancers(self, host: ObservedHost) -> Mapping[str, list[Container]]:
        """A host's load balancers by VIP."""
        if host.name not in self.seen:
            self.seen[host.name] = {}
            for container in host.containers:
                if is_ours(container.labels, self.desired.project, "lb"):
                    self.seen[host.name].setdefault(container.labels.get(LABEL_NAME) or "", []).append(container)
        return self.seen[host.name]


def _seat(targets: _Targets, vip: Vip, host_name: str, observed: Observed) -> _Try:
    desired = targets.desired
    host = observed.host(host_name)
    if isinstance(host, Unknown):
        hint = "make the engine reachable; what runs there keeps running as it is"
        what = f"VIP {vip.name} on {host_name}"
        return _Try(None, (Blocked(what, f"{host_name} could not be read: {host.reason}", hint, vip.source),))
    mine = targets.balancers(host).get(vip.name, [])
    holder = _holder(host, mine)
    resolved: dict[str, tuple[ResolvedServer, ...]] = {}
    blocked: list[Blocked] = []
    notes: list[str] = []
    for name in vip.pools():
        pool = desired.pool(name)
        if isinstance(pool.membership, Published):
            places = locate(desired, pool, observed, holder)
            resolved[name] = places.servers
            blocked += places.blocked
            notes += places.notes
        elif isinstance(pool.membership, ByLabel):
            resolved[name] = seat_labelled(desired, pool, observed, holder)
    target = targets.target(vip, host_name, resolved)
    current = next((item for item in mine if item.name == target.spec.name), None)
    balancer = host.loadbalancer(target.spec.name) if current else None
    return _Try(Seat(target, host, current, balancer, _served(holder, balancer, vip)), tuple(blocked), tuple(notes))


def _holder(host: ObservedHost, mine: list[Container]) -> LoadBalancer | None:
    """The load balancer of the VIP that runs now, whatever its specification."""
    candidates = (host.loadbalancer(item.name) for item in mine if item.state == "running")
    return next((item for item in candidates if item and isinstance(item.running, RunningHaproxy)), None)


def _served(holder: LoadBalancer | None, balancer: LoadBalancer | None, vip: Vip) -> tuple[str, ...]:
    """Also what served before a change that an interrupted run made and did not prove."""
    pools = set(balancer.unproved or ()) if balancer else set()
    if holder is not None and isinstance(holder.running, RunningHaproxy):
        pools |= {server.pool for server in holder.running.servers if server.up}
    return tuple(name for name in vip.pools() if name in pools)


def _problems(
    desired: Desired, observed: Observed, vip: Vip, attempt: _Try, usable: frozenset[tuple[str, str]]
) -> tuple[Blocked, ...]:
    if attempt.seat is None:
        return ()
    host_name = attempt.seat.host.name
    return tuple(
        Blocked(f"VIP {vip.name} on {host_name}", why, hint, vip.source)
        for why, hint in [
            *_missing_networks(desired, attempt.seat, usable),
            *_unreadable(attempt.seat),
            *_taken_ports(desired, attempt.seat),
            *_address_elsewhere(desired, observed, attempt.seat),
            *_expired(attempt.seat),
        ]
    )


def _expired(seat: Seat) -> Iterator[tuple[str, str]]:
    """It keeps what it has, also an expired certificate; it gets none."""
    there = seat.balancer.tls_files if seat.balancer else ()
    for file in seat.target.tls_files:
        if file.expired and not file.is_among(there):
            yield f"{file} has expired", "renew it; what runs goes on with what it has"


def _missing_networks(desired: Desired, seat: Seat, usable: frozenset[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    overlays = {network.name for network in desired.networks if network.driver == "overlay"}
    for network in seat.target.spec.networks[1:]:
        if (seat.host.name, network) not in usable:
            yield f"network {network} cannot be used there", "see what is said about that network"
        elif network in overlays and seat.host.swarm == "none":
            why = f"network {network} is an overlay, and {seat.host.name} is not in the Swarm"
            yield why, f"run `docker swarm join` on {seat.host.name}"


def _unreadable(seat: Seat) -> Iterator[tuple[str, str]]:
    if seat.current is None:
        return
    name = seat.current.name
    if seat.current.state == "paused":
        yield f"its container {name} is paused", f"docker unpause {name}"
    elif seat.current.state in ("dead", "removing"):
        yield f"its container {name} is {seat.current.state}", f"docker rm -f {name}, then try again"
    elif seat.balancer is None or isinstance(seat.balancer.config, Unknown):
        reason = seat.balancer.config.reason if seat.balancer and isinstance(seat.balancer.config, Unknown) else ""
        yield f"the configuration of {name} could not be read{f': {reason}' if reason else ''}", "try again"
    elif seat.current.state == "running" and isinstance(seat.balancer.running, Unknown):
        yield f"HAProxy in {name} does not answer: {seat.balancer.running.reason}", f"docker logs {name}"


def _taken_ports(desired: Desired, seat: Seat) -> Iterator[tuple[str, str]]:
    if seat.current is not None and seat.current.state == "running":
        return
    for container in seat.host.publishing:
        if is_ours(container.labels, desired.project, "lb") or container.state not in ALIVE:
            continue
        for port in overlap(seat.target.spec.publish, container.published):
            why = f"container {container.name}, which is not ours, publishes port {port} there"
            yield why, f"stop {container.name}, or give the VIP another port or an address of its own"


def _address_elsewhere(desired: Desired, observed: Observed, seat: Seat) -> Iterator[tuple[str, str]]:
    """An address must not be put on a host while one that may still have it cannot be asked."""
    address = seat.target.vip.address
    if address is None or holds_address(seat.host, desired.project, address):
        return
    unknown = ", ".join(name for name, _ in observed.unknown())
    if unknown:
        why = f"{unknown} could not be read and may still have {address}, which must not be on two hosts"
        yield why, "make its engine reachable, or take a host that is gone for good out of the file"


def overlap(ones: tuple[PublishedPort, ...], others: tuple[PublishedPort, ...]) -> tuple[int, ...]:
    """Host ports that both want on an address they share."""
    return tuple(
        sorted(
            {
                one.host_port
                for one in ones
                for other in others
                if one.host_port == other.host_port and _same_address(one.host_address, other.host_address)
            }
        )
    )


def _same_address(one: str, other: str) -> bool:
    return one == other or "0.0.0.0" in (one, other)


def _seated(seats: list[Seat], vip: str, host: str) -> bool:
    return any(seat.target.vip.name == vip and seat.target.host == host for seat in seats)


def _leavers(
    desired: Desired, observed: Observed, wanted: set[str], stuck: set[str]
) -> tuple[tuple[Leaver, ...], list[Leaver]]:
    """Who leaves, and who stays although nobody wants it as it is, because its VIP cannot be made as the file says."""
    leavers: list[Leaver] = []
    kept: list[Leaver] = []
    for host in observed.known():
        for container in host.containers:
            if not is_ours(container.labels, desired.project, "lb"):
                continue
            vip = container.labels.get(LABEL_NAME) or ""
            if _is_wanted(desired, host.name, container, vip, wanted):
                continue
            (kept if vip in stuck else leavers).append(Leaver(host.name, container, vip))
    return tuple(leavers), kept


def _kept_in_the_way(seat: Seat, kept: list[Leaver]) -> Blocked | None:
    """A load balancer that has to stay holds what the seat needs before it can start."""
    if seat.current is not None and seat.current.state == "running":
        return None
    for item in kept:
        ports = overlap(seat.target.spec.publish, item.container.wanted_ports)
        if item.vip != seat.target.vip.name and item.host == seat.host.name and item.container.state in ALIVE and ports:
            return Blocked(
                f"VIP {seat.target.label}",
                f"{item.container.name} holds port {', '.join(map(str, ports))} until VIP {item.vip} can be made",
                f"see what is said about VIP {item.vip}",
                seat.target.vip.source,
            )
    return None


def _is_wanted(desired: Desired, host: str, container: Container, vip: str, wanted: set[str]) -> bool:
    here = any(item.name == vip and host in item.hosts for item in desired.vips)
    return here and container.name in wanted


def address_networks(project: str, observed: Observed) -> tuple[tuple[str, ObservedNetwork], ...]:
    """(host, network) of every VIP address that we put on a host."""
    return tuple((host.name, network) for host in observed.known() for network in address_networks_of(host, project))


def address_networks_of(host: ObservedHost, project: str) -> tuple[ObservedNetwork, ...]:
    """The networks that carry VIP addresses on one host."""
    return tuple(network for network in host.networks if is_ours(network.labels, project, "address"))


def holds_address(host: ObservedHost, project: str, address: str) -> bool:
    """Whether we put the address on the host, under whatever VIP's name."""
    return any(network.gateway == address for network in address_networks_of(host, project))
