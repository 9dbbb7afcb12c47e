"""How wide a text is, and what may be drawn of it. Pure, so that a picture does not depend on the fonts of a machine.

The widths are those of DejaVu Sans, the widest of the fonts a picture asks for: what fits by this measure fits
everywhere. Invariant: what ``clean`` returns can stand in XML and cannot turn around the text beside it.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, TypeAlias

Face: TypeAlias = Literal["plain", "bold", "mono"]

_FIRST = 32
_PLAIN = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 "
    "100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 "
    "50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_BOLD = (
    "35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58 "
    "100 77 76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50 "
    "50 67 72 59 72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84"
)
_WIDTHS = {"plain": tuple(map(int, _PLAIN.split())), "bold": tuple(map(int, _BOLD.split()))}
_MONO = 61
_WIDE = 100
_OTHER = {"plain": 85, "bold": 90, "mono": 85}
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def width(text: str, size: float, face: Face = "plain") -> float:
    """An upper bound in pixels."""
    return sum(_width(character, face) for character in text) * size / 100


def cut(text: str, size: float, limit: float, face: Face = "plain") -> str:
    """``text`` if it fits into ``limit`` pixels, else its beginning and an ellipsis; "" when not even that fits."""
    if width(text, size, face) <= limit:
        return text
    room = limit - width("…", size, face)
    kept = 0.0
    for index, character in enumerate(text):
        kept += width(character, size, face)
        if kept > room:
            return f"{text[:index].rstrip()}…" if room >= 0 else ""
    return text


def wrap(text: str, size: float, limit: float, *, lines: int) -> tuple[str, ...]:
    """``text`` in at most that many lines, broken at blanks, the last one cut."""
    found: list[str] = []
    words = text.split()
    while words and len(found) < lines - 1:
        count = len(words)
        while count > 1 and width(" ".join(words[:count]), size) > limit:
            count -= 1
        found.append(cut(" ".join(words[:count]), size, limit))
        words = words[count:]
    return (*found, cut(" ".join(words), size, limit)) if words else tuple(found)


def clean(text: str) -> str:
    """Without what XML does not allow and without marks that change the direction of what follows."""
    return "".join("\ufffd" if _bad(character) else character for character in text)


def _bad(character: str) -> bool:
    code = ord(character)
    if character in _TURNS or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF, 0x2028, 0x2029):
        return True
    return code < 0x20 or 0x7F <= code <= 0x9F


def _width(character: str, face: Face) -> int:
    index = ord(character) - _FIRST
    if face == "mono":
        if 0 <= index < 95:
            return _MONO
    elif 0 <= index < 95:
        return _WIDTHS[face][index]
    if unicodedata.combining(character):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WFA" else _OTHER[face]
