"""What is proved, as values: a cell asks one question with one real packet, a result says what became of it.

No I/O here. Invariant: an outcome is one of five, and "probe failed" is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dockgate.firewall.evaluate import Flow
from dockgate.firewall.facts import HostFacts
from dockgate.model.policy import Rule, Verdict

Outcome: TypeAlias = Literal["open", "refused", "dropped", "unreachable", "probe failed"]
Protocol: TypeAlias = Literal["tcp", "udp", "icmp"]
Status: TypeAlias = Literal["ok", "wrong", "not proven", "probe failed"]

HOST = "host"
"""The namespace of a host itself, as the probe program calls it."""

HERE = ""
"""The seat where dockgate itself runs."""


@dataclass(frozen=True, order=True)
class Spot:
    """Somebody who asks or is asked: a network namespace at a seat (a host's name, or HERE).

    ``group``: how it is called where equal rows are told as one, e.g. the name of its network.
    """

    seat: str
    namespace: str
    name: str
    group: str


@dataclass(frozen=True)
class Place:
    """Where rules stand: a host's own namespace, or an overlay's on a host. ``facts``: what is known of it."""

    host: str
    namespace: str
    name: str
    facts: HostFacts

    def __hash__(self) -> int:
        return hash((self.host, self.namespace))


@dataclass(frozen=True)
class Hop:
    """A packet at a place."""

    place: Place
    flow: Flow


@dataclass(frozen=True)
class Expected:
    """What the policy says, and the rule and place that decide."""

    verdict: Verdict
    rule: Rule
    place: Place


@dataclass(frozen=True)
class End:
    """An address and a port; port 0 for ICMP."""

    address: str
    port: int = 0

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port}" if self.port else self.address


@dataclass(frozen=True)
class Frame:
    """A packet made by hand: sent out of ``device`` to ``mac``. With a ``vni`` it carries an overlay frame with the
    inner packet's source ``inner_source``."""

    device: str
    mac: str
    vni: int = 0
    inner_source: str = ""


@dataclass(frozen=True)
class Cell:
    """One question. ``asked``: where the packet is sent; ``ends``: where it would arrive, after Docker's translation.

    ``hops``: the places that judge it, in order. ``attack``: what an adversary would be after, "" for ordinary cells.
    ``untracked``: sent so that Docker's translation does not touch it. ``says_whom``: the target must see the source's
    own address. ``answers``: somebody answers at ``ends``, or a responder can.
    """

    source: Spot
    address: str
    target: Spot
    protocol: Protocol
    asked: End
    ends: End
    hops: tuple[Hop, ...]
    expected: Expected
    attack: str = ""
    untracked: bool = False
    frame: Frame | None = None
    says_whom: bool = False

    @property
    def what(self) -> str:
        return self.protocol if self.protocol == "icmp" else f"{self.protocol} {self.asked.port}"

    @property
    def shown_as(self) -> str:
        """The source address that the target sees if nobody changes it."""
        return self.frame.inner_source if self.frame and self.frame.vni else self.address

    @property
    def family(self) -> int:
        return 6 if ":" in self.asked.address else 4


@dataclass(frozen=True)
class Question:
    """Something that must not be answered, whatever packets get through: a page, a socket, an API.

    ``say`` is sent once connected; an answer that holds ``betrays`` is a hole; one that holds ``proves`` shows that
    the right thing was asked ("" if silence is as good).
    """

    source: Spot
    address: str
    target: Spot
    asked: End
    say: str
    betrays: str
    attack: str
    proves: str = ""
    why: str = ""


Job: TypeAlias = Cell | Question


@dataclass(frozen=True)
class Decided:
    """A verdict on our packet by the kernel's own word. ``rule``: the comment of the rule in our table, "" if it was
    another's, or if the chain has none."""

    place: str
    table: str
    chain: str
    verdict: Literal["accept", "drop"]
    rule: str = ""

    @property
    def ours(self) -> bool:
        return self.table == "inet dockgate"

    def __str__(self) -> str:
        return self.rule or f"{self.table} {self.chain}"


@dataclass(frozen=True)
class Measured:
    """What became of one job's packet. ``seen_as``: the source addresses that the target saw it come from.

    ``control``: what the target's own namespace got when it asked the same.
    """

    outcome: Outcome
    error: str = ""
    text: str = ""
    seen_as: tuple[str, ...] = ()
    decided: tuple[Decided, ...] = ()
    control: Outcome = "probe failed"


@dataclass(frozen=True)
class Result:
    """A job judged. ``why``: what is wrong, "" when nothing is. ``final``: asking again cannot make it better."""

    job: Job
    measured: Measured | None
    status: Status
    why: str = ""
    final: bool = False


@dataclass(frozen=True)
class Proof:
    """All of it. ``missing``: what could not even be asked, in sentences; each is a failure. ``skipped``: what this run
    has no vantage for, told but no failure."""

    results: tuple[Result, ...]
    missing: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.results) and not self.missing and all(result.status == "ok" for result in self.results)
