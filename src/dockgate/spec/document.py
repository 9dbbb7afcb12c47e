"""Document: text → a tree of nodes, each with its place. YAML's syntax and nothing of dockgate's own words.

Only the harmless part of YAML is accepted: mappings with text keys, sequences, plain values, and aliases as long as
what they stand for stays small. Tags, merge keys, several documents and recursion are refused. Time and memory are
bounded by ``MAX_BYTES``, ``MAX_DEPTH`` and ``MAX_NODES``, whatever the input. Built on YAML events, not on a loader's
objects: so depth is known before anything nests, and every key and value has its line and column.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dockgate.model.source import Source

from .problems import Findings, Problem, SpecError, quote

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
MAX_NODES = 50_000

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?=\.?[0-9])[0-9]{0,18}(\.[0-9]{0,18})?([eE][-+]?[0-9]{1,3})?")
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None}
_CONSTANTS |= dict.fromkeys(("null", "Null", "NULL"))
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True)
_CONSTANTS |= dict.fromkeys(("false", "False", "FALSE"), False)

Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class Scalar:
    value: Value
    source: Source


@dataclass(frozen=True, eq=False)
class Sequence:
    items: tuple[Node, ...]
    source: Source


@dataclass(frozen=True, eq=False)
class Entry:
    """A key and its value. ``source``: where the key is."""

    key: str
    source: Source
    value: Node


@dataclass(frozen=True, eq=False)
class Mapping:
    entries: tuple[Entry, ...]
    source: Source


Node: TypeAlias = Scalar | Sequence | Mapping


def parse(content: str | bytes, *, file: str, findings: Findings) -> Node:
    """The document's root. Raises ``SpecError`` when the text cannot be read on; lesser problems go to ``findings``."""
    text = _decode(content, file)
    _refuse_odd_characters(text, file)
    try:
        return _Composer(text, file, findings).document()
    except MarkedYAMLError as error:
        raise SpecError([_syntax_problem(error, file)]) from error
    except (YAMLError, ValueError, IndexError, AttributeError, TypeError, AssertionError) as error:
        # the YAML library itself trips over some malformed input
        raise SpecError([Problem(Source(file, 1), "this is not YAML", "write a mapping of keys to values")]) from error


def _decode(content: str | bytes, file: str) -> str:
    start = Source(file, 1)
    size = len(content)
    if size > MAX_BYTES:
        what = f"the file has {size:,} bytes, more than the {MAX_BYTES:,} that are read"
        raise SpecError([Problem(start, what, "is this the right file?")])
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SpecError([Problem(start, "the file is UTF-16", "save it as UTF-8")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        what = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise SpecError([Problem(_place(before, file), what, "save the file as UTF-8")]) from error


def _refuse_odd_characters(text: str, file: str) -> None:
    odd = _FORBIDDEN.search(text)
    if odd:
        name = "a NUL byte" if odd[0] == "\0" else f"the control character U+{ord(odd[0]):04X}"
        place = _place(text[: odd.start()], file)
        raise SpecError([Problem(place, f"{name} cannot stand in the file", "remove it; is this a text file?")])


def _place(before: str, file: str) -> Source:
    lines = re.split("\r\n|\r|\n", before)
    return Source(file, len(lines), len(lines[-1]) + 1)


def _syntax_problem(error: MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Source(file, mark.line + 1, mark.column + 1) if mark else Source(file, 1)
    said = str(error.problem or error.context or "")
    if "'\\t'" in said or "tab" in said.split():
        return Problem(place, "a tab stands where YAML wants spaces", "indent with spaces")
    for part, what, fix in _SYNTAX:
        if part in said:
            return Problem(place, what, fix)
    return Problem(
        place, f"this is not YAML ({quote(said, 120)[1:-1]})", "check the indentation and quotes around here"
    )


_SYNTAX = (
    ("mapping values are not allowed", "a ':' stands where no key can be", "indent the line, or quote the value"),
    ("could not find expected ':'", "this line is neither a 'key: value' nor a '- item'", "add a ':' after the key"),
    ("expected <block end>", "this line does not fit in with the lines above", "indent it as its neighbours are"),
    ("found unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("<stream end>", "the file ends inside a '[' or '{'", "close it"),
    ("found undefined alias", "the alias stands for nothing", "define its anchor before it is used"),
    ("cannot start any token", "a value cannot begin with this character", "put the value in quotes"),
    ("expected ',' or", "a ',' or a closing bracket is missing here", "add it"),
)


class _Composer:
    """Events → nodes. ``sizes`` counts what a node stands for with all aliases written out."""

    def __init__(self, text: str, file: str, findings: Findings) -> None:
        reader = YAML(typ="safe", pure=True)
        self._events: Iterator[Any] = iter(reader.parse(text))
        self._file = file
        self._findings = findings
        self._anchors: dict[str, Node | None] = {}
        self._sizes: dict[Node, int] = {}
        self._total = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml_events.DocumentStartEvent):
                if root is not None:
                    self._fatal(
                        event, "a second document begins here", "keep one document in the file: remove the '---'"
                    )
                root = self._node(next(self._events), depth=0)
        if root is None or (isinstance(root, Scalar) and root.value is None):
            start = Source(self._file, 1)
            raise SpecError([Problem(start, "the file is empty", "begin with 'vips:' (see docs/reference.md)")])
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml_events.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._fatal(event, f"this is nested more than {MAX_DEPTH} levels deep", "nothing in the file is that deep")
        self._refuse_tag(event)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._composed(event, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _composed(self, event: Any, depth: int) -> Node:
        source = self._source(event)
        if isinstance(event, yaml_events.ScalarEvent):
            plain = not event.style
            return self._counted(event, Scalar(_resolve(event.value) if plain else event.value, source), ())
        if isinstance(event, yaml_events.SequenceStartEvent):
            items = tuple(self._items(depth))
            return self._counted(event, Sequence(items, source), items)
        entries = tuple(self._entries(depth))
        return self._counted(event, Mapping(entries, source), tuple(entry.value for entry in entries))

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml_events.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[Entry]:
        seen: dict[str, Source] = {}
        while not isinstance(event := next(self._events), yaml_events.MappingEndEvent):
            key = self._key(event)
            value = self._node(next(self._events), depth + 1)
            if key is None:
                continue
            if first := seen.get(key.key):
                what = f"the key {quote(key.key)} stands here a second time; the first is in line {first.line}"
                self._findings.problem(key.source, what, "keep one of the two")
                continue
            seen[key.key] = key.source
            yield Entry(key.key, key.source, value)

    def _key(self, event: Any) -> Entry | None:
        """The key without its value; None when it was refused."""
        source = self._source(event)
        if not isinstance(event, yaml_events.ScalarEvent):
            self._fatal(event, "a key must be plain text", "write 'key: value'")
        self._refuse_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = Scalar(event.value, source)
            self._sizes[self._anchors[event.anchor]] = 1  # type: ignore[index]
        if event.value == "<<" and not event.style:
            fix = "write the keys out, or give a whole value an anchor (&name) and use it as *name"
            self._findings.problem(source, "merge keys (<<) are not read", fix)
            return None
        return Entry(event.value, source, Scalar(None, source))

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            self._fatal(event, f"the alias *{event.anchor} stands for nothing", "define its anchor before it is used")
        node = self._anchors[event.anchor]
        if node is None:
            self._fatal(event, f"the alias *{event.anchor} stands inside what it stands for", "write the value out")
            raise AssertionError  # not reached; for the type checker
        self._count(event, self._sizes[node])
        return node

    def _counted(self, event: Any, node: Node, children: tuple[Node, ...]) -> Node:
        self._sizes[node] = 1 + sum(self._sizes[child] for child in children)
        self._count(event, 1)
        return node

    def _count(self, event: Any, more: int) -> None:
        self._total += more
        if self._total > MAX_NODES:
            what = f"the file stands for more than {MAX_NODES:,} values, aliases written out"
            self._fatal(event, what, "use fewer aliases, or several files")

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag
        if tag is not None:
            self._findings.problem(
                self._source(event), f"the tag {quote(str(tag))} is not read", "write the plain value"
            )

    def _source(self, event: Any) -> Source:
        return Source(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _fatal(self, event: Any, what: str, fix: str) -> None:
        self._findings.problem(self._source(event), what, fix)
        self._findings.raise_if_any()


def _resolve(text: str) -> Value:
    """What a plain scalar stands for, by YAML 1.2's core schema. Numbers of absurd length stay text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
