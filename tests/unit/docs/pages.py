"""The documentation as data: its pages, their code blocks, links and command lines. Knows nothing of dockgate."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]))

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SHORT_OF = ("…", "...")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" when it says none) and its text."""

    page: Path
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(page, *found.groups()) for found in _FENCE.finditer(page.read_text())]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Link targets that point into the repository."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on the web."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(prose(page))}


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The words after ``program`` in each command line: lines after a ``$`` in a block, and code within sentences.

    Comments end a line; a line that breaks off with "…" is given without it.
    """
    lines = [line.partition("$ ")[2] for block in blocks(page) for line in block.text.splitlines() if "$ " in line[:12]]
    for line in [*lines, *_INLINE.findall(prose(page))]:
        for part in line.split(" && "):
            words = shlex.split(part, comments=True)
            if words and Path(words[0]).name == program:
                yield [word for word in words[1:] if word not in _SHORT_OF]
