"""Tree: a document's nodes as plain data for the schema, and the way back from a path in that data to its place.

Parts that were found wrong are left out (``pruned``), so that the rest can still be checked; ``holes`` remembers where.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from dockgate.model.source import Source

from .document import Mapping, Node, Scalar, Sequence
from .keys import keys_at
from .path import Path, dotted
from .problems import Findings

PlainData: TypeAlias = "str | int | float | bool | list[PlainData] | dict[str, PlainData] | None"


@dataclass(frozen=True)
class Place:
    """``key``: where the key is (the value itself in a list); ``parent``: the path of what holds it."""

    key: Source
    node: Node


@dataclass
class Tree:
    """``data``: plain values; ``places``: every path in it; ``holes``: paths at which something was left out."""

    data: PlainData
    places: dict[Path, Place] = field(default_factory=dict)
    holes: set[Path] = field(default_factory=set)
    _above_holes: set[Path] = field(default_factory=set)

    def known(self, path: Path) -> Path:
        """The longest beginning of ``path`` that is in the file."""
        while path and path not in self.places:
            path = path[:-1]
        return path

    def value(self, *path: str | int) -> Source:
        """Where the value at ``path`` is, or what would hold it."""
        known = self.known(path)
        return self.places[known].node.source if known == path else self.places[known].key

    def key(self, *path: str | int) -> Source:
        """Where the key at ``path`` is, or what would hold it."""
        return self.places[self.known(path)].key

    def whole(self, *path: str | int) -> bool:
        """Nothing at or below ``path`` was left out."""
        return path not in self._above_holes

    def punch(self, hole: Path) -> None:
        """Something was left out at ``hole``."""
        self.holes.add(hole)
        self._above_holes.update(hole[:length] for length in range(len(hole) + 1))


def plant(root: Node, *, pruned: Collection[Node], findings: Findings) -> Tree:
    """Plain data for all nodes but the pruned ones. A key without a value is a problem and is left out."""
    tree = Tree(None)
    tree.places[()] = Place(root.source, root)
    tree.data = _grow(tree, root, (), pruned, findings)
    return tree


def _grow(tree: Tree, node: Node, path: Path, pruned: Collection[Node], findings: Findings) -> PlainData:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return _grow_list(tree, node, path, pruned, findings)
    return _grow_dict(tree, node, path, pruned, findings)


def _grow_list(tree: Tree, node: Sequence, path: Path, pruned: Collection[Node], findings: Findings) -> list[PlainData]:
    items: list[PlainData] = []
    for item in node.items:
        if item in pruned or _without_value(item, (*path, len(items)), item.source, findings):
            tree.punch(path)
            continue
        below = (*path, len(items))
        tree.places[below] = Place(item.source, item)
        items.append(_grow(tree, item, below, pruned, findings))
    return items


def _grow_dict(
    tree: Tree, node: Mapping, path: Path, pruned: Collection[Node], findings: Findings
) -> dict[str, PlainData]:
    values: dict[str, PlainData] = {}
    for entry in node.entries:
        below = (*path, entry.key)
        if entry.value in pruned or _without_value(entry.value, below, entry.source, findings):
            tree.punch(below)
            continue
        tree.places[below] = Place(entry.source, entry.value)
        values[entry.key] = {} if _is_null(entry.value) else _grow(tree, entry.value, below, pruned, findings)
    return values


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _without_value(node: Node, path: Path, source: Source, findings: Findings) -> bool:
    """Nothing stands there although something must. ``networks: {name: }`` is fine: a network has only defaults.

    An unknown key stays in: that it is unknown is what its user must hear, not that it is empty.
    """
    if not _is_null(node) or (len(path) == 2 and path[0] == "networks"):
        return False
    known = keys_at(path[:-1])
    if known and path[-1] not in known:
        return False
    findings.problem(source, f"{dotted(path)} has no value", "give it one, or remove it")
    return True
