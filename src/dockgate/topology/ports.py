"""Published ports, translations, and the ways from load balancers to members.

What is said here is what Docker's own rules do: a published port is DNATed to the container's address on the bridge
that its default route goes through; what a container on a bridge sends out leaves behind its host's address.
Must not: judge what a firewall beside Docker's rules lets through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.model.observed import Container, ObservedHost, PublishedPort
from dockgate.plan.target import BRIDGE

from .graph import BalancerNode, Condition, Link, MemberNode, NatNode, Place, PoolNode, PortNode
from .world import EVERY_ADDRESS, World


def ports_of(
    world: World,
    balancers: tuple[BalancerNode, ...],
    members: tuple[MemberNode, ...],
    others: dict[tuple[str, str], str],
) -> tuple[PortNode, ...]:
    """``others``: id of every other container that is shown, by host and name."""
    owners = {(node.host, node.container): node.id for node in members if node.host and node.container}
    owners |= {(node.host, node.container): node.id for node in balancers if node.container}
    found: list[PortNode] = []
    for host in world.known():
        for container in host.containers:
            owner = owners.get((host.name, container.name)) or others.get((host.name, container.name))
            if owner:
                found += [_port(world, host, container, port, owner) for port in container.published]
    real = {(port.host, port.of) for port in found}
    for balancer in balancers:
        if (balancer.host, balancer.id) not in real:
            found += _planned(world, balancer)
    return tuple(sorted(found, key=lambda node: node.id))


def _port(world: World, host: ObservedHost, container: Container, port: PublishedPort, owner: str) -> PortNode:
    way_in = way_in_of(host, container)
    return PortNode(
        id=f"port:{host.name}/{port.host_address}:{port.host_port}",
        host=host.name,
        address=port.host_address,
        port=port.host_port,
        container=container.name,
        inside_address=way_in.address,
        inside_port=port.container_port,
        network=world.network_id(host.name, way_in.network) if way_in.network else "",
        role="vip" if owner.startswith("vip:") else "member" if owner.startswith("member:") else "other",
        outside=not port.host_address.startswith("127."),
        of=owner,
    )


def way_in_of(host: ObservedHost, container: Container) -> Place:
    """The network a published port leads into: Docker takes the first bridge by name that is not internal."""
    networks = {network.name: network for network in host.networks}
    for item in sorted(container.attachments, key=lambda item: item.network):
        network = networks.get(item.network)
        if network is not None and network.driver == "bridge" and not network.internal:
            return Place(item.network, item.address)
    return Place("")


def _planned(world: World, balancer: BalancerNode) -> Iterator[PortNode]:
    """Ports of a load balancer that is not there, or stopped: as the file asks for."""
    address = balancer.address if balancer.own_address else "0.0.0.0"
    for listen in balancer.listens:
        yield PortNode(
            id=f"port:{balancer.host}/{address}:{listen.port}",
            host=balancer.host,
            address=address,
            port=listen.port,
            container=balancer.container,
            inside_address="",
            inside_port=listen.port,
            network=world.network_id(balancer.host, BRIDGE),
            role="vip",
            outside=world.observed is None,
            of=balancer.id,
        )


def dnats_of(world: World, ports: tuple[PortNode, ...]) -> tuple[NatNode, ...]:
    """One DNAT for each published port that leads somewhere, now or once the file is applied."""
    return tuple(
        NatNode(
            id=dnat_id(port),
            kind="DNAT",
            host=port.host,
            before=f"{shown_address(world, port)}:{port.port}",
            after=f"{port.inside_address or 'its container'}:{port.inside_port}",
            of=port.id,
            why=f"port {port.port} is published on {port.host}",
        )
        for port in ports
        if port.inside_address or world.observed is None
    )


def dnat_id(port: PortNode) -> str:
    return f"nat:DNAT@{port.id.removeprefix('port:')}"


def shown_address(world: World, port: PortNode) -> str:
    """The address that a client would use: the host's for a port on every address."""
    return (world.host_address(port.host) or "*") if port.address in EVERY_ADDRESS else port.address


@dataclass(frozen=True)
class Ways:
    links: tuple[Link, ...]
    nat: tuple[NatNode, ...]


def ways_of(
    world: World,
    balancers: tuple[BalancerNode, ...],
    pools: tuple[PoolNode, ...],
    members: tuple[MemberNode, ...],
    ports: tuple[PortNode, ...],
) -> Ways:
    """Each load balancer's way to each member of its pools, and the translations of what leaves over the LAN."""
    how = {pool.name: pool.how for pool in pools}
    links: list[Link] = []
    nat: dict[str, NatNode] = {}
    for balancer in balancers:
        for member in members:
            if member.pool not in balancer.pools:
                continue
            over_lan = how[member.pool] in ("published", "endpoints")
            steps = list(_lan_steps(world, balancer, member, ports)) if over_lan else []
            nat |= {step.id: step for step in steps if step.kind != "DNAT"}
            links.append(
                Link(
                    id=f"link:{balancer.vip}@{balancer.host}/{member.pool}/{member.name}",
                    balancer=balancer.id,
                    member=member.id,
                    way="lan" if over_lan else "network",
                    network="" if over_lan else member.network,
                    nat=tuple(step.id for step in steps),
                    condition=_way_condition(balancer, member),
                )
            )
    return Ways(tuple(sorted(links, key=lambda link: link.id)), tuple(nat[key] for key in sorted(nat)))


def _lan_steps(
    world: World, balancer: BalancerNode, member: MemberNode, ports: tuple[PortNode, ...]
) -> Iterator[NatNode]:
    bridge = world.network_id(balancer.host, BRIDGE)
    inside = next((place.address for place in balancer.places if place.network == bridge), "")
    outside = world.host_address(balancer.host)
    if member.host == balancer.host:
        yield NatNode(
            id=f"nat:HAIRPIN@{balancer.host}/{balancer.vip}",
            kind="HAIRPIN",
            host=balancer.host,
            before=inside or "its container",
            after=f"{balancer.host}'s bridge address",
            of=balancer.id,
            why="a port of its own host: through Docker's proxy, or DNAT and MASQUERADE where there is none",
        )
    else:
        yield NatNode(
            id=f"nat:MASQUERADE@{balancer.host}/{balancer.vip}",
            kind="MASQUERADE",
            host=balancer.host,
            before=inside or "its container",
            after=outside or f"{balancer.host}'s address",
            of=balancer.id,
            why=f"packets from a bridge leave {balancer.host} behind its own address",
        )
    target = next((port for port in ports if port.host == member.host and port.port == member.port), None)
    if target is not None and member.container:
        yield from dnats_of(world, (target,))


def _way_condition(balancer: BalancerNode, member: MemberNode) -> Condition:
    seen = next((item.condition for item in member.seen if item.balancer == balancer.id), None)
    if balancer.condition.state in ("unknown", "planned"):
        return balancer.condition
    return seen if seen is not None and seen.state != "up" else member.condition
