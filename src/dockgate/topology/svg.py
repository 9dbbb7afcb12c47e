"""Layout -> SVG text: well-formed, with a name for every thing, and the same bytes for the same picture.

Must not: put anything into the document that has not gone through ``escape``. Numbers have at most two decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.sax.saxutils import escape as _escape

from .boxes import Box, Row, Scene, Strip
from .layout import COLUMNS, Layout, Placed, lay_out
from .legend import legend
from .lines import Line, lines_of
from .marks import arrow, sign
from .measure import clean, cut
from .style import (
    FONT,
    INK,
    LINES,
    MARGIN,
    MARK_W,
    MONO,
    STATES,
    STRIP,
    STRIP_H,
    STRIP_WORD,
    TONES,
    Tone,
    row_height,
    text_width,
)
from .xml import element, number

TITLE_SIZE, SUBTITLE_SIZE = 22.0, 13.0
GROUNDS_BELOW = ("network", "group")
"""Boxes that lines may cross to what stands in them."""
PLANNED_SHOWS = ("balancer", "member")
"""In a picture of the file everything is planned; long dashes are for what `up` makes or waits for."""
HEAD = 6.0
DASHES = {"up": "", "down": "6 4", "unknown": "2 4", "planned": "9 4"}


def draw(scene: Scene) -> str:
    """The whole document."""
    layout = lay_out(scene)
    size = f"0 0 {number(layout.width)} {number(layout.height)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" width="{number(layout.width)}" '
        f'height="{number(layout.height)}" role="img" aria-labelledby="title desc" font-family="{escape(FONT)}">',
        f'<title id="title">{escape(scene.title)}</title>',
        f'<desc id="desc">{escape(scene.description)}</desc>',
        element("rect", x=0, y=0, width=layout.width, height=layout.height, fill="#ffffff"),
        *_head(scene, layout),
        *_lan(layout),
        *_boxes(scene, layout),
        *legend(layout.legend, layout.width, compared=scene.compared),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def escape(text: str) -> str:
    """As content or attribute of an element."""
    return _escape(clean(text), {'"': "&quot;", "'": "&apos;"})


def _head(scene: Scene, layout: Layout) -> Iterator[str]:
    room = layout.width - 2 * MARGIN
    yield _text(MARGIN, 42, cut(clean(scene.title), TITLE_SIZE, room, "bold"), Tone(TITLE_SIZE, "bold", 0, INK))
    subtitle = Tone(SUBTITLE_SIZE, "plain", 0, TONES["quiet"].color)
    yield _text(MARGIN, 65, cut(clean(scene.subtitle), SUBTITLE_SIZE, room), subtitle)


def _lan(layout: Layout) -> Iterator[str]:
    left, right = MARGIN, layout.width - MARGIN
    outside = layout.placed["outside"]
    x = round(left + 60, 2)
    yield f'<g role="img" aria-label="LAN">{_title("LAN: hosts and clients are joined to it")}'
    yield element("line", x1=left, y1=layout.lan, x2=right, y2=layout.lan, stroke=LINES["plain"], stroke_width=6)
    yield element("line", x1=x, y1=outside.bottom, x2=x, y2=layout.lan - 3, stroke=LINES["in"], stroke_width=2)
    yield arrow(x, layout.lan - 3, "down", LINES["in"])
    yield _text(x + 14, layout.lan - 12, "LAN", Tone(13, "bold", 0, INK))
    yield "</g>"


def _boxes(scene: Scene, layout: Layout) -> Iterator[str]:
    """Hosts, then bands over them, the hosts' outlines again, lines, and what stands in all of them."""
    ground = [place for place in layout.placed.values() if place.level == 0]
    hosts = [place for place in ground if place.box.kind in COLUMNS]
    for place in ground:
        yield _outline(place)
    for place in hosts:
        yield _outline(place, fill=False)
    for place in layout.placed.values():
        if place.box.kind in GROUNDS_BELOW:
            yield _outline(place)
    for _, lines in groupby(lines_of(scene, layout), key=lambda line: line.group):
        together = list(lines)
        yield from (_halo(line) for line in together if line.kind != "plain")
        yield from (_line(line) for line in together)
    for place in layout.placed.values():
        yield from _node(place)


def _node(place: Placed) -> Iterator[str]:
    """One thing with its names; the grounds of level 0 and of networks lie below the lines already."""
    box = place.box
    label = escape(box.title)
    yield f'<g id="{escape(box.id)}" class="{box.kind}" role="img" aria-label="{label}">'
    yield _title(box.title) + (f"<desc>{escape(box.text)}</desc>" if box.text else "")
    if place.level > 0 and box.kind not in (*GROUNDS_BELOW, "note"):
        yield _outline(place)
    elif box.kind not in (*GROUNDS_BELOW, "note"):
        yield element("rect", x=place.x, y=place.y, width=place.w, height=place.h, fill="none")
    for index, strip in enumerate(box.doors):
        yield from _strip(place, strip, place.y + index * STRIP_H, top=index == 0)
    yield from _rows(place)
    for index, strip in enumerate(box.exits):
        yield from _strip(place, strip, place.bottom - (len(box.exits) - index) * STRIP_H, top=False)
    yield "</g>"


def _outline(place: Placed, *, fill: bool = True) -> str:
    look, state = place.ground, place.box.condition.state
    if place.box.kind in ("group", "outside") or (state == "planned" and place.box.kind not in PLANNED_SHOWS):
        state = "up"
    stroke = look.stroke if state == "up" else STATES[state]
    if place.box.kind == "elsewhere":
        state = "planned"
    mark = place.box.mark
    return element(
        "rect",
        x=place.x,
        y=place.y,
        width=place.w,
        height=place.h,
        rx=look.radius,
        fill=look.fill if fill else "none",
        stroke=stroke,
        stroke_width=look.line + (1.4 if mark is not None else 0),
        stroke_dasharray=DASHES["down"] if mark is not None and mark.kind == "removed" else DASHES[state],
    )


def _rows(place: Placed) -> Iterator[str]:
    left, right = place.text_x, place.text_x + place.room
    y = place.text_y
    for row in place.rows:
        height = row_height(row)
        base = round(y + height / 2 + TONES[row.tone].size * 0.36, 2)
        yield from _row(row, left, right, base, place.box)
        y += height


def _row(row: Row, left: float, right: float, base: float, box: Box) -> Iterator[str]:
    tone, end = TONES[row.tone], right
    if row.right and row.right_tone == "state":
        color = STATES[box.condition.state]
        word = Tone(TONES["state"].size, "bold", 0, color)
        text = cut(clean(row.right), word.size, (right - left) * 0.6, "bold")
        width = text_width(text, word)
        yield _text(right, base, text, word, anchor="end")
        yield sign(box.condition.state, round(right - width - MARK_W / 2 - 1, 2), round(base - 4, 2), color)
        end = right - width - MARK_W - 8
    elif row.right:
        other = TONES[row.right_tone]
        text = cut(clean(row.right), other.size, (right - left) * 0.66, other.face)
        yield _text(right, base, text, other, anchor="end")
        end = right - text_width(text, other) - 8
    shown = cut(clean(row.left), tone.size, end - left, tone.face)
    if shown:
        yield _text(left, base, shown, tone, full=row.left if shown != clean(row.left) else "")


def _strip(place: Placed, strip: Strip, y: float, *, top: bool) -> Iterator[str]:
    """A translation: both addresses, and what it is called."""
    x, w = place.x, place.w
    yield f'<g role="img" aria-label="{escape(strip.title)}">{_title(strip.title)}'
    dashes = DASHES["down"] if strip.word.startswith("NOT") or (strip.mark and strip.mark.kind == "removed") else ""
    yield element(
        "rect",
        x=x,
        y=round(y, 2),
        width=w,
        height=STRIP_H,
        rx=place.ground.radius,
        fill="#fdf0d0",
        stroke="#9a6b15",
        stroke_width=1.1,
        stroke_dasharray=dashes,
    )
    base = round(y + STRIP_H / 2 + 4.1, 2)
    word = (
        strip.word
        if strip.mark is None
        else f"{ {'added': '+', 'removed': '−', 'changed': '~'}[strip.mark.kind] } {strip.word}"
    )
    yield _text(place.right - 9, base, word, STRIP_WORD, anchor="end")
    room = w - 26 - text_width(word, STRIP_WORD)
    yield _text(x + 9, base, cut(clean(strip.text), STRIP.size, room, "mono"), STRIP)
    yield "</g>"


def _halo(line: Line) -> str:
    """Room around a line, so that it is seen to pass over what it crosses."""
    return f'<polyline points="{_points(line)}" fill="none" stroke="#ffffff" stroke-width="5" stroke-opacity="0.7"/>'


def _line(line: Line) -> str:
    color = LINES[line.kind]
    dashes = DASHES[line.condition.state] if line.condition.state not in ("up", "planned") else ""
    look = f'stroke-dasharray="{dashes}"' if dashes else 'stroke-linecap="round"'
    width = 1.6 if line.kind == "plain" else 2
    drawn = f'<polyline points="{_points(line)}" fill="none" stroke="{color}" stroke-width="{width}" {look}/>'
    return f"<g>{_title(line.title)}{drawn}{_end(line, color)}</g>"


def _points(line: Line) -> str:
    """Up to an arrow's head, not to its tip."""
    *points, (x, y) = line.points
    if line.end == "arrow":
        x0, y0 = points[-1]
        x, y = (x - HEAD if x > x0 else x + HEAD if x < x0 else x), (y - HEAD if y > y0 else y + HEAD if y < y0 else y)
    return " ".join(f"{number(a)},{number(b)}" for a, b in (*points, (x, y)))


def _end(line: Line, color: str) -> str:
    (x0, y0), (x, y) = line.points[-2], line.points[-1]
    if line.end == "dot":
        return element("circle", cx=x, cy=y, r=4, fill=color)
    if line.end == "none":
        return ""
    if x != x0:
        return arrow(x, y, "right" if x > x0 else "left", color)
    return arrow(x, y, "down" if y > y0 else "up", color)


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _text(x: float, y: float, text: str, tone: Tone, *, anchor: str = "start", full: str = "") -> str:
    weight = ' font-weight="700"' if tone.face == "bold" else ""
    family = f' font-family="{escape(MONO)}"' if tone.face == "mono" else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(tone.size)}" fill="{tone.color}"{weight}{family}'
        f'{place} direction="ltr" unicode-bidi="isolate">{_title(full) if full else ""}{escape(text)}</text>'
    )
