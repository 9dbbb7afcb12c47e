"""Attacks: what somebody would try who does not play by the rules. Always on; each is one packet or one question.

Packets made by hand go from a neighbour's interface straight to a host's MAC, so that no routing table, no ARP and no
rule of the neighbour stands in between. None of them changes anything on a host or meets anybody else's connection:
"Docker's translation is gone" is tried with packets of ours that conntrack is told not to look at, not by removing
the translation. Pure.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface

from dockgate.model.desired import Listen
from dockgate.model.objects import LABEL_KIND, LABEL_NAME
from dockgate.model.observed import Unknown

from .matrix import LAN, asked_addresses, behind, cell, first_publications, flow, host_spot, leaving
from .model import Cell, End, Frame, Hop, Job, Question
from .ports import CANARIES, member_ports
from .scene import Member, Outsider, Scene

DIRECT = "container address from the LAN"
LOOPBACK = "127.0.0.1 by MAC"
VXLAN = "forged overlay frame"
NO_NAT = "published port without Docker's NAT"
API = "Docker API"
RUNTIME = "load balancer's runtime socket"
STATS = "statistics without its password"

SOMEBODY6 = "2001:db8::dead"
"""Who asks over IPv6 where the LAN has no addresses of it: no answer can come back, but the target would see it."""

_PING = "GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
_INNER_PORT = CANARIES[0]


def attacks(scene: Scene) -> tuple[Job, ...]:
    """Each once, in a stable order."""
    ways = (_direct, _loopback, _forged, _without_nat, _api, _runtime, _statistics)
    return tuple(dict.fromkeys(job for way in ways for job in way(scene)))


def neighbour(scene: Scene, host: str) -> Outsider | None:
    """Who plays the neighbour: where dockgate runs if it is a vantage, else another host."""
    return next(iter(scene.outsiders(host)), None)


def _direct(scene: Scene) -> Iterator[Cell]:
    """A neighbour with a route to container addresses."""
    for member in scene.members:
        bridge = scene.hosts[member.host].facts.interface(member.network)
        by = neighbour(scene, member.host)
        if bridge is None or by is None or member.host not in scene.lan:
            continue
        ports = [port for protocol, port in member_ports(scene.policy, member) if protocol == "tcp"]
        for version in (4, 6):
            source, target = by.address(version) or (SOMEBODY6 if version == 6 else None), member.address(version)
            if source and target:
                end = End(target, ports[0])
                hops = (Hop(scene.hosts[member.host], flow(LAN, bridge, source, end, "tcp")),)
                frame = Frame(by.link.name, scene.lan[member.host].link.mac)
                for made in cell(scene, (by.spot, source), member.spot, "tcp", end, hops, attack=DIRECT):
                    yield replace(made, frame=frame)


def _loopback(scene: Scene) -> Iterator[Cell]:
    """A SYN to 127.0.0.1: to the ports that Docker published there, else to another that it published, else to any.

    Only IPv4: the kernel drops ::1 from outside before it asks anybody.
    """
    for name, place in sorted(scene.hosts.items()):
        by = neighbour(scene, name)
        source = by.address(4) if by else None
        if by is None or source is None or name not in scene.lan:
            continue
        published = [p for p in place.facts.publications if p.protocol == "tcp" and p.family == 4]
        private = [p for p in published if p.host_address is not None and p.host_address.is_loopback]
        everywhere = [p.host_port for p in published if p.host_address is None]
        for port in [*(p.host_port for p in private), *everywhere[:1]] or [CANARIES[0]]:
            asked = End("127.0.0.1", port)
            hops = (Hop(place, flow(LAN, "", source, asked, "tcp")),)
            frame = Frame(by.link.name, scene.lan[name].link.mac)
            for made in cell(scene, (by.spot, source), host_spot(name), "tcp", asked, hops, attack=LOOPBACK):
                yield replace(made, frame=frame)


def _forged(scene: Scene) -> Iterator[Cell]:
    """An overlay frame from somebody who is no host of the project, to one container of each overlay on each host."""
    for (network, name), _ in sorted(scene.overlays.items()):
        by, member = neighbour(scene, name), next(iter(scene.on(network, name)), None)
        own = scene.lan[name].address(4) if name in scene.lan else None
        inner = member.address(4) if member else None
        stranger = _stranger(scene, by) if by else None
        vni = scene.surveys[name].vnis.get(scene.overlays[network, name].namespace.partition(":")[2])
        if not (by and member and own and inner and stranger and isinstance(vni, int)):
            continue
        asked = End(own, scene.observed.vxlan_port)
        hops = (Hop(scene.hosts[name], flow(LAN, "", stranger, asked, "udp")),)
        frame = Frame(by.link.name, scene.lan[name].link.mac, vni, _spare(inner, scene, network))
        ends = End(inner, _INNER_PORT)
        made = cell(scene, (by.spot, stranger), member.spot, "udp", asked, hops, ends=ends, attack=VXLAN)
        yield from (replace(each, frame=frame) for each in made)


def _stranger(scene: Scene, by: Outsider) -> str | None:
    """An address of the LAN that belongs to nobody we know: nobody is impersonated, and no answer is wanted."""
    known = {a for other in scene.lan.values() for a in _own(other)} | (_own(scene.client) if scene.client else set())
    for text in by.link.addresses:
        prefix = ip_interface(text).network
        if prefix.version == 4 and prefix.num_addresses > len(known) + 2:
            count = prefix.num_addresses
            free = (str(prefix[count - 2 - n]) for n in range(len(known) + 1))
            return next(address for address in free if address not in known)
    return None


def _own(outsider: Outsider) -> set[str]:
    return {str(ip_interface(text).ip) for text in outsider.link.addresses}


def _spare(inner: str, scene: Scene, network: str) -> str:
    """An address near a container's that no container of the network has."""
    taken = {str(address) for member in scene.on(network) for address in member.addresses}
    near = (str(ip_address(inner) + step) for step in range(1, len(taken) + 2))
    return next(address for address in near if address not in taken)


def _without_nat(scene: Scene) -> Iterator[Cell]:
    """Published ports as they are when Docker's NAT is gone: its proxy is still there and answers on the host."""
    for name, place in sorted(scene.hosts.items()):
        listening = {(item.protocol, item.port) for item in scene.surveys[name].listening}
        for item in first_publications(place):
            target, by = behind(scene, name, item), neighbour(scene, name)
            if target is None or by is None or item.protocol != "tcp" or ("tcp", item.host_port) not in listening:
                continue
            for address in asked_addresses(scene, name, item):
                source, asked = by.towards(address), End(address, item.host_port)
                if source:
                    here = Hop(place, flow(LAN, "", source, asked, "tcp"))
                    hops = (*leaving(scene, by, source, asked, "tcp"), here)
                    ends = End(str(item.address), item.port)
                    yield from cell(
                        scene, (by.spot, source), target.spot, "tcp", asked, hops,
                        ends=ends, attack=NO_NAT, untracked=True,
                    )  # fmt: skip


def _api(scene: Scene) -> Iterator[Question]:
    """Whoever reaches a Docker API without a certificate is root on that host."""
    for name, host in sorted(scene.lan.items()):
        for by in scene.outsiders(name):
            source, own = by.address(4), host.address(4)
            for port in (2375, 2376) if source and own else ():
                yield Question(
                    by.spot, source or "", host_spot(name), End(own or "", port), _PING, "Api-Version:", API,
                    why="the Docker API answers without a certificate: whoever reaches it is root on that host",
                )  # fmt: skip


def _runtime(scene: Scene) -> Iterator[Question]:
    """From its own namespace, where no rule stands in between: every port that it listens on."""
    for member in _balancers(scene):
        for item in member.listening:
            if item.protocol != "tcp" or item.address == "127.0.0.11":
                continue
            at = item.address if item.address not in ("0.0.0.0", "::") else str(member.addresses[0])
            if ip_address(at).version == ip_address(str(member.addresses[0])).version:
                yield Question(
                    member.spot, at, member.spot, End(at, item.port), "show info\n", "Name: HAProxy", RUNTIME,
                    why="HAProxy's runtime socket answers over the network: whoever reaches it can change the VIP",
                )  # fmt: skip


def _balancers(scene: Scene) -> Iterator[Member]:
    seen = set()
    for member in scene.members:
        if member.container.labels.get(LABEL_KIND) == "lb" and member.spot.namespace not in seen:
            seen.add(member.spot.namespace)
            yield member


def _statistics(scene: Scene) -> Iterator[Question]:
    """Without a password and with a wrong one, at each listener of the VIP that shows the page."""
    for member in _balancers(scene):
        vip = next((v for v in scene.desired.vips if v.name == member.container.labels.get(LABEL_NAME)), None)
        by = neighbour(scene, member.host)
        own = vip.address or (scene.lan[member.host].address(4) if member.host in scene.lan else None) if vip else None
        if vip is None or vip.stats is None:
            continue
        wrong = b64encode(f"{vip.stats.user}:not-the-password".encode()).decode()
        source = by.towards(own) if by and own else None
        spot = by.spot if by and source else member.spot
        for listen in vip.listens if listen_address(source, own, member) else ():
            at, asked = listen_address(source, own, member)
            for more in ("", f"Authorization: Basic {wrong}\r\n") if _in_the_open(listen) else ():
                say = f"GET {vip.stats.path} HTTP/1.0\r\nHost: {asked}\r\n{more}\r\n"
                yield Question(
                    spot, at, member.spot, End(asked, listen.port), say, " 200 ", STATS, " 401 ",
                    why="the statistics page shows itself to somebody who does not know its password",
                )  # fmt: skip


def _in_the_open(listen: Listen) -> bool:
    """Asked without TLS, and answered by the page rather than by a redirect."""
    return listen.mode == "http" and listen.tls is None and listen.redirect is None


def listen_address(source: str | None, own: str | None, member: Member) -> tuple[str, str]:
    """Whence and where: through the VIP's address from outside; with no neighbour, the load balancer asks itself."""
    if source and own:
        return source, own
    return str(member.addresses[0]), str(member.addresses[0])


def unasked(scene: Scene) -> Iterator[str]:
    """Attacks that this scene has no vantage for, in sentences."""
    for name in sorted(scene.hosts):
        if neighbour(scene, name) is None:
            yield f"nobody on the LAN of {name} to attack it from: run it with --client from a machine there"
    for (network, name), place in sorted(scene.overlays.items()):
        vni = scene.surveys[name].vnis.get(place.namespace.partition(":")[2])
        if isinstance(vni, Unknown) or vni is None:
            yield f"no frame can be forged for overlay {network} on {name}: its number is not known"
