"""Translations as strips at the edges of boxes: DNAT where a port leads in, MASQUERADE where packets leave."""

from __future__ import annotations

from collections.abc import Mapping

from .boxes import Strip
from .diff import Mark
from .graph import Graph

_EVERY = ("0.0.0.0", "::", "")


def doors(graph: Graph, owner: str, marks: Mapping[str, Mark]) -> tuple[Strip, ...]:
    """The published ports of a balancer, member or container."""
    found = []
    blind = {node.id for node in graph.balancers if node.condition.state == "unknown" and not node.container}
    for port in graph.ports:
        if port.of != owner:
            continue
        address = "" if port.address in _EVERY else port.address
        inside = f"{port.inside_address}:{port.inside_port}" if port.inside_address else f"container:{port.inside_port}"
        word = "DNAT" if port.outside else "DNAT, local" if port.inside_address else "NOT OPEN"
        if not port.outside and owner in blind:
            word = "NOT KNOWN"
        title = f"Published on {port.host}: {port.address}:{port.port}, translated to {inside}"
        if word in ("DNAT, local", "NOT OPEN"):
            title += "; not open to other machines"
        found.append(Strip(f"{address}:{port.port} → {inside}", word, port.id, title, marks.get(port.id)))
    return tuple(found)


def exits(graph: Graph, balancer: str, marks: Mapping[str, Mark]) -> tuple[Strip, ...]:
    """How a load balancer's packets leave to the LAN, if its members are reached over it."""
    used = {step for link in graph.links if link.balancer == balancer for step in link.nat}
    return tuple(
        Strip(
            f"{node.before} → {node.after}",
            "MASQUERADE" if node.kind == "MASQUERADE" else "VIA PROXY",
            node.id,
            node.why,
            marks.get(node.id),
        )
        for node in graph.nat
        if node.id in used and node.of == balancer and node.kind != "DNAT"
    )
