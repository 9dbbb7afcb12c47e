"""The way a request must take, from the file and from what the engines told; no packet is needed for it.

Docker's published port in front of the load balancer, and behind it an overlay network, a bridge, or ports that Docker
published on other hosts (``ways``); an echo has a way of its own (``echo``). Pure.
"""

from __future__ import annotations

from dataclasses import replace

from dockgate.haproxy.pools import backend_name
from dockgate.haproxy.words import name as frontend_name
from dockgate.model.desired import Desired, Listen, Route, Vip
from dockgate.model.objects import balancer_of
from dockgate.model.observed import Container, Observed, ObservedHost, RunningHaproxy, Unknown

from . import echo
from .model import HOST, Place, Prediction, Request, Server, Stop
from .ways import Front, behind, direct, host_at, server_of, to_balancer


def predict(desired: Desired, observed: Observed, request: Request) -> Prediction:
    if request.mode == "echo":
        return replace(echo.predict(desired, observed, request), vxlan=observed.vxlan_port)
    return replace(_predict(desired, observed, request), vxlan=observed.vxlan_port)


def _predict(desired: Desired, observed: Observed, request: Request) -> Prediction:
    found = _entry(desired, observed, request)
    if isinstance(found, Prediction):
        return found
    host, vip, listen = found
    balancer = _balancer(host, desired.project, vip)
    if balancer is None:
        why = f"no load balancer of VIP {vip.name} runs on {host.name}"
        return _stopped(request, f"host {host.name}", why, "dockgate up", vip=vip.name)
    front = Front(host, balancer, listen.port)
    if front.unpublished(request):
        why = f"Docker publishes port {listen.port} of {balancer.name} for IPv4 only"
        stop = Stop(f"host {host.name}", why, "ask an IPv4 address of it")
        return Prediction(request, vip=vip.name, hops=direct(observed, host, request), stop=stop)
    pool, chances = _pools(vip, listen, request)
    wrongly = _spoken_wrongly(host, balancer, listen, request) or _in_maintenance(host, balancer, vip, listen)
    running = _running(host, balancer)
    servers = tuple(
        server_of(desired, observed, front, state, session=3 if front.proxied(request) else 2)
        for state in (running.servers if running else ())
        if state.pool in {backend_name(each) for each in (pool, *chances)}
    )
    return Prediction(
        request=request,
        vip=vip.name,
        pool=pool,
        frontend=frontend_name(f"{vip.name}-{listen.port}"),
        balance=desired.pool(pool).balance if pool else "",
        balancer=front.place,
        hops=to_balancer(observed, front, request),
        servers=servers,
        stop=wrongly
        or _hindrance(
            host, balancer, request, pool, tuple(s for s in servers if s.pool == backend_name(pool)), running
        ),
        chances=chances,
        wrongly=wrongly,
        proxy=Place(host.name, HOST, "host", host.name) if front.proxied(request) else None,
        sealed=bool(pool) and desired.pool(pool).tls is not None,
        certificates=tuple((each.fingerprint, each.label) for each in listen.tls.certificates) if listen.tls else (),
    )


def _entry(desired: Desired, observed: Observed, request: Request) -> tuple[ObservedHost, Vip, Listen] | Prediction:
    name = request.home or host_at(desired, observed, request.address)
    if not name:
        why = f"{request.address} is no address of a host or VIP of the file"
        return _stopped(request, "the file", why, "give the host its `address`, or ask another URL")
    host = observed.host(name)
    if isinstance(host, Unknown):
        return _stopped(request, f"host {name}", f"it could not be read: {host.reason}", "dockgate status")
    for vip in desired.vips:
        if name in vip.hosts and vip.address in (None, request.address):
            for listen in vip.listens:
                if listen.port == request.port:
                    return host, vip, listen
    container = behind(host, request)
    if container is not None:
        front = Front(host, container, request.port)
        proxy = Place(host.name, HOST, "host", host.name) if front.proxied(request) else None
        return Prediction(request, hops=to_balancer(observed, front, request), proxy=proxy, target=container.name)
    way = direct(observed, host, request)
    asked = f"[{request.address}]" if ":" in request.address else request.address
    why = f"no VIP of the file listens on {asked}:{request.port}"
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
