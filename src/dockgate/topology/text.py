"""Graph -> text for a terminal of 80 columns: the same facts as the picture, as a tree. No colour, one thing a line.

Invariant: no line is wider than ``WIDTH``; what is cut stands in full in the picture and in the JSON.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .diff import Difference, Mark
from .graph import BalancerNode, Graph, HostNode, MemberNode, NetworkNode, PortNode
from .measure import clean
from .words import door_name, sign

WIDTH = 80


@dataclass
class _Node:
    """A line of the tree. ``right``: a state, at the end of the line."""

    left: str
    right: str = ""
    children: list[_Node] = field(default_factory=list)


def text_of(graph: Graph, difference: Difference | None = None) -> str:
    """``difference``: its graph is printed, each node with its mark, and everything that is marked once more below."""
    marks = dict(difference.marks) if difference else {}
    shown = difference.graph if difference else graph
    what = "live" if graph.view == "live" else "as the file asks, before it is applied"
    lines = [_cut(f"topology of {graph.project} ({what})", WIDTH), _cut(graph.summary(), WIDTH), ""]
    lines += list(_outside(graph))
    for node in _Tree(shown, marks).roots():
        lines += ["", *_tree(node)]
    if difference is not None:
        lines += ["", f"compared: {difference.summary()}"]
        lines += [line for key, mark in marks.items() for line in _change(key, mark)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _outside(graph: Graph) -> Iterator[str]:
    names = [text for port in graph.ports if port.outside and (text := door_name(graph, port))]
    yield "outside can reach" + ("" if names else " nothing of this")
    yield from (_cut(f"  {name}", WIDTH) for name in names)


def _change(key: str, mark: Mark) -> Iterator[str]:
    yield _cut(f"  {sign(mark)[:1]} {key}", WIDTH)
    yield from (_cut(f"      {part}", WIDTH) for part in mark.text.split("; ") if part)


def _kind(node: NetworkNode) -> str:
    return "network " if node.name == node.driver else f"{node.driver} network "


class _Tree:
    """Lines for the nodes of one graph."""

    def __init__(self, graph: Graph, marks: Mapping[str, Mark]) -> None:
        self._graph = graph
        self._marks = marks

    def roots(self) -> Iterator[_Node]:
        for host in self._graph.hosts:
            yield self._host(host)
        for network in self._graph.networks:
            if not network.host:
                yield self._network(network)
        known = {host.name for host in self._graph.hosts}
        bands = {network.id for network in self._graph.networks if not network.host}
        loose = [node for node in self._graph.members if node.host not in known and node.network not in bands]
        if loose:
            title = "on any host" if self._graph.view == "desired" else "elsewhere, on no host that was read"
            yield _Node(title, children=[self._member(node) for node in loose])

    def _host(self, node: HostNode) -> _Node:
        facts = [", ".join(node.addresses) or "address not known", f"Docker {node.engine}" if node.engine else ""]
        facts += [f"swarm {node.swarm}" if node.swarm else "", f"{node.others} not shown" if node.others else ""]
        text = f"host {node.name}  " + " · ".join(fact for fact in facts if fact)
        found = _Node(self._marked(node.id, text), node.condition.word)
        if node.condition.state == "unknown":
            found.children.append(_Node(node.condition.why))
        local = [item for item in self._graph.networks if item.host == node.name]
        found.children += [child for item in local if (child := self._local(item)) is not None]
        bare = [item for item in self._graph.members if item.host == node.name and not item.network]
        found.children += [self._member(item) for item in bare]
        return found

    def _local(self, node: NetworkNode) -> _Node | None:
        found = self._network(node)
        home = [item for item in self._graph.balancers if item.host == node.host and item.home == node.id]
        found.children[:0] = [self._balancer(item) for item in home]
        return found if found.children or node.wanted else None

    def _network(self, node: NetworkNode) -> _Node:
        facts = [node.subnet, "internal: closed to outside" if node.internal else ""]
        text = f"{_kind(node)}{node.name}  " + " · ".join(fact for fact in facts if fact)
        found = _Node(self._marked(node.id, text), node.condition.word)
        found.children += [self._member(item) for item in self._graph.members if item.network == node.id]
        found.children += [
            _Node(
                self._marked(item.id, f"container {item.name} on {item.host} (not of this file)"),
                item.condition.word,
                self._ports(item.id),
            )
            for item in self._graph.containers
            if node.id in [place.network for place in item.places]
        ]
        return found

    def _balancer(self, node: BalancerNode) -> _Node:
        found = _Node(self._marked(node.id, f"VIP {node.vip}: HAProxy load balancer"), node.condition.word)
        if node.condition.why and node.condition.state in ("down", "unknown"):
            found.children.append(_Node(node.condition.why))
        found.children += self._ports(node.id)
        names = {network.id: network.name for network in self._graph.networks}
        for place in node.places:
            found.children.append(_Node(f"on {names.get(place.network, place.network)} {place.address}".rstrip()))
        for name in node.pools:
            members = [item for item in self._graph.members if item.pool == name]
            up = sum(item.condition.state == "up" for item in members)
            count = f"{up} of {len(members)} up" if self._graph.view == "live" else f"{len(members)} in the file"
            count = "not known" if node.condition.state == "unknown" else count
            found.children.append(_Node(f"→ pool {name}", count))
        for nat in self._graph.nat:
            if nat.of == node.id:
                found.children.append(_Node(f"{nat.kind} {nat.before} → {nat.after} to the LAN"))
        return found

    def _member(self, node: MemberNode) -> _Node:
        where = f" on {node.host}" if node.host else ""
        address = f"  {node.address}:{node.port}" if node.address and node.address != node.name else ""
        text = f"member {node.name} of {node.pool}{where}{address}"
        found = _Node(self._marked(node.id, text), node.condition.word, self._ports(node.id))
        if node.condition.why and node.condition.state in ("down", "unknown"):
            found.children.append(_Node(node.condition.why))
        return found

    def _ports(self, owner: str) -> list[_Node]:
        dnats = {nat.of: nat for nat in self._graph.nat if nat.kind == "DNAT"}
        return [
            _Node(self._marked(port.id, _port(port, port.id in dnats)))
            for port in self._graph.ports
            if port.of == owner
        ]

    def _marked(self, key: str, text: str) -> str:
        mark = self._marks.get(key)
        return f"{sign(mark).partition(':')[0]} {text}" if mark else text


def _port(port: PortNode, translated: bool) -> str:
    inside = f"{port.inside_address or 'its container'}:{port.inside_port}"
    arrow = f"DNAT → {inside}" if translated else "not open"
    return (
        f"published {port.address}:{port.port} {arrow}{'' if port.outside or not translated else ' (this host only)'}"
    )


def _tree(node: _Node, stem: str = "", branch: str = "") -> Iterator[str]:
    right = clean(node.right)
    room = WIDTH - len(branch) - (_columns(right) + 1 if right else 0)
    left = f"{branch}{_cut(node.left, room)}"
    gap = max(1, WIDTH - _columns(left) - _columns(right))
    yield left + (" " * gap + right if right else "")
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        yield from _tree(child, stem + ("   " if last else "│  "), stem + ("└─ " if last else "├─ "))


def _cut(text: str, room: int) -> str:
    text = clean(text)
    if _columns(text) <= room:
        return text
    kept = ""
    for character in text:
        if _columns(kept + character) > room - 1:
            break
        kept += character
    return f"{kept.rstrip()}…"


def _columns(text: str) -> int:
    """Columns that a terminal takes for it."""
    return sum(
        0 if unicodedata.combining(item) else 2 if unicodedata.east_asian_width(item) in "WF" else 1 for item in text
    )
