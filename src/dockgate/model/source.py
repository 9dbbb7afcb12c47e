"""Where in the user's file a value came from. Carried by every desired value up to the screen.

Two values that differ only in where they were written are equal: a source never takes part in comparison.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Source:
    """A place in the user's file. ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Source("(built in)", 1)
