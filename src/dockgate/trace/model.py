"""The walk of one request as values: where it must go, what was seen of it, and both held together.

Invariant: what nobody saw is never told as seen; an address that is not known is "" and a port 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from dockgate.haproxy.sessions import OpenSession
from dockgate.model.desired import Mode

HERE = ""
"""The seat where dockgate itself runs; every other one is a host of the file."""
HOST = "host"

Kind: TypeAlias = Literal["client", "host", "container", "overlay"]


@dataclass(frozen=True)
class Request:
    """What is asked. ``vantage``: a host of the file, or HERE. ``container``: the one there that asks, "" when it is
    the host. ``address``: IPv4, what the URL's host resolved to. ``tls``: https; no certificate is refused. ``mode``
    tcp: a connection that opens and says nothing."""

    url: str
    host: str
    address: str
    port: int
    path: str = "/"
    vantage: str = HERE
    container: str = ""
    tls: bool = False
    mode: Mode = "http"

    @property
    def asked(self) -> str:
        return f"{'GET' if self.mode == 'http' else 'connection to'} {self.url}"

    @property
    def asker(self) -> str:
        return self.container or self.vantage or "client"


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
    """Both ends of a TCP session as one packet's header has them."""

    source: str
    sport: int
    address: str
    dport: int

    def __str__(self) -> str:
        return f"{_end(self.source, self.sport)} > {_end(self.address, self.dport)}"

    def agrees(self, other: Ends) -> bool:
        """As far as both are known."""
        mine = (self.source, self.sport, self.address, self.dport)
        others = (other.source, other.sport, other.address, other.dport)
        return all(not a or not b or a == b for a, b in zip(mine, others, strict=True))


def _end(address: str, port: int) -> str:
    return f"{address or '?'}:{port or '?'}"


@dataclass(frozen=True)
class Hop:
    """A namespace on the way. ``after`` differs from ``before`` where addresses are translated. ``outer``: the hosts'
    addresses around the packet where it goes through as VXLAN."""

    session: Literal[1, 2]
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
    """From the file and the engines alone. ``pool``: where it goes; ``chances``: other pools that may get it instead,
    by a route's ``percent``. ``servers``: of all of them. ``stop``: why it cannot arrive.
    ``certificates``: fingerprint and file of each that the port may show. ``sealed``: members are spoken to by TLS.
    ``wrongly``: the port is asked in another way than it is there for, and how to ask it."""

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


# --- what was seen


@dataclass(frozen=True)
class Sighting:
    """A packet at an interface. ``at``: microseconds on its host's own clock. ``outer``: source, target and VNI of the
    VXLAN packet around it. ``token``: it carries the mark of our request."""

    place: tuple[str, str]
    interface: str
    out: bool
    at: int
    ends: Ends
    seq: int
    ack: int
    flags: int
    token: bool = False
    outer: tuple[str, str, int] | None = None

    @property
    def syn(self) -> bool:
        return self.flags & 0x12 == 0x02

    @property
    def syn_ack(self) -> bool:
        return self.flags & 0x12 == 0x12

    @property
    def reset(self) -> bool:
        return bool(self.flags & 0x04)


_SHARED = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""Chains of iptables itself."""


@dataclass(frozen=True)
class Verdict:
    """A rule, or a chain's policy (handle 0), that judged a packet. ``text``: the rule as nft lists it."""

    place: tuple[str, str]
    family: str
    table: str
    chain: str
    handle: int
    verdict: str
    seq: int
    syn: bool
    text: str = ""

    def __str__(self) -> str:
        """Ours by the line of the file, everybody else's by chain and handle."""
        if self.table == "dockgate" and 'comment "' in self.text:
            return self.text.partition('comment "')[2].partition('"')[0]
        number = f"handle {self.handle}" if self.handle else "policy"
        return f"{self.family} {self.table} {self.chain} {number}{f': {self.text}' if self.text else ''}"

    @property
    def translates(self) -> bool:
        """By the statement of the rule, or because it stands where iptables has translations."""
        said = f" {self.text.partition(' comment ')[0]} "
        return self.table == "nat" or any(word in said for word in (" dnat ", " snat ", " masquerade "))

    @property
    def whose(self) -> str:
        if (self.family, self.table) == ("inet", "dockgate"):
            return "our rule"
        if self.chain == "DOCKER-USER":
            return "a rule in DOCKER-USER, the operator's chain"
        if self.chain.startswith("DOCKER") or (self.table.startswith("docker") and self.family in ("ip", "ip6")):
            return "Docker's rule"
        if self.handle and self.table in ("filter", "nat", "raw", "mangle") and self.chain in _SHARED:
            return f"a rule in {self.chain}, where Docker and the operator both have theirs,"
        return "a rule that is neither ours nor Docker's" if self.handle else "the policy of a chain"


@dataclass(frozen=True)
class Answer:
    """How the request ended for whoever sent it. ``outcome``: answered, open (mode tcp), closed, silent, dropped, …
    ``tls``: version, "" for plain text; ``shown``: SHA-256 of the certificate that came, hexadecimal."""

    outcome: str
    status: int = 0
    error: str = ""
    source: str = ""
    at: int = 0
    connect_us: int = 0
    total_us: int = 0
    tls: str = ""
    shown: str = ""


@dataclass(frozen=True)
class LogLine:
    """HAProxy's line for this request; times in milliseconds, -1 where it did not come that far or there is none.
    ``status`` 0: mode tcp."""

    client: str
    frontend: str
    pool: str
    server: str
    request_ms: int
    queue_ms: int
    connect_ms: int
    response_ms: int
    total_ms: int
    status: int
    ending: str
    retries: int


@dataclass(frozen=True)
class Evidence:
    """Everything that was found. ``blind``: why a place could not be watched, by its key. ``listeners``: port, process
    id and command by place. ``routes``: words of the kernel about the way on from a place. ``connections``: conntrack's
    tuples there and back, by seat. ``held``: HAProxy's own word on the connection while it was open (mode tcp)."""

    port: int
    answer: Answer
    sightings: tuple[Sighting, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    log: LogLine | None = None
    listeners: tuple[tuple[tuple[str, str], int, int, str], ...] = ()
    blind: tuple[tuple[tuple[str, str], str], ...] = ()
    routes: tuple[tuple[tuple[str, str], str], ...] = ()
    connections: tuple[tuple[str, Ends, Ends], ...] = ()
    held: OpenSession | None = None


# --- both together


@dataclass(frozen=True)
class Step:
    """A hop and what was seen there. ``took_us``: between its first and last interface, None with fewer than two.
    ``back``: the answer to its first packet was seen there; ``undone``: with the addresses that it came with."""

    hop: Hop
    seen: bool
    back: bool = False
    interfaces: tuple[str, ...] = ()
    took_us: int | None = None
    outer: tuple[str, str, int] | None = None
    verdicts: tuple[Verdict, ...] = ()
    undone: bool = False

    @property
    def translation(self) -> Literal["", "DNAT", "MASQUERADE", "DNAT and MASQUERADE"]:
        before, after = self.hop.before, self.hop.after
        target = (before.address, before.dport) != (after.address, after.dport)
        source = before.source != after.source
        if target and source:
            return "DNAT and MASQUERADE"
        return "DNAT" if target else "MASQUERADE" if source else ""


@dataclass(frozen=True)
class Walk:
    """``evidence``: None for a prediction alone. ``chosen``: the server that HAProxy picked."""

    prediction: Prediction
    evidence: Evidence | None
    steps: tuple[Step, ...]
    chosen: Server | None = None
    why: str = ""
    process: str = ""
    disagreements: tuple[str, ...] = ()
    stop: Stop | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def arrived(self) -> bool:
        return self.stop is None

    @property
    def told(self) -> tuple[Step, ...]:
        """The hops that were seen; of a prediction alone, all."""
        return tuple(step for step in self.steps if step.seen or self.evidence is None)

    @property
    def sessions(self) -> int:
        return len({step.hop.session for step in self.told})

    @property
    def translations(self) -> int:
        return sum(step.translation.count(" and ") + 1 for step in self.told if step.translation)

    @property
    def client_seen(self) -> str:
        """The address that the server's kernel saw as its client."""
        last = self.told[-1] if self.told else None
        target = self.chosen.hops[-1].place if self.chosen and self.chosen.hops else None
        if last is None or last.hop.place != target or target.kind != "container":
            return ""
        return last.hop.after.source


def known(ends: Ends, *, source: str = "", sport: int = 0) -> Ends:
    """With what was not known before."""
    return replace(ends, source=ends.source or source, sport=ends.sport or sport)
