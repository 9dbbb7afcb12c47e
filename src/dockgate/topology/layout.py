"""Scene -> Picture: a place for every box, and the course of every line. Pure arithmetic over kiwisolver's solution.

Vertical places are solved after the widths, because how a text wraps decides how high its box is. Invariants: a box
stands inside its parent; boxes of one level do not overlap; nothing lies outside the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kiwisolver import Solver, Variable

from .across import Across, Length, Span, across
from .boxes import Box, Column, Row, Scene
from .legend import legend_height
from .measure import wrap
from .style import DENSE_GAP, GUTTER, STRIP_H, TONES, Ground, ground, row_height

TOP = 86.0
LAN_DROP = 40.0
HOST_DROP = 38.0
BAND_GAP = 14.0
BUS = 13.0
"""Room under a band's heading for the line that stands for the network."""
COLUMNS = ("host", "elsewhere")


@dataclass(frozen=True)
class Placed:
    """A box with its place. ``rows``: as they fit into ``room``, its width for text.

    ``level``: 0 for columns and bands, one more for each step in."""

    box: Box
    x: float
    y: float
    w: float
    h: float
    rows: tuple[Row, ...]
    ground: Ground
    level: int
    room: float
    column: str = ""

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    @property
    def text_y(self) -> float:
        """Where its first row begins."""
        return self.y + len(self.box.doors) * STRIP_H + self.ground.top

    @property
    def text_x(self) -> float:
        return self.x + (GUTTER if self.box.kind in COLUMNS else self.ground.pad)


@dataclass(frozen=True)
class Layout:
    """``placed``: by box id, parents before children. ``buses``: height of the line of each band."""

    width: float
    height: float
    lan: float
    legend: float
    placed: Mapping[str, Placed]
    buses: Mapping[str, float]
    across: Across


def lay_out(scene: Scene) -> Layout:
    """Find a place for everything."""
    return _Down(scene, across(scene)).solve()


class _Down:
    """Heights and vertical places."""

    def __init__(self, scene: Scene, horizontal: Across) -> None:
        self._scene = scene
        self._across = horizontal
        self._solver = Solver()
        self._y: dict[str, tuple[Variable, Variable]] = {}
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._order: list[tuple[Box, int, str]] = []

    def solve(self) -> Layout:
        scene, solver = self._scene, self._solver
        lan, zone = Variable(), Variable()
        self._own(scene.outside, TOP, level=0)
        _, outside_end = self._y[scene.outside.id]
        solver.addConstraint(lan == outside_end + LAN_DROP)
        for column in scene.columns:
            self._column(column, lan, zone)
        self._least(zone, lan + HOST_DROP + 40)
        last = zone
        bands = []
        for band in scene.bands:
            last = self._band(band, last)
            bands.append(last)
        for column in scene.columns:
            _, end = self._y[column.box.id]
            solver.addConstraint(end == last + (BAND_GAP if scene.bands else 0))
        legend, page = Variable(), Variable()
        self._least(legend, last + (BAND_GAP if scene.bands else 0) + 26)
        foot = legend_height(self._across.width, compared=scene.compared)
        solver.addConstraint(page >= legend + foot)
        self._least(page, 0.0)
        solver.updateVariables()
        height = round(page.value(), 2)
        return Layout(
            width=self._across.width,
            height=height,
            lan=round(lan.value(), 2),
            legend=round(height - foot, 2),
            placed={box.id: self._placed(box, level, column) for box, level, column in self._order},
            buses={
                band.id: round(self._y[band.id][0].value() + self._heading(band) + BUS / 2, 2) for band in scene.bands
            },
            across=self._across,
        )

    def _least(self, variable: Variable, bound: Length | float) -> None:
        """At least ``bound``, and as small as everything else allows."""
        self._solver.addConstraint(variable >= bound)
        self._solver.addConstraint((variable == 0) | "weak")

    def _column(self, column: Column, lan: Variable, zone: Variable) -> None:
        """The host's frame, and its own networks stacked in it."""
        box = column.box
        y, end = self._frame(box, level=0, column=box.id)
        self._solver.addConstraint(y == lan + HOST_DROP)
        space = ground(box, dense=self._scene.dense)
        last: Length = y + self._heading(box)
        for index, child in enumerate(box.children):
            last = self._own(child, last + (8 if index == 0 else space.gap), level=1, column=box.id)
        self._solver.addConstraint(zone >= last + space.bottom)
        self._solver.addConstraint(end >= y)

    def _band(self, band: Box, above: Length) -> Variable:
        """Under what is above it; as high as the fullest of its cells."""
        y, end = self._frame(band, level=0)
        space = ground(band, dense=self._scene.dense)
        self._solver.addConstraint(y == above + BAND_GAP)
        start = y + self._heading(band) + BUS
        self._least(end, start + 10)
        for column in self._scene.columns:
            last: Length = start
            for box in column.cell(band.id):
                last = self._own(box, last + space.gap, level=1, column=column.box.id)
            self._solver.addConstraint(end >= last + space.bottom)
        return end

    def _own(self, box: Box, top: Length | float, *, level: int, column: str = "") -> Variable:
        """A box as high as what is in it."""
        y, end = self._frame(box, level=level, column=column)
        self._solver.addConstraint(y == top)
        space = ground(box, dense=self._scene.dense)
        last: Length = y + self._heading(box)
        gap = DENSE_GAP if self._scene.dense and box.kind == "group" else space.gap
        for index, child in enumerate(box.children):
            offset = gap if index else (5 if box.rows else 0)
            last = self._own(child, last + offset, level=level + 1, column=column)
        self._solver.addConstraint(end == last + space.bottom)
        return end

    def _frame(self, box: Box, *, level: int, column: str = "") -> tuple[Variable, Variable]:
        assert box.id not in self._y, f"two boxes are called {box.id}"
        self._y[box.id] = (Variable(), Variable())
        self._order.append((box, level, column))
        return self._y[box.id]

    def _heading(self, box: Box) -> float:
        """Height of everything above the children."""
        rows = self._fitted(box)
        space = ground(box, dense=self._scene.dense)
        strips = (len(box.doors) + len(box.exits)) * STRIP_H
        return strips + space.top + sum(row_height(row) for row in rows)

    def _fitted(self, box: Box) -> tuple[Row, ...]:
        if box.id not in self._rows:
            self._rows[box.id] = tuple(part for row in box.rows for part in _wrapped(row, self._room(box)))
        return self._rows[box.id]

    def _room(self, box: Box) -> float:
        """Width for text; that of a band stands in the first column only, where no line crosses it."""
        inner = GUTTER + self._across.right
        if box.kind == "band" and self._scene.columns:
            return self._across.spans[self._scene.columns[0].box.id].w - inner
        span, space = self._across.spans[box.id], ground(box, dense=self._scene.dense)
        return span.w - (inner if box.kind in COLUMNS else 2 * space.pad)

    def _placed(self, box: Box, level: int, column: str) -> Placed:
        span: Span = self._across.spans[box.id]
        y, end = (round(variable.value(), 2) for variable in self._y[box.id])
        space = ground(box, dense=self._scene.dense)
        return Placed(
            box, span.x, y, span.w, round(end - y, 2), self._fitted(box), space, level, self._room(box), column
        )


def _wrapped(row: Row, room: float) -> tuple[Row, ...]:
    """Sentences go on for up to three lines; what stands beside something is cut when it is drawn."""
    if row.right or row.tone not in ("text", "quiet", "mark"):
        return (row,)
    parts = wrap(row.left, TONES[row.tone].size, room, lines=3) or ("",)
    return tuple(Row(part, row.tone, port=row.port) for part in parts)
