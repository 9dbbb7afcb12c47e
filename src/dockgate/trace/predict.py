"""The way a request must take, from the file and from what the engines told; no packet is needed for it.

Covers HTTP to a VIP: Docker's published port in front of the load balancer, and behind it an overlay network, a bridge,
or ports that Docker published on other hosts. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dockgate.haproxy.pools import backend_name
from dockgate.haproxy.words import name as frontend_name
from dockgate.model.desired import Desired, Listen, Route, Vip
from dockgate.model.objects import balancer_of
from dockgate.model.observed import Attachment, Container, Observed, ObservedHost, RunningHaproxy, ServerState, Unknown

from .model import HERE, HOST, Ends, Hop, Place, Prediction, Request, Server, Stop


def predict(desired: Desired, observed: Observed, request: Request) -> Prediction:
    found = _entry(desired, observed, request)
    if isinstance(found, Prediction):
        return found
    host, vip, listen = found
    balancer = _balancer(host, desired.project, vip)
    if balancer is None:
        why = f"no load balancer of VIP {vip.name} runs on {host.name}"
        return _stopped(request, f"host {host.name}", why, "dockgate up", vip=vip.name)
    place = Place(host.name, f"pid:{balancer.pid}", "container", balancer.name)
    hops = tuple(_first_session(observed, host, balancer, place, listen, request))
    pool, chances = _pools(vip, listen, request)
    wrongly = _spoken_wrongly(host, balancer, listen, request) or _in_maintenance(host, balancer, vip, listen)
    running = _running(host, balancer)
    servers = tuple(
        _server(observed, host, place, balancer, state, desired)
        for state in (running.servers if running else ())
        if state.pool in {backend_name(each) for each in (pool, *chances)}
    )
    return Prediction(
        request=request,
        vip=vip.name,
        pool=pool,
        frontend=frontend_name(f"{vip.name}-{listen.port}"),
        balance=desired.pool(pool).balance if pool else "",
        balancer=place,
        hops=hops,
        servers=servers,
        stop=wrongly
        or _hindrance(
            host, balancer, request, pool, tuple(s for s in servers if s.pool == backend_name(pool)), running
        ),
        chances=chances,
        wrongly=wrongly,
        sealed=bool(pool) and desired.pool(pool).tls is not None,
        certificates=tuple((each.fingerprint, each.label) for each in listen.tls.certificates) if listen.tls else (),
    )


def host_at(desired: Desired, observed: Observed, address: str) -> str:
    """The host of the file that has this address, "" when none has."""
    for host in desired.hosts:
        state = observed.host(host.name)
        node = state.node_address if isinstance(state, ObservedHost) else ""
        if address in (host.address, node):
            return host.name
    return next((vip.hosts[0] for vip in desired.vips if vip.address == address), "")


def _entry(desired: Desired, observed: Observed, request: Request) -> tuple[ObservedHost, Vip, Listen] | Prediction:
    name = host_at(desired, observed, request.address)
    if not name:
        why = f"{request.address} is no address of a host or VIP of the file"
        return _stopped(request, "the file", why, "give the host its `address`, or ask another URL")
    host = observed.host(name)
    if isinstance(host, Unknown):
        return _stopped(request, f"host {name}", f"it could not be read: {host.reason}", "dockgate status")
    for vip in desired.vips:
        if name in vip.hosts and (vip.address or request.address) == request.address:
            for listen in vip.listens:
                if listen.port == request.port:
                    return host, vip, listen
    way = _direct(observed, host, request)
    why = f"no VIP of the file listens on {request.address}:{request.port}"
    ports = sorted({listen.port for vip in desired.vips if name in vip.hosts for listen in vip.listens})
    hint = f"ports of VIPs on {name}: {', '.join(map(str, ports)) or 'none'}"
    return Prediction(request, hops=way, stop=Stop(f"host {name}", why, hint))


def _stopped(request: Request, where: str, why: str, hint: str, *, vip: str = "") -> Prediction:
    return Prediction(request, vip=vip, stop=Stop(where, why, hint))


def _balancer(host: ObservedHost, project: str, vip: Vip) -> Container | None:
    """Of this project: another one on the same host may have a VIP of the same name."""
    found = balancer_of(host.containers, project, vip.name)
    return found if found and found.state in ("running", "paused") and found.pid else None


def _running(host: ObservedHost, balancer: Container) -> RunningHaproxy | None:
    seen = host.loadbalancer(balancer.name)
    return seen.running if seen is not None and isinstance(seen.running, RunningHaproxy) else None


def _spoken_wrongly(host: ObservedHost, balancer: Container, listen: Listen, request: Request) -> Stop | None:
    """What the port answers by itself because it was spoken to in another way than it is there for."""
    where, port = f"container {balancer.name} on {host.name}", f"port {listen.port} of the VIP"
    rest = f"{request.path}"
    if listen.mode == "http" and request.mode == "tcp":
        hint = f"dockgate trace {_scheme(listen)}://{request.host}:{listen.port}/"
        return Stop(where, f"{port} waits for a request", hint)
    if listen.mode == "tcp":
        # What it passes on unread may be a request all the same, in TLS or not.
        if _scheme(listen) == "tls" and not request.tls:
            return Stop(where, f"{port} speaks TLS", f"dockgate trace tls://{request.host}:{listen.port}")
        return None
    if listen.redirect is not None and not request.tls:
        why = f"{port} sends every request on to port {listen.redirect} by HTTPS"
        return Stop(where, why, f"dockgate trace https://{request.host}:{listen.redirect}{rest}")
    if listen.tls is not None and not request.tls:
        return Stop(where, f"{port} speaks TLS", f"dockgate trace https://{request.host}:{listen.port}{rest}")
    if listen.tls is None and request.tls:
        return Stop(where, f"{port} speaks no TLS", f"dockgate trace http://{request.host}:{listen.port}{rest}")
    return None


def _in_maintenance(host: ObservedHost, balancer: Container, vip: Vip, listen: Listen) -> Stop | None:
    """Of who gets through all the same nothing is foretold."""
    if vip.maintenance is None or vip.maintenance.allow or listen.mode == "tcp":
        return None
    where = f"container {balancer.name} on {host.name}"
    return Stop(where, "the VIP is in maintenance", f"take `maintenance` out of the file ({vip.maintenance.source})")


def _scheme(listen: Listen) -> str:
    """How the port wants to be asked."""
    if listen.mode == "tcp":
        return "tls" if listen.tls or (listen.sni and not listen.pool) else "tcp"
    return "https" if listen.tls else "http"


def _hindrance(
    host: ObservedHost,
    balancer: Container,
    request: Request,
    pool: str,
    servers: tuple[Server, ...],
    running: RunningHaproxy | None,
) -> Stop | None:
    where = f"container {balancer.name} on {host.name}"
    if balancer.state == "paused":
        return Stop(where, "the load balancer's container is paused", f"docker unpause {balancer.name}")
    if running is None:
        return Stop(where, "HAProxy does not answer on its socket", f"docker logs {balancer.name}")
    if not pool and request.mode == "tcp":
        why = f"the port passes TLS on by the name in it, and {request.host} is none of its names"
        return Stop(where, f"{why}: HAProxy closes the connection", "see `sni`")
    if not pool:
        return Stop(where, "no route of the VIP matches this host and path, so HAProxy answers 404", "see `routes`")
    if not any(server.up for server in servers):
        return Stop(where, f"no member of pool {pool} is up: {_states(servers)}", "dockgate status tells why")
    return None


def _states(servers: tuple[Server, ...]) -> str:
    return ", ".join(f"{server.name} {server.status}" for server in servers) or "it has none"


# --- session 1: client to load balancer


def _first_session(
    observed: Observed, host: ObservedHost, balancer: Container, place: Place, listen: Listen, request: Request
) -> Iterator[Hop]:
    outer = tuple(_out(observed, host, request))
    yield from outer
    asked, known = _asked(host, request)
    if outer:
        asked, known = outer[-1].after, outer[-1].after.source
    bridge = _bridge(host, balancer)
    inner = Ends(known, 0, bridge.address if bridge else "", _inner_port(balancer, listen))
    yield Hop(1, Place(host.name, HOST, "host", host.name), asked, inner)
    yield Hop(1, place, inner, inner)


def _out(observed: Observed, host: ObservedHost, request: Request) -> Iterator[Hop]:
    """What a packet passes before it enters the load balancer's host."""
    asked, _ = _asked(host, request)
    own = observed.host(request.vantage)
    if request.container and isinstance(own, ObservedHost):
        container = own.container(request.container)
        bridge = _bridge(own, container) if container else None
        sent = replace(asked, source=bridge.address if bridge else "")
        yield Hop(1, asker(observed, request), sent, sent)
        yield Hop(1, Place(own.name, HOST, "host", own.name), sent, replace(asked, source=own.node_address))
    elif request.vantage != host.name:
        yield Hop(1, asker(observed, request), asked, asked)


def asker(observed: Observed, request: Request) -> Place:
    """Where the request is sent from."""
    if request.vantage == HERE:
        return Place(HERE, HOST, "client", "client")
    own = observed.host(request.vantage)
    container = own.container(request.container) if isinstance(own, ObservedHost) else None
    if container is not None and request.container:
        return Place(request.vantage, f"pid:{container.pid}", "container", container.name)
    return Place(request.vantage, HOST, "host", request.vantage)


def _direct(observed: Observed, host: ObservedHost, request: Request) -> tuple[Hop, ...]:
    outer = tuple(_out(observed, host, request))
    asked = outer[-1].after if outer else _asked(host, request)[0]
    return (*outer, Hop(1, Place(host.name, HOST, "host", host.name), asked, asked))


def _asked(host: ObservedHost, request: Request) -> tuple[Ends, str]:
    source = request.address if request.vantage == host.name and not request.container else ""
    return Ends(source, 0, request.address, request.port), source


def _bridge(host: ObservedHost, balancer: Container) -> Attachment | None:
    drivers = {network.name: network.driver for network in host.networks}
    found = [item for item in balancer.attachments if drivers.get(item.network) == "bridge" and item.address]
    return found[0] if found else None


def _inner_port(balancer: Container, listen: Listen) -> int:
    return next((p.container_port for p in balancer.published if p.host_port == listen.port), listen.port)


def _pools(vip: Vip, listen: Listen, request: Request) -> tuple[str, tuple[str, ...]]:
    """The pool, and those that may get it instead. Our request has no header that a route could ask for."""
    if listen.mode == "tcp":
        named = (route.pool for route in listen.sni if request.tls and _is_host(route.host, request))
        return next(named, listen.pool or ""), ()
    matching = [route for route in vip.routes if route.header is None and _matches(route, request)]
    first = next((number for number, route in enumerate(matching) if route.percent is None), len(matching))
    pool = matching[first].pool if first < len(matching) else listen.pool or ""
    return pool, tuple(sorted({route.pool for route in matching[:first] if route.percent} - {pool}))


def _is_host(wanted: str, request: Request) -> bool:
    asked = request.host.lower().rstrip(".")
    return asked.endswith(wanted[1:]) if wanted.startswith("*.") else asked == wanted


def _matches(route: Route, request: Request) -> bool:
    if route.host is not None and not _is_host(route.host, request):
        return False
    path = request.path.partition("?")[0]
    return route.path is None or f"{path}/".startswith(route.path.rstrip("/") + "/")


# --- session 2: load balancer to server


def _server(
    observed: Observed, host: ObservedHost, place: Place, balancer: Container, state: ServerState, desired: Desired
) -> Server:
    way, target = _way(observed, host, place, balancer, state, desired)
    status = f"{state.status}{f' {state.check}' if state.check else ''}"
    there = next((hop.place for hop in reversed(way) if hop.place.kind == "container" and hop.place != place), None)
    return Server(
        state.name, state.address, state.port, status, state.up,
        host=there.seat if there else "", container=target, hops=tuple(way), pool=state.pool,
    )  # fmt: skip


def _way(
    observed: Observed, host: ObservedHost, place: Place, balancer: Container, state: ServerState, desired: Desired
) -> tuple[list[Hop], str]:
    if not state.address:
        return [], ""
    for other in observed.known():
        for container in other.containers:
            for item in container.attachments:
                own = next((a for a in balancer.attachments if a.network == item.network), None)
                if item.address == state.address and own is not None and container.pid:
                    return _inside(host, other, place, container, own, state), container.name
    return _published(observed, host, place, balancer, state, desired)


def _inside(
    host: ObservedHost, other: ObservedHost, place: Place, container: Container, own: Attachment, state: ServerState
) -> list[Hop]:
    """Over a network that both are on; no translation."""
    ends = Ends(own.address, 0, state.address, state.port)
    target = Place(other.name, f"pid:{container.pid}", "container", container.name)
    network = host.network(own.network)
    if network is None or network.driver != "overlay":
        middle = [Place(host.name, HOST, "host", host.name)]
        return [Hop(2, each, ends, ends) for each in (place, *middle, target)]
    way = [Hop(2, place, ends, ends), Hop(2, _overlay(host, own.network), ends, ends)]
    if other.name != host.name:
        outer = (host.node_address, other.node_address)
        way += [Hop(2, Place(each.name, HOST, "host", each.name), ends, ends, outer) for each in (host, other)]
        way.append(Hop(2, _overlay(other, own.network), ends, ends))
    return [*way, Hop(2, target, ends, ends)]


def _overlay(host: ObservedHost, network: str) -> Place:
    found = host.network(network)
    return Place(host.name, f"overlay:{found.id if found else ''}", "overlay", f"overlay {network}")


def _published(
    observed: Observed, host: ObservedHost, place: Place, balancer: Container, state: ServerState, desired: Desired
) -> tuple[list[Hop], str]:
    """Out of the load balancer's bridge, masqueraded, and in by a port that Docker published there."""
    bridge = _bridge(host, balancer)
    sent = Ends(bridge.address if bridge else "", 0, state.address, state.port)
    own_host = Place(host.name, HOST, "host", host.name)
    name = host_at(desired, observed, state.address)
    if name == host.name:
        return [Hop(2, place, sent, sent), Hop(2, own_host, sent, sent)], ""
    leaving = Ends(desired.host(host.name).address or host.node_address, 0, state.address, state.port)
    way = [Hop(2, place, sent, sent), Hop(2, own_host, sent, leaving)]
    other = observed.host(name) if name else None
    if not isinstance(other, ObservedHost):
        return way, ""
    container = next((c for c in other.containers for p in c.published if p.host_port == state.port), None)
    there = Place(other.name, HOST, "host", other.name)
    bridged = _bridge(other, container) if container else None
    if container is None or bridged is None:
        return [*way, Hop(2, there, leaving, leaving)], ""
    port = next(p.container_port for p in container.published if p.host_port == state.port)
    inner = Ends(leaving.source, 0, bridged.address, port)
    target = Place(other.name, f"pid:{container.pid}", "container", container.name)
    return [*way, Hop(2, there, leaving, inner), Hop(2, target, inner, inner)], container.name
