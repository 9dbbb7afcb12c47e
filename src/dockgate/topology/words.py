"""What is written at things: headings, and the sentences that stand for the picture where it is not seen."""

from __future__ import annotations

from .boxes import Row
from .diff import Mark
from .graph import Graph, NetworkNode, PortNode

_SIGNS = {"added": "+ ADDED", "removed": "− REMOVED", "changed": "~ CHANGED"}


def sign(mark: Mark) -> str:
    """A mark as a word with its own first character, so that it reads without colour."""
    return _SIGNS[mark.kind] + (f": {mark.text}" if mark.text else "")


def marked(rows: tuple[Row, ...], mark: Mark | None) -> tuple[Row, ...]:
    return rows if mark is None else (Row(sign(mark), "mark"), *rows)


def band_rows(node: NetworkNode) -> tuple[Row, ...]:
    kind = f"{node.driver} " if node.driver != node.name else ""
    facts = [node.subnet, "internal: closed to outside" if node.internal else ""]
    text = " · ".join(fact for fact in facts if fact)
    word = node.condition.word if node.condition.state in ("down", "unknown") else ""
    return (Row(f"{kind}{node.name}", "name", word, "state"), *((Row(text, "quiet"),) if text else ()))


def network_title(node: NetworkNode) -> str:
    where = f" on {node.host}" if node.host else " across hosts"
    facts = [node.subnet, "internal" if node.internal else "", node.condition.word]
    return f"Network {node.name} ({node.driver}){where}" + "".join(f", {fact}" for fact in facts if fact)


def reachable(graph: Graph, most: int = 12) -> tuple[Row, ...]:
    """What the LAN can connect to, as text."""
    names = [text for port in graph.ports if port.outside and (text := door_name(graph, port))]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    found = "can reach " + ", ".join(names[:most]) + more if names else "can reach nothing of this"
    return (Row("Outside", "name"), Row(found, "text"))


def door_name(graph: Graph, port: PortNode) -> str:
    """A published port as a client knows it, and what is behind it."""
    host = next((node for node in graph.hosts if node.name == port.host), None)
    own = port.address if port.address not in ("0.0.0.0", "::", "") else ""
    address = own or (host.addresses[0] if host and host.addresses else port.host)
    kind, _, name = port.of.partition(":")
    name = name.partition("@")[0] if kind == "vip" else name.rpartition("/")[2]
    return f"{address}:{port.port} ({'VIP ' if kind == 'vip' else ''}{name})"


def sentence(graph: Graph) -> str:
    """The picture in words: for a screen reader, and for the description of the file."""
    lines = [graph.summary() + "."]
    lines.append(" ".join(row.left for row in reachable(graph, most=1000)) + ".")
    for balancer in graph.balancers:
        members = [node for node in graph.members if node.pool in balancer.pools]
        names = ", ".join(f"{node.name} {node.condition.word}" for node in members[:20])
        more = f" and {len(members) - 20} more" if len(members) > 20 else ""
        state = balancer.condition.word or balancer.condition.state
        lines.append(f"VIP {balancer.vip} on {balancer.host} is {state}; its members: {names or 'none'}{more}.")
    lines += [
        f"{node.name} could not be read: {node.condition.why}."
        for node in graph.hosts
        if node.condition.why and node.condition.state == "unknown"
    ]
    return " ".join(lines)
