"""Requests: what an HTTP port does with clients, requests and answers before a pool gets them.

Role: the rules of a frontend in the order in which they must be asked: who the client is, whom nobody lets in, what
the firewall says, who is sent elsewhere, which headers and paths change. A route's rules hold where the route is the
first that matches.
Must not: believe a client's word about its address, its id or its scheme unless it is a trusted proxy.
Invariant: routing sees the request as the client sent it; texts of the file are literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockgate.haproxy.access_log import ID
from dockgate.haproxy.limits import connection_limits, passwords, request_limits
from dockgate.haproxy.pages import MAINTAINERS, closed, payload
from dockgate.haproxy.tree import Line, line, milliseconds
from dockgate.haproxy.waf import question_rules
from dockgate.haproxy.words import literal_format, pattern
from dockgate.model.desired import Listen, Route, Vip
from dockgate.model.http import Clients, HeaderMatch, Headers, Http, Redirect
from dockgate.model.source import Source

HOST = "txn.dockgate_host"
PATH = "txn.dockgate_path"
ROUTE = "txn.dockgate_route"
THROW = "txn.dockgate_throw"
TRUSTED = "trusted_proxy"
FROM_PROXY = "txn.dockgate_from_proxy"
PEER = "txn.dockgate_peer"
PREFIXES_PER_LINE = 40
"""HAProxy reads at most 64 words a line."""

_PROXIES_IN_A_ROW = 3


def connection_rules(vip: Vip, listen: Listen) -> Iterator[Line]:
    """What is decided before the first byte of the client: PROXY headers, and on a TCP port whom nobody lets in."""
    if vip.trusted_proxies and (listen.accept_proxy or listen.mode == "http"):
        yield from _prefixes(TRUSTED, vip.trusted_proxies, vip.source)
    if listen.accept_proxy:
        yield line("tcp-request", "connection", "expect-proxy", "layer4", "if", TRUSTED, origin=listen.source)
    yield from _client_lists("vip", vip.clients)
    if listen.mode == "tcp":
        for condition in _unwanted("vip", vip.clients):
            yield line("tcp-request", "session", "reject", *condition, origin=vip.clients.source)
    yield from connection_limits(vip, listen)


def request_rules(vip: Vip) -> Iterator[Line]:
    """All rules of an HTTP port, in order."""
    yield from _client_address(vip)
    if vip.http.request_id:
        yield from _request_id(vip)
    elif vip.waf is not None:
        # By this the firewall tells of it; the client's own header, if it sends one, is left as it is.
        yield line("http-request", f"set-var({ID})", "uuid()", origin=vip.waf.source)
    yield from _matched(vip)
    yield from _refusals(vip, "vip", vip.clients, ())
    if vip.maintenance:
        yield from _prefixes(MAINTAINERS, vip.maintenance.allow, vip.maintenance.source)
        yield from closed(vip)
    yield from request_limits(vip, "vip", vip.http, ())
    yield from question_rules(vip, {n: _on_route(n) for n, route in enumerate(vip.routes) if route.waf is not None})
    yield from passwords(vip, "vip", vip.http, ())
    for redirect in vip.http.redirects:
        yield _redirect(redirect)
    yield from _changes(vip.http, ())
    for number, route in enumerate(vip.routes):
        here = _on_route(number)
        yield from _client_lists(f"route{number}", route.clients)
        yield from _refusals(vip, f"route{number}", route.clients, here)
        yield from request_limits(vip, f"route{number}", route.http, here)
        yield from passwords(vip, f"route{number}", route.http, here)
        yield from _changes(route.http, here)
        yield from _path_change(route, here)


def patience(vip: Vip) -> Iterator[Line]:
    """How long this VIP's requests wait for a member, where it is not as long as its pool says. For each backend:
    HAProxy takes no such rule in a frontend."""
    for number, http in ((None, vip.http), *enumerate(route.http for route in vip.routes)):
        if http.timeout_ms is not None:
            here = () if number is None else ("if", *_on_route(number))
            yield line(
                "http-request", "set-timeout", "server", milliseconds(http.timeout_ms), *here, origin=http.source
            )


def host_condition(host: str | None) -> Iterator[tuple[str, ...]]:
    """The words of an anonymous ACL for a host name of the file."""
    if host is None:
        return
    wild = host.startswith("*.")
    yield f"var({HOST})", "-m", "end" if wild else "str", "--", pattern(host[1:] if wild else host)


def path_condition(path: str | None) -> Iterator[tuple[str, ...]]:
    """The words of an anonymous ACL for a path of the file, by whole segments."""
    if path is None or not path.strip("/"):
        return
    yield f"var({PATH})", "-m", "beg", "--", pattern(path.rstrip("/") + "/")


def header_condition(header: HeaderMatch | None) -> Iterator[tuple[str, ...]]:
    """The words of an anonymous ACL for a header of the file."""
    if header is None:
        return
    value = ("-m", "found") if header.value is None else ("-m", "str", "--", pattern(header.value))
    yield f"req.fhdr({header.name})", *value


def route_conditions(vip: Vip, route: Route) -> Iterator[tuple[str, ...]]:
    """The words of the anonymous ACLs of which all must hold. Parts of the same requests are slices of one throw; other
    requests have another, so that who is left over by one is not left over by the next as well."""
    yield from host_condition(route.host)
    yield from path_condition(route.path)
    yield from header_condition(route.header)
    if route.percent is not None:
        same = [each for each in vip.routes if each.asks == route.asks]
        before = sum(each.percent or 0 for each in same[: same.index(route)])
        yield f"var({_throw(vip, route)})", "-m", "int", "lt", str(before + route.percent)


def _throw(vip: Vip, route: Route) -> str:
    """The variable of the throw for the requests that the route asks for."""
    different = list(dict.fromkeys(each.asks for each in vip.routes if each.percent is not None))
    return f"{THROW}{different.index(route.asks)}"


def _client_address(vip: Vip) -> Iterator[Line]:
    """Whose word counts. Behind trusted proxies the client is the last address in X-Forwarded-For that is not one of
    them; what anybody else says of it is removed. ``set-src`` moves ``src``, so who sent it is remembered before."""
    at = vip.source
    unless = ("unless", *_from_proxy()) if vip.trusted_proxies else ()
    if vip.trusted_proxies:
        yield line("http-request", f"set-var({FROM_PROXY})", "bool(true)", "if", TRUSTED, origin=at)
        yield line("http-request", f"set-var({PEER})", "src", origin=at)
    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"):
        yield line("http-request", "del-header", header, *unless, origin=at)
    scheme = ("X-Forwarded-Proto", "%[ssl_fc,iif(https,http)]")
    if not vip.trusted_proxies:
        yield line("http-request", "set-header", "X-Forwarded-For", "%[src]", origin=at)
        yield line("http-request", "set-header", *scheme, origin=at)
        return
    for place in range(1, _PROXIES_IN_A_ROW + 1):
        said = f"req.hdr_ip(X-Forwarded-For,-{place})"
        yield line("http-request", "set-src", said, "if", TRUSTED, "{", said, "-m", "found", "}", origin=at)
    yield line("http-request", "add-header", "X-Forwarded-For", f"%[var({PEER})]", origin=at)
    unsaid = ("unless", "{", "req.hdr(X-Forwarded-Proto)", "-m", "found", "}")
    yield line("http-request", "set-header", *scheme, *unsaid, origin=at)


def _on_route(number: int) -> tuple[str, ...]:
    return "{", f"var({ROUTE})", "-m", "str", str(number), "}"


def _from_proxy() -> tuple[str, ...]:
    return "{", f"var({FROM_PROXY})", "-m", "bool", "}"


def _request_id(vip: Vip) -> Iterator[Line]:
    at, said = vip.http.source, "req.hdr(X-Request-ID)"
    yield line("http-request", f"set-var({ID})", "uuid()", origin=at)
    if vip.trusted_proxies:
        known = ("if", *_from_proxy(), "{", said, "-m", "found", "}")
        yield line("http-request", f"set-var({ID})", said, *known, origin=at)
    yield line("http-request", "set-header", "X-Request-ID", f"%[var({ID})]", origin=at)
    yield line("http-request", "capture", said, "len", 64, origin=at)
    yield line("http-after-response", "set-header", "X-Request-ID", f"%[var({ID})]", origin=at)


def _matched(vip: Vip) -> Iterator[Line]:
    """Host and path as the client sent them, and the route that is the first to match."""
    asked: list[Route | Redirect] = [*vip.routes, *vip.http.redirects]
    if any(each.host for each in asked):
        yield line("http-request", f"set-var({HOST})", "req.hdr(host),host_only,rtrim(.),lower")
    if any(each.path for each in asked):
        # With a slash at the end of both, "begins with" means whole segments.
        yield line("http-request", f"set-var({PATH})", "path,concat(/)")
    for variable in dict.fromkeys(_throw(vip, route) for route in vip.routes if route.percent is not None):
        yield line("http-request", f"set-var({variable})", "rand(100)")
    if not any(route.clients != Clients() or route.http != Http() or route.waf for route in vip.routes):
        return
    for number, route in enumerate(vip.routes):
        first = ("if", "!{", f"var({ROUTE})", "-m", "found", "}") if number else ("if",)
        acls = [each for words in route_conditions(vip, route) for each in ("{", *words, "}")]
        yield line("http-request", f"set-var({ROUTE})", f"str({number})", *first, *acls, origin=route.source)


def _prefixes(name: str, prefixes: tuple[str, ...], at: Source) -> Iterator[Line]:
    """One ACL, over as many lines as it takes."""
    for first in range(0, len(prefixes), PREFIXES_PER_LINE):
        yield line("acl", name, "src", *prefixes[first : first + PREFIXES_PER_LINE], origin=at)


def _client_lists(name: str, clients: Clients) -> Iterator[Line]:
    yield from _prefixes(f"{name}_allow", clients.allow, clients.source)
    yield from _prefixes(f"{name}_deny", clients.deny, clients.source)


def _unwanted(name: str, clients: Clients) -> Iterator[tuple[str, ...]]:
    if clients.deny:
        yield "if", f"{name}_deny"
    if clients.allow:
        yield "if", f"!{name}_allow"


def _refusals(vip: Vip, name: str, clients: Clients, here: tuple[str, ...]) -> Iterator[Line]:
    for keyword, *condition in _unwanted(name, clients):
        answer = ("status", "403", *payload(vip, 403, "not from this address"))
        yield line("http-request", "deny", *answer, keyword, *here, *condition, origin=clients.source)


def _redirect(redirect: Redirect) -> Line:
    conditions = [*host_condition(redirect.host), *path_condition(redirect.path)]
    acls = [each for words in conditions for each in ("{", *words, "}")]
    when = ("if", *acls) if acls else ()
    words = ("redirect", "location", _location(redirect), "code", redirect.code)
    return line("http-request", *words, *when, origin=redirect.source)


def _location(redirect: Redirect) -> str:
    """A place on the same host never begins with two slashes: that would be another host, of the client's choice."""
    if not redirect.keep_path:
        return literal_format(redirect.to)
    rest = f"pathq,bytes({len(redirect.path)})" if redirect.path else "pathq"
    base = literal_format(redirect.to.rstrip("/"))
    return f"{base}%[{rest}]" if base else f"/%[{rest},regsub(^/+,)]"


def _changes(http: Http, here: tuple[str, ...]) -> Iterator[Line]:
    when = ("if", *here) if here else ()
    yield from _headers("http-request", http.request_headers, when)
    yield from _headers("http-after-response", http.response_headers, when)


def _headers(rule: str, headers: Headers, when: tuple[str, ...]) -> Iterator[Line]:
    at = headers.source
    for name in headers.remove:
        yield line(rule, "del-header", name, *when, origin=at)
    for header in headers.replace:
        yield line(rule, "set-header", header.name, literal_format(header.value), *when, origin=at)
    for header in headers.add:
        yield line(rule, "add-header", header.name, literal_format(header.value), *when, origin=at)


def _path_change(route: Route, here: tuple[str, ...]) -> Iterator[Line]:
    """The route's path off, another one before: one rule, and what is left begins with a slash."""
    added = literal_format(route.http.add_path or "")
    if route.http.strip_path and route.path:
        found, made = f"^{re.escape(route.path)}/*(.*)$", f"{added}/\\1"
    elif added:
        found, made = "^(.*)$", f"{added}\\1"
    else:
        return
    yield line("http-request", "replace-path", found, made, "if", *here, origin=route.http.source)
