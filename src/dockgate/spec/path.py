"""Path: the way from the file's root to a value, as keys and list indices."""

from __future__ import annotations

from typing import TypeAlias

from .problems import quote

Path: TypeAlias = tuple[str | int, ...]


def dotted(path: Path) -> str:
    """``vips.web.listen[0].port``: a path as a person writes it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            safe = part if part and len(part) <= 64 and part.isprintable() and " " not in part else quote(part)
            text += f".{safe}" if text else safe
    return text or "the file"
