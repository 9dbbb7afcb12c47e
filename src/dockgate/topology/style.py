"""Sizes and colours of a picture. Every text colour has a contrast of at least 4.5:1 on every ground it stands on."""

from __future__ import annotations

from dataclasses import dataclass

from .boxes import Box, Row
from .measure import Face, width

MARGIN = 26.0
PAGE_W = 1123.0
"""A4 landscape at 96 pixels an inch; a picture of three hosts is as wide, one that shows more grows."""
COLUMN_GAP = 20.0
COLUMN_MIN, COLUMN_MAX = 322.0, 588.0
GUTTER = 27.0
"""Room at the left of a host, where the line from the LAN comes down."""
LANE, LANE_FIRST = 11.0, 12.0
OVERHANG = 9.0
"""How far a band reaches out of the first and the last host, to show that it spans them."""
"""Room at the right of a host for each line that leaves it."""
STRIP_H = 22.0
MARK_W = 16.0
"""Room for the sign before a state's word."""

FONT = "Inter,'Segoe UI','Helvetica Neue',Arial,'Liberation Sans','DejaVu Sans',sans-serif"
MONO = "'SF Mono',Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"


@dataclass(frozen=True)
class Tone:
    """``height``: of the whole row."""

    size: float
    face: Face
    height: float
    color: str


INK, QUIET, RED, BLUE, GREEN, AMBER = "#17212b", "#4a5763", "#a61b1b", "#1d4f91", "#22663d", "#6b4500"

TONES = {
    "title": Tone(15.5, "bold", 23, INK),
    "name": Tone(13.5, "bold", 20, INK),
    "text": Tone(12.5, "plain", 18, INK),
    "quiet": Tone(12, "plain", 17, QUIET),
    "mono": Tone(12, "mono", 17.5, INK),
    "state": Tone(11.5, "bold", 18, INK),
    "mark": Tone(11.5, "bold", 18, "#5b2a86"),
}
STRIP = Tone(11, "mono", STRIP_H, AMBER)
STRIP_WORD = Tone(10, "bold", STRIP_H, AMBER)

STATES = {"up": GREEN, "down": RED, "unknown": QUIET, "planned": BLUE}
"""Colour of a state's word and border; each state has a shape and a word of its own as well."""


@dataclass(frozen=True)
class Ground:
    """How a kind of box looks. ``pad``, ``top``, ``bottom``: free room inside. ``gap``: between children."""

    fill: str
    stroke: str
    line: float
    radius: float
    pad: float
    top: float
    bottom: float
    gap: float = 10.0


GROUNDS = {
    "outside": Ground("#edf1f7", "#5f7285", 1.2, 16, 18, 8, 8),
    "host": Ground("#f4f6f9", "#5f7285", 1.6, 10, 0, 10, 14, 12),
    "elsewhere": Ground("#fbfbfc", "#5f7285", 1.2, 10, 0, 10, 14, 12),
    "network": Ground("#e3edf8", "#7d98b3", 1.1, 6, 8, 7, 9),
    "band": Ground("#e2f1e6", "#4d8560", 1.2, 6, GUTTER + OVERHANG, 8, 14, 10),
    "balancer": Ground("#ffffff", BLUE, 2.0, 5, 11, 7, 8),
    "group": Ground("#f6faf7", "#9dbba7", 1.0, 5, 9, 5, 9, 7),
    "member": Ground("#ffffff", "#3f5468", 1.4, 5, 10, 5, 6),
    "other": Ground("#f7f7f7", "#6b7680", 1.2, 5, 10, 5, 6),
    "note": Ground("none", "none", 0, 0, 10, 4, 4),
}
DENSE_MEMBER = Ground("#ffffff", "#3f5468", 1.0, 3, 8, 1.5, 1.5)
DENSE_GAP = 3.0

LINES = {"in": BLUE, "out": AMBER, "network": GREEN, "plain": "#5f7285"}


def ground(box: Box, *, dense: bool) -> Ground:
    return DENSE_MEMBER if dense and box.kind == "member" else GROUNDS[box.kind]


def text_width(text: str, tone: Tone) -> float:
    return width(text, tone.size, tone.face)


def row_height(row: Row) -> float:
    return max(TONES[row.tone].height, TONES[row.right_tone].height if row.right else 0)


def strips_width(box: Box) -> float:
    """What the widest strip of a box needs."""
    return max(
        (text_width(strip.text, STRIP) + text_width(strip.word, STRIP_WORD) + 26 for strip in (*box.doors, *box.exits)),
        default=0.0,
    )
