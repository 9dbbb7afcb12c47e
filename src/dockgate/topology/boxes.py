"""The parts of a picture before they have a place: boxes in boxes with rows of text, and the lines between them.

Must not: know coordinates (``layout`` finds them) or SVG (``svg`` writes it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .diff import Mark
from .graph import Condition

Kind: TypeAlias = Literal[
    "outside", "host", "elsewhere", "network", "band", "balancer", "group", "member", "other", "note"
]
Tone: TypeAlias = Literal["title", "name", "text", "quiet", "mono", "state", "mark"]
LineKind: TypeAlias = Literal["in", "out", "network"]


@dataclass(frozen=True)
class Row:
    """A line of text: something at the left, something at the right. ``port``: name of the line that leaves here."""

    left: str
    tone: Tone = "text"
    right: str = ""
    right_tone: Tone = "quiet"
    port: str = ""


@dataclass(frozen=True)
class Strip:
    """A translation at a box's edge. ``text``: addresses before and after; ``word``: DNAT, MASQUERADE …"""

    text: str
    word: str
    id: str
    title: str = ""
    mark: Mark | None = None


@dataclass(frozen=True)
class Box:
    """``id``: of the node it stands for, or unique in another way. ``doors``: where requests come in from the LAN.
    ``exits``: where they leave to it. ``title`` and ``text``: for those who do not see it."""

    id: str
    kind: Kind
    rows: tuple[Row, ...]
    title: str
    text: str = ""
    condition: Condition = field(default_factory=lambda: Condition("up"))
    doors: tuple[Strip, ...] = ()
    exits: tuple[Strip, ...] = ()
    children: tuple[Box, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True)
class Cell:
    """What of one network across hosts is on one host."""

    band: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Column:
    """A host, or a place that is none. ``box``: its children are the host's own networks. ``cells``: in every band."""

    box: Box
    cells: tuple[Cell, ...]

    def cell(self, band: str) -> tuple[Box, ...]:
        return next((cell.boxes for cell in self.cells if cell.band == band), ())


@dataclass(frozen=True)
class Tap:
    """A load balancer's line to a network. ``band``: it spans hosts; otherwise a box in the same column."""

    column: str
    balancer: str
    network: str
    band: bool
    condition: Condition


@dataclass(frozen=True)
class Scene:
    """One picture, complete. ``outside``: text rows of what can be reached. ``dense``: members on one line each."""

    title: str
    subtitle: str
    description: str
    outside: Box
    columns: tuple[Column, ...]
    bands: tuple[Box, ...]
    taps: tuple[Tap, ...]
    dense: bool
    compared: bool
