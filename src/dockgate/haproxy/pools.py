"""Pools: one backend each, with its balance, retries, checks and servers.

Role: turn a pool into a backend; its servers get their addresses by name (DNS), are slots that the engine's word fills,
or stand at fixed places.
Must not: let a request that is not idempotent reach two servers unless the pool says so.
Invariant: ``tcp-ut`` stands on every server line, because HAProxy ignores it in ``default-server``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.haproxy.tables import MOST_KEYS, PEERS
from dockgate.haproxy.tree import Backend, Line, Server, ServerTemplate, line, milliseconds, own_lines
from dockgate.haproxy.versions import Dialect
from dockgate.haproxy.words import host, literal_format, name
from dockgate.model.desired import ByLabel, ByName, ByService, Check, Endpoint, Endpoints, Member, Pool, Published
from dockgate.model.objects import CONFIG_DIR

IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
BALANCE = {
    "roundrobin": ("roundrobin",),
    "leastconn": ("leastconn",),
    "source": ("source",),
    "uri": ("uri",),
    "random": ("random",),
}
_SMTP = ("smtpchk", "EHLO", "dockgate.invalid")
_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


@dataclass(frozen=True)
class ResolvedServer:
    """A slot of a ``Published`` pool as the engine says it is. ``address`` None: the member is not there."""

    name: str
    address: str | None
    port: int
    weight: int = 100


def backend_name(pool: str) -> str:
    """The name of a pool's backend: the pool's own, unless HAProxy could not read it."""
    return name(pool)


def asks_docker(pool: Pool) -> bool:
    """Whether its servers are names in Docker's DNS."""
    return isinstance(pool.membership, ByName | ByService)


def asks_upstream(pool: Pool) -> bool:
    """Whether some of its servers are names that Docker's DNS only forwards."""
    return any(not _IPV4.fullmatch(each.address) for each in _endpoints(pool))


def slot_names(pool: Pool) -> tuple[str, ...]:
    """The slots of a pool with members by label."""
    if not isinstance(pool.membership, ByLabel):
        return ()
    return tuple(f"slot{number}" for number in range(1, pool.membership.maximum + 1))


def docker_names(pool: Pool) -> tuple[str, ...]:
    """Every name that HAProxy asks Docker's DNS for."""
    match pool.membership:
        case ByName(members):
            return tuple(member.name for member in members)
        case ByService(service):
            return (service,)
    return ()


def backend(pool: Pool, *, ways: Dialect, resolved: tuple[ResolvedServer, ...], more: tuple[Line, ...] = ()) -> Backend:
    """The pool's backend. ``resolved``: only for ``Published`` and ``ByLabel``. ``more``: what its VIP asks of it."""
    lines = [
        *_balance(pool),
        *_sticky(pool),
        *_timeouts(pool),
        *_retries(pool),
        *_check(pool),
        *_default_server(pool, ways),
        *more,
        *own_lines(pool.snippets),
    ]
    return Backend(backend_name(pool.name), tuple(lines), tuple(_servers(pool, ways, resolved)), pool.source)


def _balance(pool: Pool) -> Iterator[Line]:
    yield line("mode", pool.mode, origin=pool.source)
    yield line("balance", *BALANCE[pool.balance], origin=pool.source)
    if pool.balance in ("source", "uri"):
        # Only the requests of a member that comes or goes move, and weights can change over the runtime socket.
        yield line("hash-type", "consistent")


def _sticky(pool: Pool) -> Iterator[Line]:
    sticky = pool.sticky
    if sticky is None:
        return
    at = sticky.source
    if sticky.by == "client":
        expire = milliseconds(sticky.expire_ms)
        yield line("stick-table", "type", "ipv6", "size", MOST_KEYS, "expire", expire, "peers", PEERS, origin=at)
        yield line("stick", "on", "src", origin=at)
        return
    # For the member alone: it says nothing of its name, and no cache may hand it to somebody else.
    how = ("insert", "indirect", "nocache", "httponly", "attr", "SameSite=Lax")
    yield line("cookie", sticky.cookie, *how, *(("dynamic",) if _come_and_go(pool) else ()), origin=at)
    if _come_and_go(pool):
        yield line("dynamic-cookie-key", _digest(pool.name), origin=at)


def _come_and_go(pool: Pool) -> bool:
    """Whether a server is now this member and now that: then its cookie is of its address."""
    return isinstance(pool.membership, ByService | ByLabel)


def _digest(*texts: str) -> str:
    return hashlib.sha256("/".join(texts).encode()).hexdigest()[:16]


def _timeouts(pool: Pool) -> Iterator[Line]:
    yield line("timeout", "connect", milliseconds(pool.timeouts.connect), origin=pool.source)
    yield line("timeout", "server", milliseconds(pool.timeouts.server), origin=pool.source)
    yield line("timeout", "queue", milliseconds(pool.timeouts.queue), origin=pool.source)
    if pool.mode == "http":
        yield line("timeout", "tunnel", "1h")  # for WebSockets; in mode tcp it would replace the pool's own timeouts
    if pool.check:
        yield line("timeout", "check", milliseconds(pool.check.timeout_ms), origin=pool.check.source)


def _retries(pool: Pool) -> Iterator[Line]:
    yield from _dead_peers()
    yield line("option", "redispatch", 1)
    yield line("retries", pool.retries, origin=pool.source)
    if pool.mode != "http":
        return
    yield line("option", "http-buffer-request")  # a request can be sent again only while all of it is in the buffer
    yield line("http-reuse", "safe")
    yield line("retry-on", "conn-failure", "empty-response", "junk-response")
    if not pool.retry_non_idempotent:
        acls = ("{", "method", *IDEMPOTENT, "}", "or", "{", "req.fhdr(idempotency-key)", "-m", "found", "}")
        yield line("http-request", "disable-l7-retry", "unless", *acls, origin=pool.source)


def _dead_peers() -> Iterator[Line]:
    """A host that loses power after it took a request never says so: probe while an answer is awaited. Together with
    ``tcp-ut`` a silent peer counts as gone at the first unanswered probe, two seconds after the request."""
    yield line("option", "srvtcpka")
    yield line("srvtcpka-idle", "1s")
    yield line("srvtcpka-intvl", "1s")
    yield line("srvtcpka-cnt", 1)


def _check(pool: Pool) -> Iterator[Line]:
    check = pool.check
    if check is None or check.kind == "tcp":
        return
    at = check.source
    if check.kind != "http":
        how = {"redis": ("redis-check",), "postgres": ("pgsql-check", "user", check.user), "smtp": _SMTP}
        yield line("option", *how[check.kind], origin=at)
        return
    header = check.host or ("localhost" if check.version == "1.1" else None)
    words = ["meth", check.method, "uri", check.path, "ver", f"HTTP/{check.version}"]
    words += ["hdr", "Host", literal_format(header)] if header else []
    yield line("option", "httpchk", origin=at)
    yield line("http-check", "send", *words, origin=at)
    yield line("http-check", "expect", "status", check.expect, origin=at)


def _default_server(pool: Pool, ways: Dialect) -> Iterator[Line]:
    check = pool.check
    words: list[str | int] = []
    if check:
        words += ["inter", milliseconds(check.interval_ms), *_paces(check), "fall", check.fall, "rise", check.rise]
        words += ["observe", "layer4", "error-limit", 3, "on-error", "mark-down", *ways.first_check]
    resolvers = "docker" if asks_docker(pool) else "upstream" if asks_upstream(pool) else None
    if resolvers:
        fallback = ways.unresolved if check else "none"
        words += ["resolvers", resolvers, "resolve-prefer", "ipv4", "init-addr", f"last,{fallback}"]
    if words:
        yield line("default-server", *words, origin=check.source if check else pool.source)


def _paces(check: Check) -> tuple[str, ...]:
    """While a server is in doubt it is asked ten times as often, while it is down five times as often: whoever starts
    to listen is not kept waiting."""
    fast = min(check.interval_ms, max(100, check.interval_ms // 10))
    down = min(check.interval_ms, max(100, check.interval_ms // 5))
    return "fastinter", milliseconds(fast), "downinter", milliseconds(down)


def _servers(pool: Pool, ways: Dialect, resolved: tuple[ResolvedServer, ...]) -> Iterator[Server | ServerTemplate]:
    options = _server_options(pool)
    checked = pool.check is not None
    match pool.membership:
        case ByName(members):
            for each in members:
                yield _server(pool, Endpoint(each.name, each.name, pool.port, each.weight, each.source), options)
        case Endpoints(endpoints):
            for endpoint in endpoints:
                yield _server(pool, endpoint, options)
        case Published(members):
            slots = {slot.name: slot for slot in resolved}
            for each in members:
                yield _slot(pool, each, slots.get(each.name), options)
        case ByLabel():
            slots = {slot.name: slot for slot in resolved}
            for slot_name in slot_names(pool):
                yield _slot(pool, Member(slot_name, source=pool.source), slots.get(slot_name), options)
        case ByService(service, maximum):
            prefix, at = name(f"{service}-"), pool.source
            yield ServerTemplate(prefix, maximum, host(service), pool.port, 100, options, checked, at)


def _server(pool: Pool, endpoint: Endpoint, options: tuple[str, ...]) -> Server:
    return Server(
        name=name(endpoint.name),
        address=host(endpoint.address),
        port=endpoint.port,
        weight=endpoint.weight,
        options=(*options, *_cookie(pool, endpoint.name)),
        checked="check" in options,
        origin=endpoint.source,
    )


def _slot(pool: Pool, member: Member, found: ResolvedServer | None, options: tuple[str, ...]) -> Server:
    slot = found or ResolvedServer(member.name, None, pool.port, member.weight)
    return Server(
        name=name(member.name),
        address=host(slot.address) if slot.address else None,
        port=slot.port if slot.address else pool.port,
        weight=slot.weight,
        options=(*options, *_cookie(pool, member.name)),
        slot=True,
        checked="check" in options,
        origin=member.source,
    )


def _cookie(pool: Pool, member: str) -> tuple[str, ...]:
    by_cookie = pool.sticky is not None and pool.sticky.by == "cookie" and not _come_and_go(pool)
    return ("cookie", _digest(pool.name, member)) if by_cookie else ()


def _server_options(pool: Pool) -> tuple[str, ...]:
    """``tcp-ut`` finds a vanished node long before ``timeout server``; a slow connect must not trip over it."""
    check = ("check",) if pool.check else ()
    send = {None: (), "v1": ("send-proxy",), "v2": ("send-proxy-v2",)}[pool.send_proxy]
    told = (*send, "check-send-proxy") if send and check else send
    return *check, *tls_options(pool), *told, "tcp-ut", milliseconds(max(400, pool.timeouts.connect + 100))


def tls_options(pool: Pool) -> tuple[str, ...]:
    """Requests and checks over TLS, only to who shows a certificate that our authority signed for this name."""
    tls = pool.tls
    if tls is None:
        return ()
    trust = ("ssl", "verify", "required", "ca-file", f"{CONFIG_DIR}/{tls.authority.name}", "verifyhost", tls.name)
    return *trust, "sni", f"str({tls.name})", "check-sni", tls.name, "ssl-min-ver", "TLSv1.2"


def _endpoints(pool: Pool) -> tuple[Endpoint, ...]:
    return pool.membership.endpoints if isinstance(pool.membership, Endpoints) else ()
