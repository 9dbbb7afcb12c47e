"""Widths and horizontal places, found by kiwisolver (see docs/design/topology.md for why this library).

Must not: give the solver's variables names: it is C++ that dies of a text it cannot encode.
Invariant: every variable has one smallest value that meets the constraints, so the solution does not depend on the
order in which the solver walks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kiwisolver import Expression, Solver, Term, Variable

from .boxes import Box, Column, Scene
from .style import (
    COLUMN_GAP,
    COLUMN_MAX,
    COLUMN_MIN,
    GUTTER,
    LANE,
    LANE_FIRST,
    MARGIN,
    OVERHANG,
    PAGE_W,
    ground,
    strips_width,
)

Length: TypeAlias = Variable | Term | Expression
"""A place or a size that the solver finds."""

EXIT = "lan"
"""Name of the lane that leads up to the LAN."""


@dataclass(frozen=True)
class Span:
    x: float
    w: float

    @property
    def right(self) -> float:
        return self.x + self.w


@dataclass(frozen=True)
class Across:
    """``spans``: of every box by id. ``lanes``: places of the lines that leave a column, by column and lane.

    ``right``: room that every column keeps free for them."""

    width: float
    right: float
    spans: Mapping[str, Span]
    lanes: Mapping[tuple[str, str], float]


def across(scene: Scene) -> Across:
    """Columns are equally wide, as wide as the widest strip needs, and fill the page if they are few."""
    lanes = {column.box.id: lanes_of(scene, column) for column in scene.columns}
    right = LANE_FIRST + LANE * max(1, max((len(found) for found in lanes.values()), default=1))
    solver, frames = Solver(), _Frames()
    column_w = Variable()
    for least in (_preferred(len(scene.columns)), *(_need(column, right) for column in scene.columns)):
        solver.addConstraint(column_w >= least)
    solver.addConstraint((column_w == 0) | "weak")
    for index, column in enumerate(scene.columns):
        x, w = frames.of(column.box)
        solver.addConstraint(w == column_w)
        solver.addConstraint(x == MARGIN + index * (column_w + COLUMN_GAP))
        inner_x, inner_w = x + GUTTER, w - GUTTER - right
        for box in _tops(column):
            _inside(solver, frames, box, inner_x, inner_w, dense=scene.dense)
    page = Variable()
    count = max(1, len(scene.columns))
    solver.addConstraint(page >= 2 * MARGIN + count * column_w + (count - 1) * COLUMN_GAP)
    solver.addConstraint(page >= (PAGE_W if count > 2 else 640))
    solver.addConstraint((page == 0) | "weak")
    for box, over in ((scene.outside, 0.0), *((band, OVERHANG) for band in scene.bands)):
        x, w = frames.of(box)
        solver.addConstraint(x == MARGIN - over)
        solver.addConstraint(w == page - 2 * MARGIN + 2 * over)
    solver.updateVariables()
    spans = frames.solved()
    return Across(round(page.value(), 2), right, spans, dict(_lane_places(lanes, spans)))


def lanes_of(scene: Scene, column: Column) -> tuple[str, ...]:
    """Lines that leave a column at its right, outermost last: the LAN nearest, networks from the lowest up."""
    bands = [band.id for band in scene.bands]
    targets = {tap.network for tap in scene.taps if tap.column == column.box.id}
    up = [EXIT] if any(box.exits for box in walk(column.box)) else []
    down = sorted(
        targets, key=lambda name: (name in bands, bands.index(name) if name in bands else 0, name), reverse=True
    )
    return (*up, *down)


def walk(box: Box) -> Iterator[Box]:
    """A box and everything in it."""
    yield box
    for child in box.children:
        yield from walk(child)


def _tops(column: Column) -> Iterator[Box]:
    yield from column.box.children
    for cell in column.cells:
        yield from cell.boxes


class _Frames:
    """The variables of every box."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Variable, Variable]] = {}

    def of(self, box: Box) -> tuple[Variable, Variable]:
        return self._found.setdefault(box.id, (Variable(), Variable()))

    def solved(self) -> dict[str, Span]:
        return {key: Span(round(x.value(), 2), round(w.value(), 2)) for key, (x, w) in self._found.items()}


def _inside(solver: Solver, frames: _Frames, box: Box, x: Length, w: Length, *, dense: bool) -> None:
    own_x, own_w = frames.of(box)
    solver.addConstraint(own_x == x)
    solver.addConstraint(own_w == w)
    pad = ground(box, dense=dense).pad
    for child in box.children:
        _inside(solver, frames, child, own_x + pad, own_w - 2 * pad, dense=dense)


def _preferred(columns: int) -> float:
    """What lets few columns fill the page."""
    if columns == 0:
        return COLUMN_MIN
    return max(COLUMN_MIN, min(COLUMN_MAX, (PAGE_W - 2 * MARGIN - (columns - 1) * COLUMN_GAP) / columns))


def _need(column: Column, right: float) -> float:
    """The least width in which no strip is cut. Boxes stand at most three deep in a column."""
    return max((_strip_need(box, 0) for box in _tops(column)), default=0) + GUTTER + right


def _strip_need(box: Box, outer: float) -> float:
    pad = ground(box, dense=False).pad
    inner = max((_strip_need(child, outer + 2 * pad) for child in box.children), default=0.0)
    return max(strips_width(box) + outer if box.doors or box.exits else 0.0, inner)


def _lane_places(
    lanes: Mapping[str, tuple[str, ...]], spans: Mapping[str, Span]
) -> Iterator[tuple[tuple[str, str], float]]:
    widest = max((len(found) for found in lanes.values()), default=1)
    for column, found in lanes.items():
        start = spans[column].right - LANE_FIRST - LANE * max(1, widest)
        for index, lane in enumerate(found):
            yield (column, lane), round(start + LANE * (index + 1), 2)
