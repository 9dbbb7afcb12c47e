"""Graph -> Scene: which box stands in which column and row, what is written in it, and which lines there are.

The picture's grammar: a column is a host; inside it stand the networks that only it has. A band across the columns is a
network that spans hosts. What comes from the LAN enters at the left edge of a host and ends at a door (DNAT); what a
load balancer sends leaves at the right edge, down to a network or up to the LAN (MASQUERADE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .boxes import Box, Cell, Column, Row, Scene, Tap
from .diff import Difference, compare
from .graph import BalancerNode, Graph, HostNode, MemberNode, NetworkNode
from .members import groups
from .strips import doors, exits
from .words import band_rows, marked, network_title, reachable, sentence

ELSEWHERE = "elsewhere"
DENSE = 24
"""More members than this, and each gets one line."""


def scene_of(graph: Graph, difference: Difference | None = None) -> Scene:
    """``difference``: draw its graph (which has what is gone), marked; ``graph`` is then the new state."""
    found = difference or compare(graph, graph)
    everything = found.graph
    dense = len(everything.members) > DENSE
    maker = _Maker(everything, found, dense)
    columns = tuple(maker.columns())
    what = "the live system" if graph.view == "live" else "as the file asks, before it is applied"
    subtitle = f"{what} · {graph.summary()}"
    if difference is not None:
        subtitle += f" · compared: {difference.summary()}"
    return Scene(
        title=f"Topology of {graph.project}",
        subtitle=subtitle,
        description=sentence(graph),
        outside=Box("outside", "outside", reachable(graph), "Outside", "Machines on the LAN, and whoever reaches it"),
        columns=columns,
        bands=tuple(maker.band(node) for node in everything.networks if not node.host),
        taps=tuple(maker.taps()),
        dense=dense,
        compared=difference is not None,
    )


class _Maker:
    """Boxes from one graph and its marks."""

    def __init__(self, graph: Graph, difference: Difference, dense: bool) -> None:
        self._graph = graph
        self._marks = dict(difference.marks)
        self._dense = dense
        self._bands = tuple(node.id for node in graph.networks if not node.host)

    def columns(self) -> Iterator[Column]:
        for host in self._graph.hosts:
            yield Column(self._host(host), self._cells(host.name))
        known = {host.name for host in self._graph.hosts}
        loose = [node for node in self._graph.members if node.host not in known]
        if loose:
            yield self._elsewhere(tuple(loose))

    def band(self, node: NetworkNode) -> Box:
        """A network across hosts; its content stands in the columns' cells."""
        rows = marked(band_rows(node), self._marks.get(node.id))
        return Box(node.id, "band", rows, network_title(node), node.condition.why, node.condition)

    def taps(self) -> Iterator[Tap]:
        """Lines from load balancers to the networks of their pools; none where nothing is behind them."""
        ways = {(link.balancer, link.network) for link in self._graph.links if link.network}
        shown = {node.id: node for node in self._graph.networks}
        for balancer in self._graph.balancers:
            pools = {pool.network for pool in self._graph.pools if pool.name in balancer.pools and pool.network}
            targets = {network for who, network in ways if who == balancer.id} | pools
            for place in balancer.places:
                if place.network in targets and place.network in shown:
                    yield Tap(
                        f"host:{balancer.host}",
                        balancer.id,
                        place.network,
                        place.network in self._bands,
                        balancer.condition,
                    )

    def _host(self, node: HostNode) -> Box:
        local = [network for network in self._graph.networks if network.host == node.name]
        local.sort(key=lambda network: (network.name != "bridge", network.wanted, network.name))
        children = [box for network in local if (box := self._network(network)) is not None]
        bare = self._unplaced(node)
        children += [self._network_less(bare)] if bare else []
        if not children:
            children.append(self._note(node))
        rows = [Row(node.name, "title", node.addresses[0] if node.addresses else "address not known", "mono")]
        rows += [Row("also", "quiet", address, "mono") for address in node.addresses[1:]]
        rows += self._host_facts(node)
        return Box(
            node.id,
            "host",
            marked(tuple(rows), self._marks.get(node.id)),
            f"Host {node.name}",
            node.condition.why or ", ".join(node.addresses),
            node.condition,
            children=tuple(children),
            mark=self._marks.get(node.id),
        )

    def _host_facts(self, node: HostNode) -> list[Row]:
        if node.condition.state == "unknown":
            return [Row("", "quiet", "UNKNOWN", "state"), Row(node.condition.why, "quiet")]
        parts = [f"Docker {node.engine}" if node.engine else "", f"swarm {node.swarm}" if node.swarm else ""]
        text = " · ".join(part for part in parts if part)
        others = f"+{node.others} not shown" if node.others else ""
        return [Row(text, "quiet", others)] if text or others else []

    def _note(self, node: HostNode) -> Box:
        unread = node.condition.state == "unknown"
        rows = (
            (Row("What runs here is not known.", "quiet"),)
            if unread
            else (Row("No published port leads in here.", "quiet"),)
            if self._graph.view == "live"
            else (Row("Nothing of the file is published here.", "quiet"),)
        )
        return Box(f"note:{node.name}", "note", rows, " ".join(row.left for row in rows))

    def _network(self, node: NetworkNode) -> Box | None:
        """A network of one host with what stands in it; None for one that only carries a load balancer's way."""
        inside = [self._balancer(item) for item in self._graph.balancers if item.home == node.id]
        inside += self._members(node.host, node.id)
        inside += [self._other(item.id) for item in self._graph.containers if self._first(item.id) == node.id]
        if not inside and not node.wanted:
            return None
        return Box(
            node.id,
            "network",
            marked(band_rows(node), self._marks.get(node.id)),
            network_title(node),
            node.condition.why,
            node.condition,
            children=tuple(inside),
        )

    def _unplaced(self, node: HostNode) -> tuple[Box, ...]:
        """Members on a host that no network of it is known to carry: endpoints, and those that do not run."""
        return tuple(self._members(node.name, ""))

    def _network_less(self, boxes: tuple[Box, ...]) -> Box:
        host = boxes[0].id
        rows = (Row("by its own address", "quiet"),)
        return Box(f"plain:{host}", "network", rows, "Reached by the host's own address", children=boxes)

    def _balancer(self, node: BalancerNode) -> Box:
        rows = [Row(f"VIP {node.vip}", "name", node.condition.word, "state")]
        if node.condition.state == "down" or (node.condition.state == "unknown" and node.container):
            rows.append(Row(node.condition.why, "quiet"))
        rows.append(Row("HAProxy load balancer", "quiet"))
        for listen in node.listens:
            rows.append(Row(f"{node.address or '*'}:{listen.port}", "mono", listen.mode))
        rows += [self._pool_row(node, name) for name in node.pools]
        home = node.home
        for place in sorted(node.places, key=lambda place: place.network != home):
            name = place.network.removeprefix("network:").partition("@")[0]
            rows.append(Row(f"on {name}", "quiet", place.address, "mono", port=place.network))
        return Box(
            node.id,
            "balancer",
            marked(tuple(rows), self._marks.get(node.id)),
            f"Load balancer of VIP {node.vip} on {node.host}: {node.condition.word or node.condition.state}",
            f"container {node.container or 'none yet'}. {node.condition.why}".strip(),
            node.condition,
            doors=doors(self._graph, node.id, self._marks),
            exits=exits(self._graph, node.id, self._marks),
            mark=self._marks.get(node.id),
        )

    def _pool_row(self, node: BalancerNode, name: str) -> Row:
        members = [item for item in self._graph.members if item.pool == name]
        if self._graph.view == "desired":
            return Row(f"pool {name}", "text", f"{len(members)} in file")
        if node.condition.state == "unknown":
            return Row(f"pool {name}", "text", "not known")
        links = {link.member: link.condition for link in self._graph.links if link.balancer == node.id}
        up = sum(links[item.id].state == "up" for item in members if item.id in links)
        return Row(f"pool {name}", "text", f"{up} of {len(members)} up")

    def _cells(self, host: str) -> tuple[Cell, ...]:
        return tuple(Cell(band, (*self._members(host, band), *self._others_in(host, band))) for band in self._bands)

    def _members(self, host: str, network: str) -> list[Box]:
        chosen = tuple(node for node in self._graph.members if node.host == host and node.network == network)
        return groups(self._graph, chosen, place=f"{host}/{network}", dense=self._dense, marks=self._marks)

    def _others_in(self, host: str, band: str) -> list[Box]:
        return [
            self._other(item.id)
            for item in self._graph.containers
            if item.host == host and self._first(item.id) == band
        ]

    def _first(self, container: str) -> str:
        """The network box in which somebody else's container stands: where its port leads into, else its first."""
        ports = [port.network for port in self._graph.ports if port.of == container and port.network]
        node = next(item for item in self._graph.containers if item.id == container)
        shown = {network.id for network in self._graph.networks}
        places = [place.network for place in node.places if place.network in shown]
        return next(iter((*ports, *places)), f"network:bridge@{node.host}")

    def _other(self, container: str) -> Box:
        node = next(item for item in self._graph.containers if item.id == container)
        rows = (Row(node.name, "name", node.condition.word, "state"), Row("not of this file", "quiet"))
        return Box(
            node.id,
            "other",
            marked(rows, self._marks.get(node.id)),
            f"Container {node.name} on {node.host}, not of this file: {node.condition.word}",
            node.condition.why,
            node.condition,
            doors=doors(self._graph, node.id, self._marks),
            mark=self._marks.get(node.id),
        )

    def _elsewhere(self, loose: tuple[MemberNode, ...]) -> Column:
        """Members that are on no host we could look at."""
        planned = self._graph.view == "desired"
        bands = tuple(
            Cell(band, tuple(self._loose(tuple(item for item in loose if item.network == band), band)))
            for band in self._bands
        )
        rest = tuple(item for item in loose if item.network not in self._bands)
        children = tuple(self._loose(rest, ""))
        title = "On any host" if planned else "Elsewhere"
        text = "the file does not say where members run" if planned else "on no host of the file that was read"
        rows = (Row(title, "title"), Row(text, "quiet"))
        box = Box(ELSEWHERE, "elsewhere", rows, f"{title}: {text}", children=children)
        return Column(box, bands)

    def _loose(self, chosen: tuple[MemberNode, ...], band: str) -> list[Box]:
        found = groups(self._graph, chosen, place=f"{ELSEWHERE}/{band}", dense=self._dense, marks=self._marks)
        return [replace(box, title=f"{box.title}, on no host that was read") for box in found]
