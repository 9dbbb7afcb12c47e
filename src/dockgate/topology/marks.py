"""Small signs: arrow heads, and one shape for each state, so that none is told apart by colour alone."""

from __future__ import annotations

from .xml import element, number

_ARROWS = {
    "down": ((0, 0), (-5, -9), (5, -9)),
    "up": ((0, 0), (-5, 9), (5, 9)),
    "left": ((0, 0), (9, -5), (9, 5)),
    "right": ((0, 0), (-9, -5), (-9, 5)),
}


def arrow(x: float, y: float, direction: str, color: str) -> str:
    """A head whose tip is at (x, y)."""
    points = " ".join(f"{number(x + dx)},{number(y + dy)}" for dx, dy in _ARROWS[direction])
    return f'<polygon points="{points}" fill="{color}"/>'


def sign(state: str, x: float, y: float, color: str) -> str:
    """Up: a full circle. Down: a cross. Unknown: a diamond with nothing in it. Planned: an empty circle."""
    if state == "up":
        return element("circle", cx=x, cy=y, r=4.5, fill=color)
    if state == "planned":
        return element("circle", cx=x, cy=y, r=4, fill="none", stroke=color, stroke_width=1.8)
    a, b, c, d = (number(value) for value in (x - 4, x + 4, y - 4, y + 4))
    if state == "down":
        return f'<path d="M{a} {c}L{b} {d}M{b} {c}L{a} {d}" stroke="{color}" stroke-width="2.4" fill="none"/>'
    mid_x, mid_y = number(x), number(y)
    return (
        f'<path d="M{mid_x} {c}L{b} {mid_y}L{mid_x} {d}L{a} {mid_y}Z" stroke="{color}" stroke-width="1.8" fill="none"/>'
    )
