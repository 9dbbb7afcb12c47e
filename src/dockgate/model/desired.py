"""Desired: what the user's file asks for, with every default filled in and every reference checked.

Made by ``spec.resolve`` and by nothing else; whoever reads it may rely on what is written at each field. Times are
integers in milliseconds. Sequences are in the file's order where order has a meaning and sorted by name where not.
No value here holds a secret in the clear except ``Secret``, which never prints itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from .http import Clients, Connections, HeaderMatch, Http, Maintenance, Snippet
from .policy import Firewall
from .source import NOWHERE, Source
from .tls import MembersTls, Tls, TlsFile, each_once
from .waf import Waf, WafMode

Mode: TypeAlias = Literal["http", "tcp"]
CheckKind: TypeAlias = Literal["http", "tcp", "redis", "postgres", "smtp"]
Balance: TypeAlias = Literal["roundrobin", "leastconn", "source", "uri", "random"]
HaproxyVersion: TypeAlias = Literal["3.0", "3.2"]


def _source() -> Source:
    return field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Host:
    """A Docker host. ``engine``: ``unix:///path``, ``ssh://user@host[:port]``, ``tcp://host:port`` or ``context:NAME``.

    ``address`` is what clients and other hosts reach it by (IPv4 address or DNS name); None when the file gives none
    and the engine's URL does not tell (a local socket).
    """

    name: str
    engine: str
    address: str | None = None
    source: Source = _source()


@dataclass(frozen=True)
class Network:
    """A network that the file asks for. Overlays are created attachable, so that plain containers can join."""

    name: str
    driver: Literal["overlay", "bridge"]
    internal: bool = False
    subnet: str | None = None
    mtu: int | None = None
    source: Source = _source()


@dataclass(frozen=True)
class Check:
    """A health check. For all kinds but http only the timing fields have a meaning, and ``user`` for postgres.

    ``expect``: HAProxy's status form, ``"200"`` or ``"200-399"`` (both ends included). ``host``: the Host header.
    """

    kind: CheckKind = "http"
    method: str = "HEAD"
    path: str = "/"
    version: Literal["1.0", "1.1"] = "1.0"
    host: str | None = None
    expect: str = "200-399"
    interval_ms: int = 1000
    timeout_ms: int = 500
    fall: int = 2
    rise: int = 1
    user: str = "dockgate"
    source: Source = _source()


@dataclass(frozen=True)
class Member:
    """One server of a pool by container name. ``weight``: 0 (no new traffic) to 256."""

    name: str
    weight: int = 100
    source: Source = _source()


@dataclass(frozen=True)
class Endpoint:
    """One server of a pool at a fixed place. ``address``: IPv4 or DNS name; hosts of the file are already resolved."""

    name: str
    address: str
    port: int
    weight: int = 100
    source: Source = _source()


@dataclass(frozen=True)
class ByName:
    """Members are containers, found by their name in Docker's DNS on the pool's network."""

    members: tuple[Member, ...]


@dataclass(frozen=True)
class ByService:
    """Every address that a service name or shared alias has in Docker's DNS, up to ``maximum`` servers."""

    service: str
    maximum: int = 10


@dataclass(frozen=True)
class Published:
    """Members are containers reached over the host ports that Docker published for the pool's port."""

    members: tuple[Member, ...]


@dataclass(frozen=True)
class ByLabel:
    """Members are containers on any host that carry the label ``dockgate.pool`` with the pool's name, reached at their
    address on the pool's network, up to ``maximum`` of them."""

    maximum: int = 10


@dataclass(frozen=True)
class Endpoints:
    """Members at fixed addresses."""

    endpoints: tuple[Endpoint, ...]


Membership: TypeAlias = ByName | ByService | Published | ByLabel | Endpoints


@dataclass(frozen=True)
class PoolTimeouts:
    """Milliseconds. ``connect``: until the next server is tried. ``server``: its silence. ``queue``: the wait."""

    connect: int = 200
    server: int = 30_000
    queue: int = 5_000


@dataclass(frozen=True)
class Sticky:
    """Who came once comes to the same member again, as long as it is up and not told to stop.

    ``by``: a ``cookie`` called ``cookie`` (mode http), or the ``client``'s address, which is forgotten ``expire_ms``
    after its last request.
    """

    by: Literal["cookie", "client"] = "cookie"
    cookie: str = "DOCKGATE"
    expire_ms: int = 1_800_000
    source: Source = _source()


@dataclass(frozen=True)
class Pool:
    """Servers that answer for a VIP.

    ``network``: the Docker network on which the members are reached; None for ``Published`` and ``Endpoints``, which
    are reached over the load balancer's bridge. ``port``: the port that members listen on, in the container (0 for
    ``Endpoints``, which carry their own). ``mode``: the mode of the listeners that use the pool. ``check`` None: no
    checks, a server counts as up. ``retry_non_idempotent``: also send POST and PATCH without an idempotency key a
    second time when a server died (they may be carried out twice). ``tls``: None means plain text to members.
    ``send_proxy``: members are told the client's address by a PROXY protocol header, in checks too. ``retries``: how
    many more attempts after one that failed. ``snippets``: further lines of its backend.
    """

    name: str
    membership: Membership
    port: int
    network: str | None = None
    mode: Mode = "http"
    balance: Balance = "roundrobin"
    check: Check | None = field(default_factory=Check)
    timeouts: PoolTimeouts = field(default_factory=PoolTimeouts)
    retry_non_idempotent: bool = False
    send_proxy: Literal["v1", "v2"] | None = None
    retries: int = 6
    tls: MembersTls | None = None
    sticky: Sticky | None = None
    snippets: tuple[Snippet, ...] = ()
    source: Source = _source()


@dataclass(frozen=True)
class SniRoute:
    """TLS connections for ``host`` (as in ``Route``) go to ``pool`` unopened."""

    host: str
    pool: str
    source: Source = _source()


@dataclass(frozen=True)
class Listen:
    """One port of a VIP. ``pool``: where its traffic goes when no route matches; None: only routes (others get 404).

    ``tls``: None means plain text. ``redirect``: all requests are sent to this HTTPS port of the VIP (mode http).
    ``sni``: in order of precedence, exact hosts before wildcards (mode tcp, without tls).
    ``accept_proxy``: the VIP's trusted proxies begin each connection with a PROXY protocol header.
    """

    port: int
    mode: Mode = "http"
    pool: str | None = None
    tls: Tls | None = None
    redirect: int | None = None
    sni: tuple[SniRoute, ...] = ()
    source: Source = _source()
    accept_proxy: bool = False


@dataclass(frozen=True)
class Route:
    """HTTP requests whose Host is ``host``, whose path starts with ``path`` and that have ``header`` go to ``pool``.
    None matches everything. ``percent``: only so many of a hundred of them, by chance; the others are asked on.
    ``waf``: its own mode of the VIP's firewall; None: as the VIP's.

    ``host`` is lower case; a leading ``*.`` matches any one or more labels. ``path`` begins with ``/`` and matches
    whole segments: ``/api`` matches ``/api`` and ``/api/x``, not ``/apix``. Routes of a VIP are in order of precedence:
    exact host before wildcard before none, longer path before shorter, with a header before without, a part of them
    before all.
    """

    pool: str
    host: str | None = None
    path: str | None = None
    source: Source = _source()
    clients: Clients = Clients()
    http: Http = Http()
    header: HeaderMatch | None = None
    percent: int | None = None
    waf: WafMode | None = None

    @property
    def asks(self) -> tuple[str | None, str | None, HeaderMatch | None]:
        """Which requests it is about; ``percent`` takes a part of them."""
        return self.host, self.path, self.header


@dataclass(frozen=True)
class Secret:
    """A secret read from a file or the environment. Prints as its origin, never as its value."""

    origin: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return f"<secret from {self.origin}>"


@dataclass(frozen=True)
class Stats:
    """HAProxy's statistics page on every HTTP listener of the VIP, behind a user name and a password.

    ``password_hash``: a crypt(3) SHA-512 hash, made from the secret with a salt that is the same in every run.
    """

    path: str
    user: str
    password_hash: str = field(repr=False)
    source: Source = _source()


@dataclass(frozen=True)
class VipTimeouts:
    """Milliseconds, on the client's side. ``request``: until the whole request head is in."""

    client: int = 30_000
    request: int = 10_000
    keep_alive: int = 30_000


@dataclass(frozen=True)
class Vip:
    """A virtual IP: where clients connect. One load balancer container per VIP and host.

    ``hosts``: names of the hosts that run its load balancer. ``address``: an IPv4 address of its own that is put on the
    load balancer's host (then there is one host), or None: the hosts' own addresses. ``routes``: HTTP listeners only.
    ``snippets``: further lines of each of its frontends. ``maintenance``: its HTTP ports are closed to most.
    ``waf``: None where no request of it is looked at by a web application firewall.
    """

    name: str
    hosts: tuple[str, ...]
    listens: tuple[Listen, ...]
    address: str | None = None
    routes: tuple[Route, ...] = ()
    stats: Stats | None = None
    timeouts: VipTimeouts = field(default_factory=VipTimeouts)
    clients: Clients = Clients()
    connections: Connections = Connections()
    trusted_proxies: tuple[str, ...] = ()
    http: Http = Http()
    log: Literal["text", "json"] = "text"
    snippets: tuple[Snippet, ...] = ()
    maintenance: Maintenance | None = None
    waf: Waf | None = None
    source: Source = _source()

    @property
    def numbers_requests(self) -> bool:
        """Whether each request has an id in the log: what a firewall says is found by it."""
        return self.http.request_id or self.waf is not None

    def pools(self) -> tuple[str, ...]:
        """Names of the pools this VIP sends traffic to, sorted, each once."""
        names = {route.pool for route in self.routes} | {listen.pool for listen in self.listens if listen.pool}
        names |= {route.pool for listen in self.listens for route in listen.sni}
        return tuple(sorted(names))

    def tls_files(self) -> tuple[TlsFile, ...]:
        """What its ports need, sorted by name; see ``Desired.tls_files`` for all of it."""
        return each_once(file for listen in self.listens if listen.tls for file in listen.tls.files())


@dataclass(frozen=True)
class Images:
    """Image references of our own containers, and the HAProxy version that the load balancer's image holds."""

    haproxy: str = "dockgate/haproxy:3.2-1"
    haproxy_version: HaproxyVersion = "3.2"
    node: str = "dockgate/node:3"
    waf: str = "dockgate/waf:1"


@dataclass(frozen=True)
class Desired:
    """Everything the file asks for. Mappings are tuples sorted by name; use the look-ups below.

    ``project``: the name under which all objects are labelled: ``[a-z0-9][a-z0-9_-]*``, at most 32 characters.
    """

    project: str
    hosts: tuple[Host, ...]
    networks: tuple[Network, ...] = ()
    pools: tuple[Pool, ...] = ()
    vips: tuple[Vip, ...] = ()
    images: Images = field(default_factory=Images)
    firewall: Firewall | None = None

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def pool(self, name: str) -> Pool:
        return self._pools[name]

    @cached_property
    def _pools(self) -> Mapping[str, Pool]:
        return {pool.name: pool for pool in self.pools}

    def vip(self, name: str) -> Vip:
        return next(vip for vip in self.vips if vip.name == name)

    def tls_files(self, vip: Vip) -> tuple[TlsFile, ...]:
        """What a VIP's load balancers need in their volume, sorted by name."""
        pools = (self.pool(name) for name in vip.pools())
        return each_once((*vip.tls_files(), *(pool.tls.authority for pool in pools if pool.tls)))
