"""Matrix: every ordinary cell: who × whom × what, with the places that judge the packet on its way.

Who: containers, hosts, and the LAN. What no rule of the policy is about, nowhere on its way, is no cell: nothing is
promised there. Ways that do not exist (no route, no such address family) are none either; what an adversary would do
about that stands in ``attacks``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from dockgate.firewall.evaluate import Flow
from dockgate.firewall.facts import OVERLAY_BRIDGE, Publication
from dockgate.model.observed import ObservedHost, ObservedNetwork

from .judge import expect
from .model import HOST, Cell, End, Hop, Place, Protocol, Spot
from .ports import host_ports, member_ports, outside_ports
from .scene import Member, Outsider, Scene

LAN = "eth0"
"""Any interface that is no bridge of Docker's: rules only ask whether it is one."""


def matrix(scene: Scene) -> tuple[Cell, ...]:
    """Each question once, in a stable order."""
    ways = (_within_networks, _host_to_containers, _containers_to_host, _containers_out, _outside_in, _published)
    found = (cell for way in ways for cell in way(scene))
    return tuple(dict.fromkeys(found))


def cell(
    scene: Scene,
    source: tuple[Spot, str],
    target: Spot,
    protocol: Protocol,
    asked: End,
    hops: tuple[Hop, ...],
    *,
    ends: End | None = None,
    says_whom: bool = False,
    attack: str = "",
    untracked: bool = False,
) -> Iterator[Cell]:
    """Nothing where no rule is about it."""
    expected = expect(scene.policy, hops)
    if expected is not None:
        yield Cell(
            *source, target, protocol, asked, ends or asked, hops, expected,
            attack=attack, untracked=untracked, says_whom=says_whom,
        )  # fmt: skip


def flow(iif: str, oif: str, source: str, end: End, protocol: Protocol, asked: End | None = None) -> Flow:
    was = (ip_address(asked.address), asked.port) if asked else None
    return Flow(iif, oif, ip_address(source), ip_address(end.address), protocol, end.port, asked=was)


def bridge_of(scene: Scene, host: str, network: str) -> str | None:
    """The device of a network on a host, None for overlays."""
    return scene.hosts[host].facts.interface(network)


def observed_network(scene: Scene, host: str, name: str) -> ObservedNetwork | None:
    state = scene.observed.host(host)
    return state.network(name) if isinstance(state, ObservedHost) else None


# --- within one network


def _within_networks(scene: Scene) -> Iterator[Cell]:
    for one in scene.members:
        bridge = bridge_of(scene, one.host, one.network)
        for other in scene.on(one.network, one.host if bridge else ""):
            if other.spot == one.spot:
                continue
            for version in (4, 6):
                source, target = one.address(version), other.address(version)
                if source and target:
                    yield from _pair(scene, one, other, source, target)


def _pair(scene: Scene, one: Member, other: Member, source: str, target: str) -> Iterator[Cell]:
    bridge = bridge_of(scene, one.host, one.network)
    for protocol, port in member_ports(scene.policy, other):
        end = End(target, port)
        hops: tuple[Hop, ...]
        if bridge:
            hops = (Hop(scene.hosts[one.host], flow(bridge, bridge, source, end, protocol)),)
        else:
            hops = tuple(
                Hop(place, flow(OVERLAY_BRIDGE, OVERLAY_BRIDGE, source, end, protocol))
                for host in dict.fromkeys((one.host, other.host))
                if (place := scene.overlays.get((one.network, host))) is not None
            )
        yield from cell(scene, (one.spot, source), other.spot, protocol, end, hops, says_whom=True)


# --- a host and its own containers


def _host_to_containers(scene: Scene) -> Iterator[Cell]:
    for member in scene.members:
        bridge = bridge_of(scene, member.host, member.network)
        for source in gateways(scene, member.host, bridge) if bridge else ():
            target = member.address(ip_address(source).version)
            for protocol, port in member_ports(scene.policy, member) if target and bridge else ():
                end = End(target or "", port)
                hops = (Hop(scene.hosts[member.host], flow("", bridge or "", source, end, protocol)),)
                spot = host_spot(member.host)
                yield from cell(scene, (spot, source), member.spot, protocol, end, hops, says_whom=True)


def _containers_to_host(scene: Scene) -> Iterator[Cell]:
    for member in scene.members:
        bridge = bridge_of(scene, member.host, member.network)
        for gateway in gateways(scene, member.host, bridge) if bridge else ():
            source = member.address(ip_address(gateway).version)
            for protocol, port in host_ports(scene.policy) if source and bridge else ():
                end = End(gateway, port)
                hops = (Hop(scene.hosts[member.host], flow(bridge or "", "", source or "", end, protocol)),)
                target = host_spot(member.host)
                yield from cell(scene, (member.spot, source or ""), target, protocol, end, hops, says_whom=True)


def gateways(scene: Scene, host: str, bridge: str | None) -> list[str]:
    """The host's own addresses on a bridge, one of each family."""
    link = scene.surveys[host].link(bridge) if bridge else None
    found: dict[int, str] = {}
    for text in link.addresses if link else ():
        address = ip_interface(text).ip
        found.setdefault(address.version, str(address))
    return list(found.values())


def host_spot(host: str) -> Spot:
    return Spot(host, HOST, host, "hosts")


# --- containers and the outside


def _containers_out(scene: Scene) -> Iterator[Cell]:
    """To one neighbour, masqueraded behind the host; where dockgate runs if it is a vantage."""
    for member in scene.members:
        bridge, others = way_out(scene, member), scene.outsiders(member.host)
        if bridge is None or not others:
            continue
        for version in (4, 6):
            source, target = member.address(version), others[0].address(version)
            behind = scene.lan[member.host].address(version) if member.host in scene.lan else None
            for protocol, port in outside_ports(scene.policy) if source and target and behind else ():
                end = End(target or "", port)
                hops = [Hop(scene.hosts[member.host], flow(bridge, LAN, source or "", end, protocol))]
                there = scene.hosts.get(others[0].spot.seat)
                if there is not None:
                    hops.append(Hop(there, flow(LAN, "", behind or "", end, protocol)))
                yield from cell(scene, (member.spot, source or ""), others[0].spot, protocol, end, tuple(hops))


def way_out(scene: Scene, member: Member) -> str | None:
    """The bridge behind which a container's default route goes; None where it has none, or several are possible."""
    state = scene.observed.host(member.host)
    assert isinstance(state, ObservedHost)
    networks = [net for name in member.container.networks() if (net := state.network(name)) is not None]
    routed = [net.name for net in networks if not net.internal]
    return bridge_of(scene, member.host, member.network) if routed == [member.network] else None


def _outside_in(scene: Scene) -> Iterator[Cell]:
    """From the LAN to the hosts' own ports, as far as rules are about them."""
    for name, host in sorted(scene.lan.items()):
        failsafe = scene.policy.firewall.failsafe
        wanted: list[tuple[Protocol, int]] = [("tcp", port) for port in failsafe]
        taken = {item.host_port for item in scene.hosts[name].facts.publications}
        wanted += [item for item in host_ports(scene.policy) if item not in wanted and item[1] not in taken]
        for other in scene.outsiders(name):
            for version in (4, 6):
                source, target = other.address(version), host.address(version)
                for protocol, port in wanted if source and target else ():
                    end = End(target or "", port)
                    hops = (
                        *leaving(scene, other, source or "", end, protocol),
                        Hop(scene.hosts[name], flow(LAN, "", source or "", end, protocol)),
                    )
                    yield from cell(scene, (other.spot, source or ""), host_spot(name), protocol, end, hops)


def leaving(scene: Scene, other: Outsider, source: str, end: End, protocol: Protocol) -> tuple[Hop, ...]:
    """A host of the file judges what it sends itself."""
    place = scene.hosts.get(other.spot.seat)
    return (Hop(place, flow("", LAN, source, end, protocol)),) if place else ()


# --- published ports


def _published(scene: Scene) -> Iterator[Cell]:
    for name, place in sorted(scene.hosts.items()):
        for item in first_publications(place):
            target = behind(scene, name, item)
            bridge = place.facts.interface(item.network)
            if target is None or bridge is None:
                continue
            for address in asked_addresses(scene, name, item):
                yield from _from_outside(scene, place, item, target, End(address, item.host_port))
                yield from _from_containers(scene, place, item, target, End(address, item.host_port))


def first_publications(place: Place) -> list[Publication]:
    """Each published port once: which of several bridges Docker uses it does not say, and the first is tried."""
    found: dict[tuple[object, ...], Publication] = {}
    for item in place.facts.publications:
        found.setdefault((item.protocol, item.family, item.host_address, item.host_port), item)
    return list(found.values())


def behind(scene: Scene, host: str, item: Publication) -> Member | None:
    return next((m for m in scene.on(item.network, host) if m.container.name == item.container), None)


def asked_addresses(scene: Scene, host: str, item: Publication) -> list[str]:
    """Where clients ask for a published port; none for one that is only on the loopback."""
    if item.host_address is not None:
        return [] if item.host_address.is_loopback else [str(item.host_address)]
    own = scene.lan[host].address(item.family) if host in scene.lan else None
    return [own] if own else []


def _from_outside(scene: Scene, place: Place, item: Publication, target: Member, asked: End) -> Iterator[Cell]:
    ends = End(str(item.address), item.port)
    bridge = place.facts.interface(item.network) or ""
    for other in scene.outsiders(place.host):
        source = other.towards(asked.address)
        if source:
            hops = (
                *leaving(scene, other, source, asked, item.protocol),
                Hop(place, flow(LAN, bridge, source, ends, item.protocol, asked)),
            )
            yield from cell(
                scene, (other.spot, source), target.spot, item.protocol, asked, hops, ends=ends, says_whom=True
            )


def _from_containers(scene: Scene, place: Place, item: Publication, target: Member, asked: End) -> Iterator[Cell]:
    """Also a container that calls a port of its own host, the very container behind it included."""
    ends = End(str(item.address), item.port)
    bridge = place.facts.interface(item.network) or ""
    for member in scene.members:
        source, out = member.address(item.family), way_out(scene, member)
        if source is None or out is None or member.spot == target.spot:
            continue
        if member.host != place.host:
            hidden = scene.lan[member.host].address(item.family) if member.host in scene.lan else None
            if hidden is None:
                continue
            hops: tuple[Hop, ...] = (
                Hop(scene.hosts[member.host], flow(out, LAN, source, asked, item.protocol)),
                Hop(place, flow(LAN, bridge, hidden, ends, item.protocol, asked)),
            )
        elif out == bridge:
            hops = (Hop(place, flow(out, "", source, asked, item.protocol)),)
        else:
            hops = (Hop(place, flow(out, bridge, source, ends, item.protocol, asked)),)
        attack = "own host's published port" if member.host == place.host else ""
        yield from cell(scene, (member.spot, source), target.spot, item.protocol, asked, hops, ends=ends, attack=attack)
