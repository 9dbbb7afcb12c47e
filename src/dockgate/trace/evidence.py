"""What was found of one request: packets, rules, tables, HAProxy's own word. Values only.

Invariant: nothing in here is inferred; what could not be looked at is ``blind``, and an entry that is not there is "".
"""

from __future__ import annotations

from dataclasses import dataclass

from dockgate.haproxy.sessions import OpenSession

from .model import Ends


@dataclass(frozen=True)
class Sighting:
    """A packet at an interface; an echo is told as the first packet of a session, its answer as the second. ``at``:
    microseconds on its host's own clock. ``outer``: source, target and VNI of the VXLAN packet around it.
    ``token``: it carries the mark of our request."""

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
    """A rule, or a chain's policy (handle 0), that judged a packet: the first of a session (``syn``), or the answer to
    it, of which ``seq`` is the first's too. ``text``: the rule as nft lists it. ``own``: the packet has our port, or is
    our echo."""

    place: tuple[str, str]
    family: str
    table: str
    chain: str
    handle: int
    verdict: str
    seq: int
    syn: bool
    text: str = ""
    own: bool = False

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
    """How the request ended for whoever sent it. ``connect_us``: until it stood, or the echo was back. ``outcome``:
    answered, open (mode tcp), closed, silent, dropped, … ``tls``: version, "" for plain text; ``shown``: SHA-256 of
    the certificate that came, hexadecimal."""

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
class Forwarding:
    """How an overlay network's leg begins on one host, by the tables of its kernel; "" where there is no entry.

    ``address``: for whom. ``mac``, ``host``: what the network has there for it. ``known_as``: the MAC that the sender
    has for it, ``own``: the one that it has itself."""

    place: tuple[str, str]
    address: str
    mac: str = ""
    host: str = ""
    known_as: str = ""
    own: str = ""


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
    forwarding: tuple[Forwarding, ...] = ()
