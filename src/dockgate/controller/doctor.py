"""The doctor's round: observe, look at every host, let them meet, ask from every load balancer, diagnose.

Decides nothing about what is wrong: that is ``doctor.diagnose``. What did not arrive is tried a second time, so that a
busy machine is not taken for a broken one. Changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from dockgate.controller.observe import observe
from dockgate.controller.world import World
from dockgate.doctor import Facts, Finding, diagnose
from dockgate.doctor.model import Asked, HostFacts, Meeting
from dockgate.edges import doctor as edge
from dockgate.edges.doctor import Room
from dockgate.errors import DockgateError
from dockgate.model.desired import ByName, ByService, Desired, Vip
from dockgate.model.objects import balancer_of
from dockgate.model.observed import Observed, ObservedHost, RunningHaproxy, Unknown

T = TypeVar("T")
Say = Callable[[str], None]

MEET_S, SECOND_MEET_S = 1.5, 3.0
VXLAN_HEAD, OVERLAY_MTU = 50, 1450


@dataclass(frozen=True)
class Round:
    """What was found, on how many hosts, in what time."""

    findings: tuple[Finding, ...]
    hosts: int
    seconds: float


async def examine(desired: Desired, world: World, *, say: Say = lambda _: None) -> Round:
    started = time.monotonic()
    say("asking the engines")
    observed = await observe(world.engines, world.project)
    rooms = await _rooms(observed, world)
    say("looking at the hosts and at what passes between them")
    looked, met, asked, events = await asyncio.gather(
        _each(rooms, lambda room: _look(observed, room)),
        _meet(desired, observed, rooms, MEET_S),
        _asked(desired, observed, rooms),
        asyncio.gather(*(edge.events_open(world.engine(host.name)) for host in observed.known())),
    )
    facts = Facts(
        hosts=looked,
        meetings=met,
        asked=asked,
        events={host.name: said for host, said in zip(observed.known(), events, strict=True)},
        size=_size(desired, observed),
    )
    findings = diagnose(desired, observed, facts)
    if any(finding.cause in _PASSING for finding in findings):
        say("trying again what did not arrive")
        again = await _meet(desired, observed, rooms, SECOND_MEET_S)
        findings = diagnose(desired, observed, replace(facts, meetings=_both(met, again)))
    return Round(findings, len(desired.hosts), time.monotonic() - started)


_PASSING = frozenset({"hosts-apart", "vxlan-blocked", "gossip-blocked", "mtu-too-small"})


async def _rooms(observed: Observed, world: World) -> dict[str, Room | Unknown]:
    async def one(host: ObservedHost) -> Room:
        return Room(world.engine(host.name), (await world.node(host.name)).id)

    hosts = observed.known()
    found = await asyncio.gather(*(_or_unknown(one(host)) for host in hosts))
    return {host.name: room for host, room in zip(hosts, found, strict=True)}


async def _each(rooms: Mapping[str, Room | Unknown], what: Callable[[Room], Awaitable[T]]) -> dict[str, T | Unknown]:
    """One question to every host at the same time; Unknown where it could not be put or was not answered."""

    async def one(room: Room | Unknown) -> T | Unknown:
        return room if isinstance(room, Unknown) else await _or_unknown(what(room))

    found = await asyncio.gather(*(one(room) for room in rooms.values()))
    return dict(zip(rooms, found, strict=True))


async def _or_unknown(answer: Awaitable[T]) -> T | Unknown:
    try:
        return await answer
    except DockgateError as error:
        return Unknown(error.what)


async def _look(observed: Observed, room: Room) -> HostFacts:
    host = observed.host(room.engine.host)
    assert isinstance(host, ObservedHost)
    pids = {item.name: item.pid for item in host.containers if item.pid and set(item.networks()) - {"host", "none"}}
    overlays = {network.id for network in host.networks if network.driver == "overlay" and network.containers}
    return await edge.look(room, pids, overlays)


async def _meet(
    desired: Desired, observed: Observed, rooms: Mapping[str, Room | Unknown], seconds: float
) -> dict[str, Meeting | Unknown]:
    nodes = {host.name: host.node_address for host in observed.known() if host.node_address}
    arp = frozenset((*nodes.values(), *(vip.address for vip in desired.vips if vip.address)))
    round_ = edge.Round(secrets.token_hex(8), _size(desired, observed), observed.vxlan_port, arp, seconds)

    def one(room: Room) -> Awaitable[Meeting]:
        peers = {name: address for name, address in nodes.items() if name != room.engine.host}
        return edge.meet(room, peers if room.engine.host in nodes else {}, round_)

    return await _each(rooms, one)


def _size(desired: Desired, observed: Observed) -> int:
    """Of a full packet of the largest overlay that a pool is on."""
    used = {pool.network for pool in desired.pools if pool.network}
    there = [net for host in observed.known() for net in host.networks if net.driver == "overlay" and net.name in used]
    return max((network.mtu or OVERLAY_MTU for network in there), default=OVERLAY_MTU) + VXLAN_HEAD


def _both(
    first: Mapping[str, Meeting | Unknown], second: Mapping[str, Meeting | Unknown]
) -> dict[str, Meeting | Unknown]:
    """What arrived once arrives."""
    joined: dict[str, Meeting | Unknown] = dict(second)
    for name, one in first.items():
        two = second.get(name)
        if isinstance(one, Meeting) and isinstance(two, Meeting):
            gossip = two.gossip | {peer: said for peer, said in one.gossip.items() if said == "open"}
            joined[name] = replace(two, heard=one.heard | two.heard, gossip=gossip, arp=one.arp | two.arp)
    return joined


async def _asked(
    desired: Desired, observed: Observed, rooms: Mapping[str, Room | Unknown]
) -> dict[tuple[str, str], Asked | Unknown]:
    places = [(host, vip) for vip in desired.vips for host in vip.hosts]
    found = await asyncio.gather(*(_ask(desired, observed, rooms.get(host), host, vip) for host, vip in places))
    return {(host, vip.name): said for (host, vip), said in zip(places, found, strict=True) if said is not None}


async def _ask(
    desired: Desired, observed: Observed, room: Room | Unknown | None, host: str, vip: Vip
) -> Asked | Unknown | None:
    """None where there is no load balancer to ask from."""
    state = observed.host(host)
    container = balancer_of(state.containers, desired.project, vip.name) if isinstance(state, ObservedHost) else None
    if not isinstance(state, ObservedHost) or container is None or not container.pid:
        return None
    if not isinstance(room, Room):
        return room
    held = state.loadbalancer(container.name)
    servers = held.running.servers if held and isinstance(held.running, RunningHaproxy) else ()
    doors = {(server.address, server.port) for server in servers if server.address and server.port}
    names = {name for pool in vip.pools() for name in _names(desired, pool)}
    return await _or_unknown(edge.ask(room, container.pid, names, doors))


def _names(desired: Desired, pool: str) -> tuple[str, ...]:
    membership = desired.pool(pool).membership
    if isinstance(membership, ByName):
        return tuple(member.name for member in membership.members)
    return (membership.service,) if isinstance(membership, ByService) else ()
