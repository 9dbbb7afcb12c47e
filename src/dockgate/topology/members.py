"""Members as boxes: one group for each set of pools, a small box or a line for each container in it.

Invariant: every member's name is in its group's text, also where only some of many are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

from .boxes import Box, Row
from .diff import Mark
from .graph import Condition, Graph, MemberNode
from .strips import doors
from .words import marked

MOST = 10
"""Members drawn of one group in a dense picture; those that are not up come first."""

_ORDER = {"down": 0, "unknown": 1, "planned": 2, "up": 3}


def groups(
    graph: Graph, members: tuple[MemberNode, ...], *, place: str, dense: bool, marks: Mapping[str, Mark]
) -> list[Box]:
    """``place``: where they stand, to tell groups of the same pools apart."""
    servers: dict[str, list[MemberNode]] = {}
    for member in members:
        servers.setdefault(member.container or f"{member.name} {member.address}:{member.port}", []).append(member)
    found: dict[tuple[str, ...], list[list[MemberNode]]] = {}
    for nodes in servers.values():
        found.setdefault(tuple(sorted({node.pool for node in nodes})), []).append(nodes)
    return [_group(graph, pools, found[pools], place=place, dense=dense, marks=marks) for pools in sorted(found)]


def _group(
    graph: Graph,
    pools: tuple[str, ...],
    servers: list[list[MemberNode]],
    *,
    place: str,
    dense: bool,
    marks: Mapping[str, Mark],
) -> Box:
    servers = sorted(servers, key=lambda nodes: (_ORDER[_worst(nodes).state] if dense else 0, nodes[0].name))
    drawn = servers[:MOST] if dense else servers
    rest = len(servers) - len(drawn)
    rows = [Row(f"pool{'s' if len(pools) > 1 else ''} {', '.join(pools)}", "quiet", _count(servers) if dense else "")]
    children = [_server(graph, nodes, dense=dense, marks=marks) for nodes in drawn]
    if rest:
        states = {_worst(nodes).word for nodes in servers[MOST:]}
        rows_rest = (Row(f"and {rest} more, {' or '.join(sorted(states))}", "quiet"),)
        children.append(Box(f"rest:{place}/{','.join(pools)}", "note", rows_rest, rows_rest[0].left))
    names = ", ".join(f"{nodes[0].name} {_worst(nodes).word}" for nodes in servers)
    return Box(
        f"group:{place}/{','.join(pools)}",
        "group",
        tuple(rows),
        f"Members of {', '.join(pools)}",
        names,
        _best(servers),
        children=tuple(children),
    )


def _server(graph: Graph, nodes: list[MemberNode], *, dense: bool, marks: Mapping[str, Mark]) -> Box:
    node, condition = nodes[0], _worst(nodes)
    mark = next((marks[item.id] for item in nodes if item.id in marks), None)
    ways_in = doors(graph, node.id, marks)
    rows = [Row(node.name, "name", condition.word, "state")]
    address = f"{node.address}:{node.port}" if node.address else ""
    if not dense:
        if address and node.name != node.address:
            rows.append(Row(address, "mono"))
        if condition.state != "planned" and condition.why:
            rows.append(Row(condition.why, "quiet"))
    text = ". ".join(part for part in (address, condition.why) if part)
    where = f" on {node.host}" if node.host else ""
    return Box(
        node.id,
        "member",
        marked(tuple(rows), mark),
        f"Member {node.name}{where}: {condition.word}",
        text,
        condition,
        doors=ways_in,
        mark=mark,
    )


def _worst(nodes: list[MemberNode]) -> Condition:
    return min((node.condition for node in nodes), key=lambda condition: _ORDER[condition.state])


def _best(servers: list[list[MemberNode]]) -> Condition:
    return max((_worst(nodes) for nodes in servers), key=lambda condition: _ORDER[condition.state])


def _count(servers: list[list[MemberNode]]) -> str:
    up = sum(_worst(nodes).state == "up" for nodes in servers)
    return f"{up} of {len(servers)} up"
