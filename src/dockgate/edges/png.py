"""SVG to PNG, by resvg: no browser, no network; the machine's own fonts.

Invariant: a picture without its texts is an error, not a picture.
"""

from __future__ import annotations

import resvg_py

from dockgate.errors import DockgateError

_PROBE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">{}</svg>'
_TEXT = '<text x="2" y="15" font-family="{}" font-size="14">Wm</text>'


def png_of(svg: str, *, fonts: str, scale: float = 2.0) -> bytes:
    """``scale``: pixels for each unit of the picture. ``fonts``: the families its texts ask for.

    Raises DockgateError when the picture cannot be drawn or the machine has no font for its texts."""
    family = fonts.replace('"', "'")
    if _render(_PROBE.format(_TEXT.format(family)), 1) == _render(_PROBE.format(""), 1):
        raise DockgateError(
            "a PNG cannot be drawn: this machine has no font",
            hint="install one (Debian: apt-get install fonts-dejavu-core), or write an .svg",
        )
    return _render(svg, scale)


def _render(svg: str, scale: float) -> bytes:
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=scale))
    except ValueError as error:
        raise DockgateError(f"a PNG cannot be drawn: {error}", hint="write an .svg instead") from error
