"""The legend at the foot of every picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .marks import arrow, sign
from .measure import width
from .style import LINES, MARGIN, QUIET, STATES, STRIP_WORD
from .xml import element, number

Sample: TypeAlias = Literal["line", "strip", "state", "word"]

SIZE = 11.5
ROW_H = 25.0
_ROOM: dict[Sample, float] = {"line": 34, "strip": 54, "state": 14, "word": -8}


@dataclass(frozen=True)
class _Item:
    sample: Sample
    of: str
    text: str


_LINES = (
    _Item("line", "in", "request from the LAN"),
    _Item("line", "out", "load balancer to the LAN"),
    _Item("line", "network", "over a container network"),
    _Item("strip", "", "address translated here (NAT)"),
)
_STATES = (
    _Item("state", "up", "UP: answers its checks"),
    _Item("state", "down", "dashed, DOWN: gets no requests"),
    _Item("state", "unknown", "dotted, UNKNOWN: could not be read"),
    _Item("state", "planned", "long dashes, PLANNED: in the file"),
)
_MARKS = (
    _Item("word", "", "Compared, with a heavy border: + ADDED, − REMOVED (dashed), ~ CHANGED and from what to what"),
)


def legend_height(page: float, *, compared: bool) -> float:
    """With the margin under it."""
    return 24 + ROW_H * len(_rows(page, compared=compared))


def legend(top: float, page: float, *, compared: bool) -> Iterator[str]:
    """Lines and translations, then states, then the marks of a comparison."""
    yield '<g id="legend" role="img" aria-label="Legend"><title>Legend</title>'
    yield element("line", x1=MARGIN, y1=top, x2=page - MARGIN, y2=top, stroke="#c3ccd5", stroke_width=1)
    for index, row in enumerate(_rows(page, compared=compared)):
        x, y = MARGIN, top + 24 + ROW_H * index
        for item in row:
            yield from _sample(item, x, y)
            at = f'x="{number(x + _ROOM[item.sample] + 8)}" y="{number(y + 4)}"'
            yield f'<text {at} font-size="{number(SIZE)}" fill="{QUIET}">{item.text}</text>'
            x += _need(item) + 26
    yield "</g>"


def _rows(page: float, *, compared: bool) -> list[list[_Item]]:
    """Each kind begins a row of its own, and goes on in the next where the page ends."""
    rows: list[list[_Item]] = []
    for items in (_LINES, _STATES, _MARKS if compared else ()):
        x = page
        for item in items:
            if x + _need(item) > page - MARGIN:
                rows.append([])
                x = MARGIN
            rows[-1].append(item)
            x += _need(item) + 26
    return rows


def _need(item: _Item) -> float:
    return _ROOM[item.sample] + 8 + width(item.text, SIZE)


def _sample(item: _Item, x: float, y: float) -> Iterator[str]:
    if item.sample == "line":
        color = LINES[item.of]
        yield element("line", x1=x, y1=y, x2=x + 30, y2=y, stroke=color, stroke_width=2)
        yield arrow(x + 34, y, "right", color)
    elif item.sample == "strip":
        yield element(
            "rect", x=x, y=y - 9, width=54, height=18, rx=4, fill="#fdf0d0", stroke="#9a6b15", stroke_width=1.1
        )
        look = f'font-size="{number(STRIP_WORD.size)}" font-weight="700" fill="{STRIP_WORD.color}" text-anchor="middle"'
        yield f'<text x="{number(x + 27)}" y="{number(y + 4)}" {look}>DNAT</text>'
    elif item.sample == "state":
        yield sign(item.of, x + 6, y, STATES[item.of])
