"""Prediction and evidence held together, as values: each hop with what was seen there, and the whole walk.

Invariant: what nobody saw is never told as seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .evidence import Evidence, Forwarding, Verdict
from .model import Ends, Hop, Prediction, Server, Stop


@dataclass(frozen=True)
class Return:
    """The answer to a hop's first packet as it was seen there: how it came and how it left, through which interfaces,
    let through or dropped by which rules."""

    came: Ends
    left: Ends
    interfaces: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class Step:
    """A hop and what was seen there. ``took_us``: between its first and last interface, None with fewer than two.
    ``back``: the answer to its first packet, None where it was not seen."""

    hop: Hop
    seen: bool
    back: Return | None = None
    interfaces: tuple[str, ...] = ()
    took_us: int | None = None
    outer: tuple[str, str, int] | None = None
    verdicts: tuple[Verdict, ...] = ()
    forwarding: Forwarding | None = None

    @property
    def translation(self) -> Literal["", "DNAT", "MASQUERADE", "DNAT and MASQUERADE"]:
        before, after = self.hop.before, self.hop.after
        target = (before.address, before.dport) != (after.address, after.dport)
        source = before.source != after.source
        if target and source:
            return "DNAT and MASQUERADE"
        return "DNAT" if target else "MASQUERADE" if source else ""

    @property
    def undone(self) -> bool:
        """Whether the answer left with the very ends that the packet came with."""
        return self.back is not None and self.back.left == self.hop.before.turned


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
    notes: tuple[str, ...] = ()

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
        """The address that the kernel of who answered saw as its client."""
        last = self.told[-1] if self.told else None
        if self.prediction.request.mode == "echo" or self.prediction.target:
            return last.hop.after.source if self.arrived and last is not None and last is self.steps[-1] else ""
        target = self.chosen.hops[-1].place if self.chosen and self.chosen.hops else None
        if last is None or last.hop.place != target or target.kind != "container":
            return ""
        return last.hop.after.source
