"""The namespaces on the way to a load balancer, and from there to each server, from what the engines told. Pure.

Invariant: what the engines do not know stays "" or 0; whoever asks is told nothing that only a packet could show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dockgate.model.desired import Desired
from dockgate.model.observed import Attachment, Container, Observed, ObservedHost, ServerState

from .model import HERE, HOST, Ends, Hop, Place, Request, Server


@dataclass(frozen=True)
class Front:
    """A container on a host, a VIP's load balancer or another, and the published port of it that is asked."""

    host: ObservedHost
    balancer: Container
    asked: int

    @property
    def place(self) -> Place:
        return Place(self.host.name, f"pid:{self.balancer.pid}", "container", self.balancer.name)

    @property
    def bridge(self) -> Attachment | None:
        return bridge_of(self.host, self.balancer)

    @property
    def port(self) -> int:
        """Within the container."""
        published = (*self.balancer.published, *self.balancer.published6)
        return next((each.container_port for each in published if each.host_port == self.asked), self.asked)

    def proxied(self, request: Request) -> bool:
        """Whether Docker does not translate but answers itself, with a proxy: IPv6 to a container that has IPv4 only,
        and what comes from containers of the same host."""
        return ":" in request.address or bool(request.container and request.vantage == self.host.name)

    def unpublished(self, request: Request) -> bool:
        """Asked over IPv6, and Docker listens there on IPv4 addresses only."""
        six = any(each.host_port == self.asked for each in self.balancer.published6)
        return ":" in request.address and not six


def host_at(desired: Desired, observed: Observed, address: str) -> str:
    """The host of the file that has this address, "" when none has."""
    for host in desired.hosts:
        state = observed.host(host.name)
        node = state.node_address if isinstance(state, ObservedHost) else ""
        if address in (host.address, node):
            return host.name
    return next((vip.hosts[0] for vip in desired.vips if vip.address == address), "")


def behind(host: ObservedHost, request: Request) -> Container | None:
    """The container whose port Docker published where the request goes."""
    six, every = ":" in request.address, ("", "0.0.0.0", "::")
    for container in host.containers:
        for each in container.published6 if six else container.published:
            if each.host_port == request.port and each.host_address in (*every, request.address) and container.pid:
                return container
    return None


def bridge_of(host: ObservedHost, container: Container) -> Attachment | None:
    drivers = {network.name: network.driver for network in host.networks}
    found = [item for item in container.attachments if drivers.get(item.network) == "bridge" and item.address]
    return found[0] if found else None


# --- to the load balancer


def to_balancer(observed: Observed, front: Front, request: Request) -> tuple[Hop, ...]:
    outer = way_out(observed, front.host, request)
    asked = outer[-1].after if outer else asked_by(front.host, request)
    own = host_place(front.host)
    address = front.bridge.address if front.bridge else ""
    if not front.proxied(request):
        inner = Ends(asked.source, 0, address, front.port)
        return (*outer, Hop(1, own, asked, inner), Hop(1, front.place, inner, inner))
    network = front.host.network(front.bridge.network) if front.bridge else None
    inner = Ends(network.gateway if network else "", 0, address, front.port)
    return (*outer, Hop(1, own, asked, asked), Hop(2, own, inner, inner), Hop(2, front.place, inner, inner))


def direct(observed: Observed, host: ObservedHost, request: Request) -> tuple[Hop, ...]:
    """To the host alone."""
    outer = way_out(observed, host, request)
    asked = outer[-1].after if outer else asked_by(host, request)
    return (*outer, Hop(1, host_place(host), asked, asked))


def way_out(observed: Observed, host: ObservedHost, request: Request) -> tuple[Hop, ...]:
    """What a packet passes before it enters a host."""
    asked, own = asked_by(host, request), observed.host(request.vantage)
    if not request.container or not isinstance(own, ObservedHost):
        return () if request.vantage == host.name else (Hop(1, asker(observed, request), asked, asked),)
    container = own.container(request.container)
    bridge = bridge_of(own, container) if container else None
    six = ":" in request.address
    source = (bridge.address6 if six else bridge.address) if bridge else ""
    sent = replace(asked, source=source)
    first = Hop(1, asker(observed, request), sent, sent)
    if own.name == host.name:
        return (first,)
    return (first, Hop(1, host_place(own), sent, replace(asked, source="" if six else own.node_address)))


def asker(observed: Observed, request: Request) -> Place:
    """Where the request is sent from."""
    if request.vantage == HERE:
        return Place(HERE, HOST, "client", "client")
    own = observed.host(request.vantage)
    container = own.container(request.container) if isinstance(own, ObservedHost) else None
    if container is not None and request.container:
        return Place(request.vantage, f"pid:{container.pid}", "container", container.name)
    return Place(request.vantage, HOST, "host", request.vantage)


def asked_by(host: ObservedHost, request: Request) -> Ends:
    source = request.address if request.vantage == host.name and not request.container else ""
    return Ends(source, 0, request.address, request.port)


def host_place(host: ObservedHost) -> Place:
    return Place(host.name, HOST, "host", host.name)


# --- to a server


def server_of(desired: Desired, observed: Observed, front: Front, state: ServerState, *, session: int) -> Server:
    way, target = _way(desired, observed, front, state) if state.address else ([], "")
    way = [replace(hop, session=session) for hop in way]
    status = f"{state.status}{f' {state.check}' if state.check else ''}"
    there = next(
        (hop.place for hop in reversed(way) if hop.place.kind == "container" and hop.place != front.place), None
    )
    return Server(
        state.name, state.address, state.port, status, state.up,
        host=there.seat if there else "", container=target, hops=tuple(way), pool=state.pool,
    )  # fmt: skip


def _way(desired: Desired, observed: Observed, front: Front, state: ServerState) -> tuple[list[Hop], str]:
    for other in observed.known():
        for container in other.containers:
            for item in container.attachments:
                own = next((a for a in front.balancer.attachments if a.network == item.network), None)
                if item.address == state.address and own is not None and container.pid:
                    ends = Ends(own.address, 0, state.address, state.port)
                    target = Place(other.name, f"pid:{container.pid}", "container", container.name)
                    return list(
                        within(front.host, front.place, other, target, network=own.network, ends=ends)
                    ), container.name
    return _published(desired, observed, front, state)


def within(
    host: ObservedHost, start: Place, other: ObservedHost, target: Place, *, network: str, ends: Ends
) -> Iterator[Hop]:
    """Over a network that both are on; no translation."""
    found = host.network(network)
    yield Hop(2, start, ends, ends)
    if found is None or found.driver != "overlay":
        yield Hop(2, host_place(host), ends, ends)
    else:
        yield Hop(2, _overlay(host, network), ends, ends)
        if other.name != host.name:
            outer = (host.node_address, other.node_address)
            yield from (Hop(2, host_place(each), ends, ends, outer) for each in (host, other))
            yield Hop(2, _overlay(other, network), ends, ends)
    yield Hop(2, target, ends, ends)


def _overlay(host: ObservedHost, network: str) -> Place:
    found = host.network(network)
    return Place(host.name, f"overlay:{found.id if found else ''}", "overlay", f"overlay {network}")


def _published(desired: Desired, observed: Observed, front: Front, state: ServerState) -> tuple[list[Hop], str]:
    """Out of the load balancer's bridge, masqueraded, and in by a port that Docker published there."""
    host, place = front.host, front.place
    sent = Ends(front.bridge.address if front.bridge else "", 0, state.address, state.port)
    name = host_at(desired, observed, state.address)
    if name == host.name:
        return [Hop(2, place, sent, sent), Hop(2, host_place(host), sent, sent)], ""
    leaving = Ends(desired.host(host.name).address or host.node_address, 0, state.address, state.port)
    way = [Hop(2, place, sent, sent), Hop(2, host_place(host), sent, leaving)]
    other = observed.host(name) if name else None
    if not isinstance(other, ObservedHost):
        return way, ""
    published = ((c, p) for c in other.containers for p in c.published if p.host_port == state.port)
    container, port = next(published, (None, None))
    bridged = bridge_of(other, container) if container else None
    if container is None or port is None or bridged is None:
        return [*way, Hop(2, host_place(other), leaving, leaving)], ""
    inner = Ends(leaving.source, 0, bridged.address, port.container_port)
    target = Place(other.name, f"pid:{container.pid}", "container", container.name)
    return [*way, Hop(2, host_place(other), leaving, inner), Hop(2, target, inner, inner)], container.name
