"""A request and the way that it must take, as values.

Invariant: an address that is not known is "" and a port 0; both ports are 0 where there are none (an echo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dockgate.model.observed import VXLAN_PORT

HERE = ""
"""The seat where dockgate itself runs; every other one is a host of the file."""
HOST = "host"

Kind: TypeAlias = Literal["client", "host", "container", "overlay"]
Asks: TypeAlias = Literal["http", "tcp", "echo"]


@dataclass(frozen=True)
class Request:
    """What is asked. ``vantage``: a host of the file, or HERE. ``container``: who asks there, "" for the
    host. ``address``: what the URL's host resolved to; ``home``: the host that has it, where only that host itself
    could tell (IPv6). ``source``: the address that an echo leaves with, "" when not known. ``tls``: https; no
    certificate is refused. ``mode`` tcp: a connection that opens and says nothing; echo: ICMP, which has no port."""

    url: str
    host: str
    address: str
    port: int
    path: str = "/"
    vantage: str = HERE
    container: str = ""
    tls: bool = False
    mode: Asks = "http"
    home: str = ""
    source: str = ""

    @property
    def asked(self) -> str:
        return f"{_ASKED[self.mode]} {self.url}"

    @property
    def asker(self) -> str:
        return self.container or self.vantage or "client"


_ASKED = {"http": "GET", "tcp": "connection to", "echo": "echo to"}


@dataclass(frozen=True)
class Place:
    """A network namespace. ``namespace``: "host", "pid:N" or "overlay:ID" on the seat."""

    seat: str
    namespace: str
    kind: Kind
    name: str

    @property
    def key(self) -> tuple[str, str]:
        return self.seat, self.namespace


@dataclass(frozen=True)
class Ends:
    """Both ends of a session as one packet's header has them."""

    source: str
    sport: int
    address: str
    dport: int

    def __str__(self) -> str:
        if not self.sport and not self.dport:
            return f"{self.source or '?'} > {self.address or '?'}"
        return f"{_end(self.source, self.sport)} > {_end(self.address, self.dport)}"

    @property
    def turned(self) -> Ends:
        """Those of an answer."""
        return Ends(self.address, self.dport, self.source, self.sport)

    def agrees(self, other: Ends) -> bool:
        """As far as both are known."""
        mine = (self.source, self.sport, self.address, self.dport)
        others = (other.source, other.sport, other.address, other.dport)
        return all(not a or not b or a == b for a, b in zip(mine, others, strict=True))


def _end(address: str, port: int) -> str:
    return f"{f'[{address}]' if ':' in address else address or '?'}:{port or '?'}"


@dataclass(frozen=True)
class Hop:
    """A namespace on the way. ``after`` differs from ``before`` where addresses are translated. ``outer``: the hosts'
    addresses around the packet where it goes through as VXLAN."""

    session: int
    place: Place
    before: Ends
    after: Ends
    outer: tuple[str, str] | None = None


@dataclass(frozen=True)
class Server:
    """A server of the pool and the way to it. ``container``: where it runs, "" when it is none that we know."""

    name: str
    address: str
    port: int
    status: str
    up: bool
    host: str = ""
    container: str = ""
    hops: tuple[Hop, ...] = ()
    pool: str = ""


@dataclass(frozen=True)
class Stop:
    """Where a request ends that does not arrive, why, and what to do about it."""

    where: str
    why: str
    hint: str


@dataclass(frozen=True)
class Prediction:
    """From the file and the engines alone. ``pool``: where it goes; ``chances``: other pools that may get it, by
    a route's ``percent``. ``servers``: of all of them. ``stop``: why it cannot arrive. ``certificates``:
    fingerprint and file of each that the port may show. ``sealed``: members are spoken to by TLS. ``wrongly``: the
    port is asked in another way than it is there for, and how to ask it. ``target``: a container that is no load
    balancer, and whose port Docker published there. ``proxy``: the host whose Docker stands between with a proxy,
    which makes a session of its own. ``policy``: what the file's rules say of an echo, in words. ``vxlan``: the
    UDP port of overlay networks."""

    request: Request
    vip: str = ""
    pool: str = ""
    frontend: str = ""
    balance: str = ""
    balancer: Place | None = None
    hops: tuple[Hop, ...] = ()
    servers: tuple[Server, ...] = ()
    stop: Stop | None = None
    chances: tuple[str, ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()
    sealed: bool = False
    wrongly: Stop | None = None
    target: str = ""
    proxy: Place | None = None
    policy: tuple[str, ...] = ()
    vxlan: int = VXLAN_PORT

    @property
    def last(self) -> int:
        """The session with a server."""
        return 2 if self.proxy is None else 3

    @property
    def entry(self) -> Ends | None:
        """Both ends of the session that reaches HAProxy, or the container that is asked."""
        return self.hops[-1].after if self.hops else None

    def server(self, name: str, pool: str = "") -> Server | None:
        """``pool``: the backend that HAProxy's log names, "" for any."""
        return next((each for each in self.servers if each.name == name and pool in ("", each.pool)), None)

    def expected(self) -> tuple[Server, ...]:
        """Those that HAProxy may pick now."""
        return tuple(server for server in self.servers if server.up)

    def places(self) -> tuple[Place, ...]:
        """Every namespace that some way goes through, each once."""
        hops = (*self.hops, *(hop for server in self.servers for hop in server.hops))
        return tuple({hop.place.key: hop.place for hop in reversed(hops)}.values())
