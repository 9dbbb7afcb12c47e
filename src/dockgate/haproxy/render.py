"""Render: a configuration tree as the text of a haproxy.cfg.

Invariant: equal trees give equal bytes; every value but an expert's own line goes through ``words.word``; the structure
hash covers all that a running process needs a reload for and nothing that the runtime socket can set (weights, slots'
addresses and state).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from dockgate.haproxy.tree import Block, Config, Line, blocks
from dockgate.haproxy.words import Encoded, word
from dockgate.model.actions import HaproxyConfig
from dockgate.model.source import Source


def render(config: Config) -> HaproxyConfig:
    """The text, its structure hash, and for each of its lines where it comes from."""
    hashed = structure(config)
    text: list[str] = [f"# {_comment(comment)}" for comment in config.comments]
    origins: list[Source | None] = [None] * len(text)
    for head, body in blocks(config, structure=hashed):
        text += ["", _line(head), *(f"    {_line(each)}" for each in body)]
        origins += [None, head.origin, *(each.origin for each in body)]
    return HaproxyConfig(text="\n".join(text) + "\n", structure=hashed, origins=tuple(origins), beside=config.beside)


def alike(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but what the runtime socket can set, and in comments."""
    return one == other or [*_settled(one)] == [*_settled(other)]


def _settled(text: str) -> Iterator[list[str]]:
    for words in (line.split() for line in text.split("\n")):
        if words[:1] == ["server"] and "weight" in words[3:-1]:
            weight = words.index("weight", 3)
            words = [*words[:2], *(each for each in words[3:weight] if each != "disabled"), *words[weight + 2 :]]
        if words and not words[0].startswith("#"):
            yield words


def structure(config: Config) -> str:
    """12 hex digits over everything that needs a reload when it changes."""
    return hashlib.sha256("\n".join(_shape(block) for block in blocks(config)).encode()).hexdigest()[:12]


def _shape(block: Block) -> str:
    head, body = block
    return "\n".join(_line(each) for each in (head, *body))


def _line(line: Line) -> str:
    return line.raw or " ".join(each if isinstance(each, Encoded) else word(each) for each in line.words)


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
