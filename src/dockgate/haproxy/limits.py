"""Limits: how often and how many at once, each counted in a table of its own, and who has to show a password.

Role: number the counters of a VIP, make their tables, and the rules that count and refuse. A request that is refused
counts as well, so whoever goes on stays refused. Must not: forget counts on a reload; the leaving process hands its
tables to the next one as a peer.
Invariant: counter N belongs to table N, in the order VIP, then routes; a frontend of any port uses the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.haproxy.pages import payload
from dockgate.haproxy.tables import MOST_KEYS, PEERS
from dockgate.haproxy.tree import Backend, Line, Section, line, milliseconds
from dockgate.haproxy.words import pattern
from dockgate.model.desired import Listen, Vip
from dockgate.model.http import Auth, Http, RateLimit
from dockgate.model.source import Source

COUNTERS_BY_DEFAULT = 3
CONNECTIONS_TABLE = "limit:connections"
_NO_LENGTH_NEEDED = ("GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "CONNECT")
_KEYS = {"client": "src", "host": "req.hdr(host),host_only,lower", "path": "path"}


@dataclass(frozen=True)
class Counter:
    """``number``: HAProxy's sticky counter. ``owner``: whose limit it is."""

    number: int
    owner: str
    limit: RateLimit

    @property
    def table(self) -> str:
        return f"limit:{self.number}"

    @property
    def key(self) -> str:
        kind, _, header = self.limit.by.partition(":")
        return f"req.fhdr({header})" if header else _KEYS[kind]


def owners(vip: Vip) -> Iterator[tuple[str, Http]]:
    """The VIP and its routes, by the names that their rules have in HAProxy."""
    yield "vip", vip.http
    yield from ((f"route{number}", route.http) for number, route in enumerate(vip.routes))


def counters(vip: Vip) -> tuple[Counter, ...]:
    """Every rate limit of the VIP with its counter. Counter 0 is for connections."""
    limits = [(owner, limit) for owner, http in owners(vip) for limit in http.rate_limits]
    return tuple(Counter(number, owner, limit) for number, (owner, limit) in enumerate(limits, start=1))


def process_lines(vip: Vip) -> Iterator[Line]:
    """What the process must know: how many counters there are."""
    if len(counters(vip)) >= COUNTERS_BY_DEFAULT:
        yield line("tune.stick-counters", len(counters(vip)) + 1)


def sections(vip: Vip) -> Iterator[Section]:
    """The users' lists."""
    for owner, http in owners(vip):
        if http.auth:
            users = (line("user", user.name, "password", user.password_hash) for user in http.auth.users)
            yield Section("userlist", _users(owner), tuple(users), http.auth.source)


def tables(vip: Vip) -> tuple[Backend, ...]:
    """A backend without servers for each table: that is where HAProxy keeps one."""
    made = [_table(counter) for counter in counters(vip)]
    if vip.connections.per_client is not None:
        kept = ("type", "ipv6", "size", MOST_KEYS, "expire", "10m", "store", "conn_cur", "peers", PEERS)
        at = vip.connections.source
        made.append(Backend(CONNECTIONS_TABLE, (line("stick-table", *kept, origin=at),), origin=at))
    return tuple(made)


def _table(counter: Counter) -> Backend:
    kind = ("type", "ipv6") if counter.limit.by == "client" else ("type", "string", "len", 128)
    period, at = milliseconds(counter.limit.per_ms), counter.limit.source
    kept = ("size", MOST_KEYS, "expire", period, "store", f"http_req_rate({period})", "peers", PEERS)
    return Backend(counter.table, (line("stick-table", *kind, *kept, origin=at),), origin=at)


def connection_limits(vip: Vip, listen: Listen) -> Iterator[Line]:
    """Counted when the client's address is known, which a PROXY header may have told; a trusted proxy is many."""
    limits, at = vip.connections, vip.connections.source
    if limits.total is not None:
        yield line("maxconn", limits.total, origin=at)
    if limits.per_client is not None:
        trusted = vip.trusted_proxies and listen.mode == "http"
        table = ("src", "table", CONNECTIONS_TABLE)
        yield line(
            "tcp-request", "session", "track-sc0", *table, *(("unless", "trusted_proxy") if trusted else ()), origin=at
        )
        more = ("{", f"sc_conn_cur(0,{CONNECTIONS_TABLE})", "gt", str(limits.per_client), "}")
        yield line("tcp-request", "session", "reject", "if", *more, origin=at)


def request_limits(vip: Vip, owner: str, http: Http, here: tuple[str, ...]) -> Iterator[Line]:
    """Rates first, so that guesses of a password count; then size."""
    for counter in counters(vip):
        if counter.owner == owner:
            yield from _rate(vip, counter, here)
    if http.max_headers is not None:
        answer = ("status", "431", *payload(vip, 431, "the headers are too large"))
        more = ("{", "req.hdrs,length", "gt", str(http.max_headers), "}")
        yield line("http-request", "return", *answer, "if", *here, *more, origin=http.source)
    if http.max_body is not None:
        yield from _body(vip, http.max_body, http.source, here)


def passwords(vip: Vip, owner: str, http: Http, here: tuple[str, ...]) -> Iterator[Line]:
    """After the limits, and after the firewall, which a proof of ours must reach without a password."""
    if http.auth:
        yield _auth(vip, owner, http.auth, here)


def _rate(vip: Vip, counter: Counter, here: tuple[str, ...]) -> Iterator[Line]:
    at, limit = counter.limit.source, counter.limit
    when = ("if", *here) if here else ()
    yield line("http-request", f"track-sc{counter.number}", counter.key, "table", counter.table, *when, origin=at)
    seconds = -(-limit.per_ms // 1000)
    kind, content_type, *text = payload(vip, 429, "too many requests")
    answer = ("status", "429", kind, content_type, "hdr", "Retry-After", str(seconds), *text)
    more = ("{", f"sc_http_req_rate({counter.number},{counter.table})", "gt", str(limit.requests), "}")
    yield line("http-request", "return", *answer, "if", *here, *more, origin=at)


def _body(vip: Vip, most: int, at: Source, here: tuple[str, ...]) -> Iterator[Line]:
    """Only a body whose length is said before can be refused before it is sent on."""
    unsaid = ("!{", "req.hdr(content-length)", "-m", "found", "}")
    without = ("{", "req.hdr(transfer-encoding)", "-m", "found", "}")
    said = ("status", "411", *payload(vip, 411, "say how long the body is"))
    yield line("http-request", "return", *said, "if", *here, *without, origin=at)
    yield line(
        "http-request", "return", *said, "if", *here, *unsaid, "!{", "method", *_NO_LENGTH_NEEDED, "}", origin=at
    )
    too_long = ("{", "req.hdr_val(content-length)", "gt", str(most), "}")
    yield line(
        "http-request",
        "return",
        "status",
        413,
        *payload(vip, 413, "the body is too large"),
        "if",
        *here,
        *too_long,
        origin=at,
    )


def _auth(vip: Vip, owner: str, auth: Auth, here: tuple[str, ...]) -> Line:
    """The statistics page has a password of its own, and a client can send one only."""
    unknown = ("!{", f"http_auth({_users(owner)})", "}")
    stats = ("!{", "path", "-m", "beg", "--", pattern(vip.stats.path), "}") if vip.stats else ()
    words = ("auth", "realm", auth.realm, "if", *here, *unknown, *stats)
    return line("http-request", *words, origin=auth.source)


def _users(owner: str) -> str:
    return f"users:{owner}"
