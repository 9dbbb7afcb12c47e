"""Two graphs compared: what came, what went, what changed, and one graph that has all of it.

Invariant: comparing a graph with itself finds nothing; every node of either graph is in the merged one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, TypeVar

from .graph import (
    BalancerNode,
    Condition,
    ContainerNode,
    Graph,
    HostNode,
    Link,
    MemberNode,
    NatNode,
    NetworkNode,
    PoolNode,
    PortNode,
)

Node: TypeAlias = (
    HostNode | NetworkNode | BalancerNode | PoolNode | MemberNode | ContainerNode | PortNode | NatNode | Link
)
N = TypeVar("N", HostNode, NetworkNode, BalancerNode, PoolNode, MemberNode, ContainerNode, PortNode, NatNode, Link)


@dataclass(frozen=True)
class Mark:
    """What became of a node. ``text``: for a changed one, which field from what to what."""

    kind: Literal["added", "removed", "changed"]
    text: str = ""


@dataclass(frozen=True)
class Difference:
    """``graph``: the new one, with what is gone still in it. ``marks``: by node id, sorted."""

    graph: Graph
    marks: tuple[tuple[str, Mark], ...]

    def mark(self, node: str) -> Mark | None:
        return dict(self.marks).get(node)

    def count(self, kind: Literal["added", "removed", "changed"]) -> int:
        return sum(mark.kind == kind for _, mark in self.marks)

    def summary(self) -> str:
        if not self.marks:
            return "nothing changed"
        return f"{self.count('added')} added · {self.count('removed')} removed · {self.count('changed')} changed"


def compare(old: Graph, new: Graph) -> Difference:
    """What is different in ``new``."""
    before, after = dict(_nodes(old)), dict(_nodes(new))
    marks: dict[str, Mark] = {}
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            marks[key] = Mark("added")
        elif key not in after:
            marks[key] = Mark("removed")
        elif text := _changes(before[key], after[key]):
            marks[key] = Mark("changed", text)
    return Difference(_merge(old, new), tuple(marks.items()))


def _nodes(graph: Graph) -> Iterator[tuple[str, Node]]:
    for nodes in (
        graph.hosts,
        graph.networks,
        graph.balancers,
        graph.pools,
        graph.members,
        graph.containers,
        graph.ports,
        graph.nat,
        graph.links,
    ):
        for node in nodes:
            yield node.id, node


def _changes(old: Node, new: Node) -> str:
    """Field by field; a reason that reads differently is not a change, what it is the reason for is.
    A way is as well as its member, which is marked itself."""
    found = []
    for field in fields(old):
        if field.name in ("id", "seen") or (isinstance(old, Link) and field.name == "condition"):
            continue
        before, after = _shown(getattr(old, field.name)), _shown(getattr(new, field.name, None))
        if before != after:
            found.append(f"{field.name.replace('_', ' ')} {before or 'none'} → {after or 'none'}")
    return "; ".join(found)


def _shown(value: object) -> str:
    if isinstance(value, Condition):
        return value.word or value.state
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return " ".join(text for name in value.__dataclass_fields__ if (text := _shown(getattr(value, name))))
    return str(value)


def _merge(old: Graph, new: Graph) -> Graph:
    return replace(
        new,
        hosts=_union(old.hosts, new.hosts),
        networks=_union(old.networks, new.networks),
        balancers=_union(old.balancers, new.balancers),
        pools=_union(old.pools, new.pools),
        members=_union(old.members, new.members),
        containers=_union(old.containers, new.containers),
        ports=_union(old.ports, new.ports),
        nat=_union(old.nat, new.nat),
        links=_union(old.links, new.links),
    )


def _union(old: tuple[N, ...], new: tuple[N, ...]) -> tuple[N, ...]:
    merged = {node.id: node for node in old} | {node.id: node for node in new}
    return tuple(merged[key] for key in sorted(merged))
