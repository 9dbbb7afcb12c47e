"""Listeners: a VIP's ports, its routes and its statistics page.

Role: one frontend a port; routes become ``use_backend`` lines in the order of precedence they come in. What is done
with requests is in ``requests``.
Invariant: the host is compared in lower case without port or final dot, the path by whole segments; what nothing
matches goes to the port's pool or, where there is none, gets a 404. The statistics page answers on every HTTP port
even when no pool has a member, and never without its password.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.haproxy.access_log import log_lines
from dockgate.haproxy.pages import own_errors, payload
from dockgate.haproxy.pools import backend_name
from dockgate.haproxy.requests import connection_rules, request_rules, route_conditions
from dockgate.haproxy.tls import bind_options, passed_on, tls_lines, until_named
from dockgate.haproxy.tree import Backend, Frontend, Line, Section, UseBackend, line, own_lines
from dockgate.haproxy.versions import Dialect
from dockgate.haproxy.waf import filter_lines
from dockgate.haproxy.words import name
from dockgate.model.desired import Listen, Route, Stats, Vip

NO_ROUTE = "dockgate:no-route"
NO_NAME = "dockgate:no-name"
COMPRESSED = (
    *("text/html", "text/plain", "text/css", "text/csv", "text/javascript", "text/xml"),
    *("application/javascript", "application/json", "application/xml", "application/manifest+json", "image/svg+xml"),
)
"""What gets smaller by it; pictures, films and archives are compressed already."""

DIGITS = 18
"""Of a body's length at most. HAProxy 3.0.11 counts modulo 2^64, and would take what it has not counted for the next
request."""

STATS_USERS = "stats_users"


def frontend(vip: Vip, listen: Listen, ways: Dialect) -> Frontend:
    """The frontend of one port."""
    routed = listen.mode == "http" and listen.redirect is None
    routes = tuple(_use_backend(vip, route) for route in vip.routes) if routed else passed_on(listen)
    lines = tuple(_tcp(vip, listen)) if listen.mode == "tcp" else (*_http(vip, listen, ways), *tls_lines(vip, listen))
    lines = (*lines, *own_lines(vip.snippets))
    default = backend_name(listen.pool) if listen.pool else NO_NAME if listen.sni else NO_ROUTE
    return Frontend(
        name(f"{vip.name}-{listen.port}"),
        f":{listen.port}",
        lines,
        routes,
        default,
        listen.source,
        bind_options(listen),
    )


def no_route(vip: Vip) -> Backend:
    """Where a request goes that no route matches, on a port without a pool of its own."""
    words = ("status", "404", *payload(vip, 404, "no route for this host and path"))
    lines = (
        line("mode", "http"),
        line("timeout", "connect", "1s"),
        line("timeout", "server", "1s"),
        line("http-request", "return", *words),
    )
    return Backend(NO_ROUTE, lines)


def no_name() -> Backend:
    """Where a connection goes that asks for no name we know, on a port without a pool of its own: it is closed."""
    lines = (
        line("mode", "tcp"),
        line("timeout", "connect", "1s"),
        line("timeout", "server", "1s"),
        line("tcp-request", "content", "reject"),
    )
    return Backend(NO_NAME, lines)


def users(vip: Vip) -> tuple[Section, ...]:
    """Who may see the statistics page. The password stands here as a crypt(3) hash only."""
    if vip.stats is None:
        return ()
    entry = line("user", vip.stats.user, "password", vip.stats.password_hash, origin=vip.stats.source)
    return (Section("userlist", STATS_USERS, (entry,), vip.stats.source),)


def _tcp(vip: Vip, listen: Listen) -> Iterator[Line]:
    yield line("mode", "tcp", origin=listen.source)
    yield from log_lines(vip, "tcp")
    yield from connection_rules(vip, listen)
    yield from until_named(listen)


def _http(vip: Vip, listen: Listen, ways: Dialect) -> Iterator[Line]:
    yield line("mode", "http")
    yield from log_lines(vip, "http")
    # On a reload the leaving worker closes a client's connection with its next response, never under a request.
    yield line("option", "idle-close-on-response")
    yield from connection_rules(vip, listen)
    yield from _one_request(vip)
    if listen.redirect is not None:
        return
    yield from own_errors(vip)
    yield from filter_lines(vip, ways)
    yield from request_rules(vip)
    if vip.http.compression:
        if vip.waf is not None:
            # HAProxy wants it said where there is another filter.
            yield line("filter", "compression", origin=vip.http.source)
        yield line("compression", "algo", "gzip", origin=vip.http.source)
        yield line("compression", "type", *COMPRESSED, origin=vip.http.source)
    if vip.stats:
        yield from _stats(vip.stats)


def _one_request(vip: Vip) -> Iterator[Line]:
    """What would let bytes past us that are no request to us. A member that says 200 to CONNECT (gunicorn does) would
    get all that follows unread."""
    yield line("http-request", "reject", "if", "{", "req.fhdr(content-length),length", "gt", str(DIGITS), "}")
    answer = ("status", "405", *payload(vip, 405, "this is no forward proxy"))
    yield line("http-request", "return", *answer, "if", "METH_CONNECT")


def _stats(stats: Stats) -> Iterator[Line]:
    at = stats.source
    yield line("stats", "enable", origin=at)
    yield line("stats", "uri", stats.path, origin=at)
    yield line("stats", "hide-version")
    yield line("stats", "show-legends")
    yield line("stats", "refresh", "10s")
    yield line("stats", "http-request", "auth", "realm", "dockgate", "unless", "{", f"http_auth({STATS_USERS})", "}")


def _use_backend(vip: Vip, route: Route) -> UseBackend:
    return UseBackend(backend_name(route.pool), tuple(route_conditions(vip, route)), route.source)
