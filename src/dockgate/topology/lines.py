"""The course of every line of a picture, once the boxes have their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .across import EXIT, walk
from .boxes import Column, LineKind, Scene, Tap
from .graph import Condition
from .layout import Layout, Placed
from .style import STRIP_H, row_height

Point: TypeAlias = tuple[float, float]
INSET = 14.0
LAN_HALF = 3.0
"""Half the thickness of the LAN's bar: lines begin and end at its edge."""
"""How far inside a host's left edge the line from the LAN comes down."""


@dataclass(frozen=True)
class Line:
    """``end``: an arrow where a connection is opened, a dot where two lines meet.

    ``group``: lines of one group run into each other; those of different groups cross."""

    kind: LineKind | Literal["plain"]
    points: tuple[Point, ...]
    end: Literal["arrow", "dot", "none"]
    condition: Condition
    title: str
    group: str


_ORDER = ("up", "planned", "unknown", "down")


def lines_of(scene: Scene, layout: Layout) -> tuple[Line, ...]:
    """All lines, those that lie below others first."""
    found = [*_buses(scene, layout)]
    for column in scene.columns:
        found += _from_lan(column, layout)
        found += _to_lan(column, layout)
    found += [line for tap in scene.taps for line in _tap(tap, layout)]
    return tuple(found)


def _from_lan(column: Column, layout: Layout) -> Iterator[Line]:
    """Down the left edge of a host, an arrow at every door; a host without doors is just joined to the LAN."""
    host = layout.placed[column.box.id]
    x, top = round(host.x + INSET, 2), layout.lan + LAN_HALF
    if column.box.kind == "host":
        title = f"{host.box.title} on the LAN"
        yield Line("plain", ((x, top), (x, host.y)), "none", host.box.condition, title, f"joined {column.box.id}")
    alone = column.box.kind == "elsewhere"
    branches = []
    for box in column.box.children:
        if alone or box.id.startswith("plain:"):
            place = layout.placed[box.id]
            branches.append(_Branch(place.x, round(place.y + 15, 2), box.condition, f"To {box.title}"))
    for box in walk(column.box):
        place = layout.placed[box.id]
        for index, door in enumerate(box.doors):
            if door.word != "DNAT, local":
                condition = Condition("down") if door.word.startswith("NOT") else box.condition
                y = round(place.y + (index + 0.5) * STRIP_H, 2)
                branches.append(_Branch(place.x, y, condition, f"From the LAN: {door.text}"))
    yield from _tree("in", (x, top), branches, f"in {column.box.id}")


@dataclass(frozen=True)
class _Branch:
    """Where one arm of a tree of lines ends."""

    x: float
    y: float
    condition: Condition
    title: str
    end: Literal["arrow", "none"] = "arrow"


def _tree(kind: LineKind, root: Point, branches: list[_Branch], group: str) -> Iterator[Line]:
    """One trunk down from ``root``, as well as the best of its branches; each branch turns off to its end."""
    if not branches:
        return
    x, top = root
    last = max(branches, key=lambda branch: branch.y)
    best = min((branch.condition for branch in branches), key=lambda condition: _ORDER.index(condition.state))
    yield Line(kind, ((x, top), (x, last.y)), "none", best, "; ".join(branch.title for branch in branches), group)
    for branch in branches:
        yield Line(kind, ((x, branch.y), (branch.x, branch.y)), branch.end, branch.condition, branch.title, group)


def _to_lan(column: Column, layout: Layout) -> Iterator[Line]:
    for box in walk(column.box):
        if not box.exits:
            continue
        place = layout.placed[box.id]
        lane = layout.across.lanes[column.box.id, EXIT]
        for index, strip in enumerate(box.exits):
            y = round(place.bottom - (len(box.exits) - index - 0.5) * STRIP_H, 2)
            points = ((place.right, y), (lane, y), (lane, layout.lan + LAN_HALF))
            yield Line("out", points, "arrow", box.condition, f"Back to the LAN: {strip.text}", f"out {column.box.id}")


def _tap(tap: Tap, layout: Layout) -> Iterator[Line]:
    """From the load balancer's row of that network to the network itself."""
    balancer = layout.placed.get(tap.balancer)
    target = layout.placed.get(tap.network)
    lane = layout.across.lanes.get((tap.column, tap.network))
    if balancer is None or target is None or lane is None or _contains(target, balancer):
        return
    y = _row_y(balancer, tap.network)
    title = f"{balancer.box.title.partition(':')[0]} is on {target.box.title}"
    group = f"tap {tap.column} {tap.network}"
    start: tuple[Point, ...] = ((balancer.right, y), (lane, y))
    if tap.band:
        points: tuple[Point, ...] = (*start, (lane, layout.buses[tap.network]))
        yield Line("network", points, "dot", tap.condition, title, group)
    else:
        into = round(target.text_y + 10, 2)
        points = (*start, (lane, into), (target.right, into))
        yield Line("network", points, "arrow", tap.condition, title, group)


def _contains(outer: Placed, inner: Placed) -> bool:
    return outer.column == inner.column and outer.y <= inner.y and inner.bottom <= outer.bottom


def _row_y(place: Placed, port: str) -> float:
    y = place.text_y
    for row in place.rows:
        if row.port == port:
            return round(y + row_height(row) / 2, 2)
        y += row_height(row)
    return round(place.text_y + 10, 2)


def _buses(scene: Scene, layout: Layout) -> Iterator[Line]:
    """The network itself as a line, and from it to everything that is on it."""
    for band in scene.bands:
        y = layout.buses[band.id]
        ends = [layout.across.lanes[tap.column, band.id] for tap in scene.taps if tap.network == band.id]
        hangs: list[Line] = []
        group = f"bus {band.id}"
        for column in scene.columns:
            boxes = column.cell(band.id)
            x = round(layout.placed[column.box.id].x + INSET, 2)
            ends += [x] if boxes else []
            branches = []
            for box in boxes:
                place = layout.placed[box.id]
                end: Literal["arrow", "none"] = "arrow" if box.kind == "group" else "none"
                title = f"{band.title} to {box.title}"
                branches.append(_Branch(place.x, round(place.y + 14, 2), box.condition, title, end))
            hangs += _tree("network", (x, y), branches, group)
        if len(ends) > 1:
            yield Line("network", ((min(ends), y), (max(ends), y)), "none", band.condition, band.title, group)
        yield from hangs
