"""Facts: what compiling a policy needs to know of one place where packets pass: a host, or an overlay's namespace.

Derived from what was observed, as far as that goes. What is not known is ``Unknown`` or a sentence in ``gaps``, and
never opens anything: a rule whose containers are not known matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, TypeAlias

from dockgate.model.desired import Desired
from dockgate.model.objects import LABEL_KIND, LABEL_STAND_IN
from dockgate.model.observed import Container, Labels, Observed, ObservedHost, ObservedNetwork, Unknown

Address: TypeAlias = IPv4Address | IPv6Address
Prefix: TypeAlias = IPv4Network | IPv6Network

OVERLAY_BRIDGE = "br0"
"""The bridge inside an overlay's namespace, as libnetwork names it."""

_EVERY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Bridge:
    """A Docker network as the kernel has it: its device and its subnets."""

    network: str
    interface: str
    subnets: tuple[Prefix, ...] = ()


@dataclass(frozen=True)
class Place:
    """A running container on a network. ``names``: its own name and its aliases there."""

    container: str
    network: str
    addresses: tuple[Address, ...]
    names: tuple[str, ...] = ()
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True)
class Publication:
    """A port that Docker published: ``host_address`` (None: every one of that ``family``) : ``host_port`` leads to
    ``address``:``port`` of a container on a network."""

    protocol: Literal["tcp", "udp"]
    family: Literal[4, 6]
    host_address: Address | None
    host_port: int
    container: str
    network: str
    address: Address
    port: int


@dataclass(frozen=True)
class FarPlace:
    """A container's TCP port as published on another host: reached from here at ``address``:``host_port``."""

    container: str
    port: int
    address: Address
    host_port: int


@dataclass(frozen=True)
class HostFacts:
    """``kind`` overlay: the namespace of an overlay network, with one bridge and the whole cluster's containers on it.

    ``lan``: prefixes of the hosts' LAN. ``peers``: the project's other hosts. ``swarm``: whether the kernel takes VXLAN
    here. ``bridge_filter``: whether traffic within one bridge is shown to the rules (br_netfilter). ``gaps``: what is
    therefore not covered, in sentences.
    """

    name: str
    kind: Literal["host", "overlay"] = "host"
    bridges: tuple[Bridge, ...] = ()
    places: tuple[Place, ...] = ()
    publications: tuple[Publication, ...] = ()
    far: tuple[FarPlace, ...] = ()
    lan: tuple[Prefix, ...] = ()
    peers: tuple[Address, ...] | Unknown = ()
    swarm: bool = False
    bridge_filter: bool | Unknown = True
    gaps: tuple[str, ...] = ()

    def interface(self, network: str) -> str | None:
        return next((bridge.interface for bridge in self.bridges if bridge.network == network), None)

    def network(self, interface: str) -> str | None:
        return next((bridge.network for bridge in self.bridges if bridge.interface == interface), None)


def host_facts(desired: Desired, observed: Observed, name: str) -> HostFacts | Unknown:
    """What is known of a host of the file."""
    host = observed.host(name)
    if isinstance(host, Unknown):
        return host
    bridges = tuple(bridge for _, bridge in bridges_of(host))
    on = {bridge.network for bridge in bridges}
    lan = () if isinstance(host.lan, Unknown) else tuple(ip_network(prefix) for prefix in host.lan)
    return HostFacts(
        name=name,
        bridges=bridges,
        places=tuple(place for item in _running(host) for place in _places(item, on)),
        publications=tuple(item for container in _running(host) for item in _publications(container, on)),
        far=tuple(_far(desired, observed, name)),
        lan=lan,
        peers=_peers(desired, observed, name),
        swarm=host.swarm != "none",
        bridge_filter=host.bridge_filter,
        gaps=tuple(_gaps(desired, observed, host)),
    )


def bridges_of(host: ObservedHost) -> Iterator[tuple[ObservedNetwork, Bridge]]:
    """The Docker networks that the host's own kernel has as bridges."""
    for net in host.networks:
        if _on_host(net):
            yield net, Bridge(net.name, _interface(net), _subnets(net))


def overlay_facts(desired: Desired, observed: Observed, network: str) -> HostFacts:
    """What is known of an overlay's namespace: the containers of every host on it, the same on each host."""
    found = next((net for host in observed.known() if (net := host.network(network)) is not None), None)
    places = [place for host in observed.known() for item in _running(host) for place in _places(item, {network})]
    unknown = tuple(
        f"containers of {name} on {network} are not known: {state.reason}" for name, state in observed.unknown()
    )
    filters = {host.bridge_filter for host in observed.known()}
    return HostFacts(
        name=network,
        kind="overlay",
        bridges=(Bridge(network, OVERLAY_BRIDGE, _subnets(found) if found else ()),),
        places=tuple(sorted(places, key=lambda place: place.container)),
        bridge_filter=filters.pop() if len(filters) == 1 else Unknown("the hosts differ, or none was read"),
        gaps=unknown,
    )  # fmt: skip


def balancer_of(place: Place, project: str, vip: str) -> bool:
    """Whether the container there is a load balancer of that VIP, by its labels."""
    wanted = {"dockgate.project": project, LABEL_KIND: "lb", "dockgate.name": vip}
    return all(place.labels.get(key) == value for key, value in wanted.items())


def _on_host(network: ObservedNetwork) -> bool:
    """Bridges with containers on them. A network that only carries a VIP's address is the host's own."""
    return network.driver == "bridge" and network.labels.get(LABEL_KIND) != "address"


def _interface(network: ObservedNetwork) -> str:
    if network.interface:
        return network.interface
    return {"bridge": "docker0", "docker_gwbridge": "docker_gwbridge"}.get(network.name, f"br-{network.id[:12]}")


def _subnets(network: ObservedNetwork) -> tuple[Prefix, ...]:
    return tuple(ip_network(text, strict=False) for text in (network.subnet, network.subnet6) if text)


def _running(host: ObservedHost) -> Iterator[Container]:
    yield from (container for container in host.containers if container.state in ("running", "paused", "restarting"))


def _places(container: Container, networks: set[str]) -> Iterator[Place]:
    """One that stands in for another while that is replaced is the other, to every rule."""
    for attachment in container.attachments:
        addresses = tuple(ip_address(text) for text in (attachment.address, attachment.address6) if text)
        if attachment.network in networks and addresses:
            name = container.labels.get(LABEL_STAND_IN) or container.name
            names = tuple(sorted({name, container.name, *attachment.aliases}))
            yield Place(name, attachment.network, addresses, names, container.labels)


def _publications(container: Container, bridges: set[str]) -> Iterator[Publication]:
    """One for each bridge of the container: which of them Docker uses, it does not say."""
    kinds: tuple[Literal["tcp", "udp"], ...] = ("tcp", "tcp", "udp")
    published = (container.published, container.published6, container.published_udp)
    for protocol, ports in zip(kinds, published, strict=True):
        for port in ports:
            family: Literal[4, 6] = 6 if ":" in port.host_address else 4
            asked = None if port.host_address in _EVERY_ADDRESS else ip_address(port.host_address)
            for place in _places(container, bridges):
                for address in place.addresses:
                    if address.version == family:
                        yield Publication(
                            protocol, family, asked, port.host_port, place.container, place.network, address,
                            port.container_port,
                        )  # fmt: skip


def _far(desired: Desired, observed: Observed, here: str) -> Iterator[FarPlace]:
    for host in observed.known():
        if host.name == here or (address := address_of(desired, observed, host.name)) is None:
            continue
        for container in _running(host):
            for port in container.published:
                if port.host_address in _EVERY_ADDRESS:
                    yield FarPlace(container.name, port.container_port, address, port.host_port)
                elif not ip_address(port.host_address).is_loopback:
                    yield FarPlace(
                        container.name, port.container_port, ip_address(port.host_address), port.host_port
                    )  # fmt: skip


def _peers(desired: Desired, observed: Observed, here: str) -> tuple[Address, ...] | Unknown:
    """Addresses of the other hosts. One that is not known makes all unknown: a guard would cut that host off."""
    found: set[Address] = set()
    for host in desired.hosts:
        if host.name == here:
            continue
        addresses = _addresses(desired, observed, host.name)
        if not addresses:
            return Unknown(f"no IPv4 or IPv6 address of {host.name} is known")
        found.update(addresses)
    return tuple(sorted(found, key=lambda address: (address.version, int(address))))


def _addresses(desired: Desired, observed: Observed, name: str) -> set[Address]:
    state = observed.host(name)
    texts = [desired.host(name).address or "", state.node_address if isinstance(state, ObservedHost) else ""]
    return {address for text in texts if (address := _parsed(text)) is not None}


def address_of(desired: Desired, observed: Observed, name: str) -> Address | None:
    """An address by which other machines know a host; None while none is known."""
    return min(_addresses(desired, observed, name), key=lambda address: (address.version, int(address)), default=None)


def _parsed(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _gaps(desired: Desired, observed: Observed, host: ObservedHost) -> Iterator[str]:
    if isinstance(host.lan, Unknown):
        yield f"zone lan is empty on {host.name}: {host.lan.reason}"
    peers = _peers(desired, observed, host.name)
    if isinstance(peers, Unknown) and host.swarm != "none":
        yield f"VXLAN and gossip are not guarded on {host.name}: {peers.reason}"
    if isinstance(host.bridge_filter, Unknown):
        yield f"whether traffic within one bridge of {host.name} is filtered is not known: {host.bridge_filter.reason}"
    elif not host.bridge_filter:
        yield f"traffic within one bridge of {host.name} is not filtered: br_netfilter is off there"
    if any(network.name == "docker_gwbridge" for network in host.networks):
        yield f"who is who on docker_gwbridge of {host.name} is not known: its traffic is judged by network only"
