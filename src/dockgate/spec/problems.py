"""Problems and notes: what is wrong in the user's file, and what would be right, each at its place.

Everything that reads the file reports here and goes on, so that one run shows all there is to correct. A problem never
holds the value of a secret; values that it quotes are shortened and cannot drive a terminal.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from dockgate.errors import DockgateError
from dockgate.model.source import Source

MOST_PROBLEMS = 200
"""More are counted, not kept: nobody corrects the file by the two hundred and first."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong (``what``) and what would be right (``fix``). ``confidential``: its line is not shown."""

    source: Source
    what: str
    fix: str = ""
    confidential: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.source}: {self.what}" + (f"; {self.fix}" if self.fix else "")


@dataclass(frozen=True, order=True)
class Note:
    """Something that a person should know about a file that can be used as it is."""

    source: Source
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"


class SpecError(DockgateError):
    """The user's file is wrong. ``problems``: in the file's order; ``omitted``: how many more there were."""

    def __init__(self, problems: Iterable[Problem], *, omitted: int = 0) -> None:
        self.problems = tuple(sorted(set(problems)))
        self.omitted = omitted
        count = len(self.problems) + omitted
        file = self.problems[0].source.file if self.problems else "the file"
        super().__init__(f"{file} has {count} problem{'' if count == 1 else 's'}")

    def __str__(self) -> str:
        more = [f"… and {self.omitted} more"] if self.omitted else []
        return "\n".join([*map(str, self.problems), *more])


class Findings:
    """Collects problems and notes while a file is read."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._notes: dict[Note, None] = {}
        self._outdated: dict[Problem, None] = {}
        self.omitted = 0

    @property
    def full(self) -> bool:
        """No further problem would be kept: whoever can stop looking, may."""
        return len(self._problems) >= MOST_PROBLEMS

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(sorted(self._notes))

    def problem(self, source: Source, what: str, fix: str = "", *, confidential: bool = False) -> None:
        found = Problem(source, what, fix, confidential)
        if found in self._problems:
            return
        if self.full:
            self.omitted += 1
        else:
            self._problems[found] = None

    def outdate(self, source: Source, what: str, fix: str) -> None:
        """A problem that came by time alone: nothing new may be made of it, what runs can still be looked at."""
        self._outdated[Problem(source, what, fix)] = None

    @property
    def outdated(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._outdated))

    def note(self, source: Source, text: str) -> None:
        self._notes[Note(source, text)] = None

    def raise_if_any(self) -> None:
        """Raise ``SpecError`` with all problems found so far, if there are any."""
        if self._problems:
            raise SpecError([*self._problems, *self._outdated], omitted=self.omitted)


def quote(value: str, limit: int = 40) -> str:
    """``value`` in quotes, shortened, with everything escaped that is not a printable character."""
    shown = value if len(value) <= limit else value[: limit - 1] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "'"


def closest(name: str, known: Iterable[str]) -> list[str]:
    """The known name that was probably meant, if there is one."""
    return difflib.get_close_matches(name[:64], sorted(set(known))[:500], n=1, cutoff=0.6)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as ``did you mean 'x'?``; else the known ones, if they are few."""
    names = sorted(set(known))
    if close := closest(name, names):
        return f"did you mean {quote(close[0])}?"
    if not names:
        return ""
    return f"known: {', '.join(names)}" if len(names) <= 15 else f"{len(names)} others are known"
