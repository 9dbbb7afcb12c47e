"""A walk as a sequence picture: one line of life for each namespace, an arrow for each hop, the answer dashed. Pure.

Invariant: the same walk gives the same bytes; no text leaves the picture (long names are cut).
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from .model import Place
from .report import count
from .steps import Step, Walk
from .stop import where

COLUMN, LEFT, TOP, ROW = 210, 110, 96, 30
LONGEST = 26
FONT = "Inter,'Segoe UI','Helvetica Neue',Arial,'Liberation Sans','DejaVu Sans',sans-serif"
_INK, _GREY, _GREEN, _RED, _BLUE = "#1f2933", "#9aa5b1", "#1b7f4b", "#b3261e", "#1f5fa8"


def picture(walk: Walk) -> str:
    places = _places(walk)
    column = {place.key: LEFT + COLUMN * at for at, place in enumerate(places)}
    body: list[str] = []
    y = TOP
    for row in _rows(walk, column):
        body += [part.replace("@Y", str(y)).replace("@T", str(y - 5)) for part in row]
        y += ROW
    width, height = LEFT * 2 + COLUMN * max(0, len(places) - 1), y + 40
    width = max(width, 640)
    title = f"Walk of {walk.prediction.request.asked}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="{escape(FONT)}" font-size="11" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape("; ".join(_told(walk)))}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="22" font-size="14" font-weight="bold" fill="{_INK}">{escape(title)}</text>',
        *(part for place in places for part in _life(place, column[place.key], y)),
        *body,
        f'<text x="16" y="{height - 14}" fill="{_INK}">{escape(count(walk))}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _places(walk: Walk) -> tuple[Place, ...]:
    found: dict[tuple[str, str], Place] = {}
    for step in walk.steps:
        found.setdefault(step.hop.place.key, step.hop.place)
    return tuple(found.values())


def _life(place: Place, x: int, end: int) -> Iterator[str]:
    kind = f"{place.kind} on {place.seat}" if place.seat and place.name != place.seat else place.kind
    yield f'<text x="{x}" y="48" text-anchor="middle" font-weight="bold" fill="{_INK}">{_cut(place.name)}</text>'
    yield f'<text x="{x}" y="62" text-anchor="middle" fill="{_GREY}">{_cut(kind)}</text>'
    yield f'<line x1="{x}" y1="70" x2="{x}" y2="{end}" stroke="{_GREY}"/>'


def _rows(walk: Walk, column: dict[tuple[str, str], int]) -> Iterator[list[str]]:
    """What stands in each row, with @Y for its line and @T for the text above it."""
    before: Step | None = None
    for step in walk.steps:
        x = column[step.hop.place.key]
        seen = step.seen or walk.evidence is None
        if before is not None and before.hop.session == step.hop.session:
            start = column[before.hop.place.key]
            yield [_arrow(start, x, _INK if seen else _GREY), _label(start, x, str(step.hop.before))]
        elif before is not None:
            yield from _returning(walk, column, before.hop.session)
            server = walk.chosen.name if walk.chosen else "nobody"
            picks = f"HAProxy: {walk.prediction.pool} picks {server}"
            yield [_note(x, picks if step.hop.session == walk.prediction.last else "Docker's proxy", _BLUE)]
        if step.translation:
            yield [_note(x, f"{step.translation} to", _GREEN)]
            yield [_note(x, str(step.hop.after), _GREEN)]
        outer = step.outer or step.hop.outer
        if outer:
            yield [_note(x, f"VXLAN {outer[0]} > {outer[1]}", _BLUE)]
        before = step
    if before is not None:
        yield from _returning(walk, column, before.hop.session)
    if walk.stop is not None and before is not None:
        last = next((s for s in reversed(walk.steps) if s.seen), before)
        yield [_note(column[last.hop.place.key], "stopped here", _RED)]


def _returning(walk: Walk, column: dict[tuple[str, str], int], session: int) -> Iterator[list[str]]:
    """The answer to the first packet, from the last hop that saw it to the first; it stops where it is translated."""
    back = [s for s in walk.steps if s.hop.session == session and (s.back or walk.evidence is None)]
    if len(back) < 2:
        return
    last, *middle, first = reversed(back)
    at, told = last, "the echo comes back" if walk.prediction.request.mode == "echo" else f"session {session} accepted"
    for step in (*(each for each in middle if each.back and each.back.left != each.back.came), first):
        start, end = column[at.hop.place.key], column[step.hop.place.key]
        yield [_arrow(start, end, _INK, dashed=True), _label(start, end, told)]
        if step.back and step.back.left != step.back.came:
            yield [_note(end, "translated back to", _GREEN)]
            yield [_note(end, str(step.back.left), _GREEN)]
        at = step


def _arrow(start: int, end: int, colour: str, *, dashed: bool = False) -> str:
    """With a head of its own, since renderers differ in markers."""
    tip = -7 if end > start else 7
    style = ' stroke-dasharray="5 4"' if dashed else ""
    head = f'<path d="M{end} @Y l{tip} -4 l0 8 z" fill="{colour}"/>'
    return f'<line x1="{start}" y1="@Y" x2="{end}" y2="@Y" stroke="{colour}"{style}/>{head}'


def _label(start: int, end: int, text: str) -> str:
    return _text((start + end) // 2, text, 9, _INK)


def _note(x: int, text: str, colour: str) -> str:
    return _text(x, text, 10, colour)


def _text(x: int, text: str, size: int, colour: str) -> str:
    """With a white edge, so that a line of life does not run through it."""
    edge = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    return f'<text x="{x}" y="@T" text-anchor="middle" font-size="{size}" fill="{colour}" {edge}>{escape(text)}</text>'


def _cut(text: str) -> str:
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def _told(walk: Walk) -> Iterator[str]:
    for step in walk.steps:
        change = f", {step.translation} to {step.hop.after}" if step.translation else ""
        yield f"{where(step)}: {step.hop.before}{change}"
    if walk.stop is not None:
        yield f"stopped at {walk.stop.where}: {walk.stop.why}"
