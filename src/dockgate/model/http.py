"""HTTP: what the user's file asks to be done with requests and answers, on a VIP or on one of its routes.

Values only, made by ``spec.resolve_http``. Header names keep the file's spelling; texts are literal, nothing in them is
expanded. Sequences are sorted where their order has no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .source import NOWHERE, Source


def _source() -> Source:
    return field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Clients:
    """Who may connect, as prefixes of both families. ``allow`` empty: everybody whom ``deny`` does not name."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    source: Source = _source()


@dataclass(frozen=True)
class Header:
    name: str
    value: str


@dataclass(frozen=True)
class Headers:
    """Changes of a message's headers: first ``remove``, then ``replace`` (instead of what is there), then ``add``."""

    remove: tuple[str, ...] = ()
    replace: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()
    source: Source = _source()


@dataclass(frozen=True)
class HeaderMatch:
    """A request that has the header ``name`` with exactly this ``value`` (None: any)."""

    name: str
    value: str | None = None


@dataclass(frozen=True)
class Redirect:
    """Answers requests for ``host`` and below ``path`` (None: any) with the place ``to``, a URL or a path.

    ``keep_path``: what follows ``path`` in the request, its query included, is put behind ``to``.
    """

    to: str
    code: int = 308
    host: str | None = None
    path: str | None = None
    keep_path: bool = True
    source: Source = _source()


@dataclass(frozen=True)
class RateLimit:
    """At most ``requests`` in any ``per_ms`` for each ``by``: ``client`` (its address), ``host``, ``path``, or
    ``header:NAME`` (requests without that header are not counted)."""

    requests: int
    per_ms: int
    by: str = "client"
    source: Source = _source()


@dataclass(frozen=True)
class User:
    """``password_hash``: crypt(3) SHA-512, salted the same in every run."""

    name: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Auth:
    """Only these users, by HTTP basic authentication. ``users`` sorted by name, never empty."""

    users: tuple[User, ...]
    realm: str = "restricted"
    source: Source = _source()


@dataclass(frozen=True)
class Page:
    """An answer of the load balancer itself. ``content``: its bytes, none of them NUL. ``place``: the user's file."""

    content_type: str
    content: bytes = field(repr=False)
    place: str = ""
    source: Source = _source()


@dataclass(frozen=True)
class Maintenance:
    """Everybody but ``allow`` (prefixes) gets 503. ``page`` None: a line of text. ``retry_after_s`` 0: not said."""

    page: Page | None = None
    allow: tuple[str, ...] = ()
    retry_after_s: int = 0
    source: Source = _source()


@dataclass(frozen=True)
class Snippet:
    """A line of haproxy.cfg that the user wrote, one line of printable characters, used as it stands."""

    text: str
    source: Source = _source()


@dataclass(frozen=True)
class Connections:
    """How many connections a VIP's port takes at once; None: as many as the load balancer can. Trusted proxies do not
    count as one client."""

    total: int | None = None
    per_client: int | None = None
    source: Source = _source()


@dataclass(frozen=True)
class Http:
    """``strip_path``: the route's own path is taken off before a member sees the request; ``add_path`` is put before
    what is left. ``request_id``: every request gets an X-Request-ID, which its answer repeats.
    ``max_body``: bytes of a request's body. ``max_headers``: bytes of its headers. ``timeout_ms``: a member's silence,
    instead of its pool's. ``compression``: texts are sent as gzip to who takes it. ``errors``: pages of
    the load balancer's own answers, by status, sorted."""

    request_headers: Headers = Headers()
    response_headers: Headers = Headers()
    request_id: bool = False
    redirects: tuple[Redirect, ...] = ()
    strip_path: bool = False
    add_path: str | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    max_body: int | None = None
    max_headers: int | None = None
    timeout_ms: int | None = None
    auth: Auth | None = None
    compression: bool = False
    errors: tuple[tuple[int, Page], ...] = ()
    source: Source = _source()
