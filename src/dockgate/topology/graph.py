"""The graph of a system: what is where, what it is reached by, where addresses are translated, what is down. Values.

Role: the one thing that every picture, the terminal's text, the JSON and the comparison of two states are made from.
Must not: hold what changes without anybody having changed anything (counters, times, process ids).
Invariant: every node has an ``id`` that is the same in every run for the same thing; sequences are sorted by it, hosts
and VIPs too. What could not be read is a condition "unknown" with its reason, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

SCHEMA = "dockgate.topology/1"
"""Name and version of the JSON form."""

State: TypeAlias = Literal["up", "down", "unknown", "planned"]
View: TypeAlias = Literal["live", "desired"]
Way: TypeAlias = Literal["network", "lan"]
NatKind: TypeAlias = Literal["DNAT", "MASQUERADE", "HAIRPIN"]


@dataclass(frozen=True)
class Condition:
    """How a thing is. ``word``: what is written at it, "" where nothing need be. ``why``: a reason."""

    state: State
    word: str = ""
    why: str = ""


@dataclass(frozen=True)
class HostNode:
    """``id``: ``host:NAME``. ``addresses``: its own first, then those of VIPs that it carries. ``node``: state of our
    node container there, "" without one. ``others``: containers there that the picture has no reason to show."""

    id: str
    name: str
    addresses: tuple[str, ...]
    condition: Condition
    engine: str = ""
    swarm: str = ""
    node: str = ""
    others: int = 0


@dataclass(frozen=True)
class NetworkNode:
    """``id``: ``network:NAME``, with ``@HOST`` for one that only its host has. ``host``: that host, "" for an overlay.

    ``hosts``: where it is seen. ``wanted``: the file asks for it.
    """

    id: str
    name: str
    driver: str
    internal: bool
    subnet: str
    host: str
    hosts: tuple[str, ...]
    wanted: bool
    condition: Condition


@dataclass(frozen=True)
class Place:
    """A container's place in a network. ``address``: "" while it has none or none is known."""

    network: str
    address: str = ""


@dataclass(frozen=True)
class ListenFact:
    port: int
    mode: str
    pool: str = ""


@dataclass(frozen=True)
class RouteFact:
    pool: str
    host: str = ""
    path: str = ""
    header: str = ""
    percent: int | None = None


@dataclass(frozen=True)
class BalancerNode:
    """The load balancer of a VIP on one host. ``id``: ``vip:VIP@HOST``. ``address``: what clients connect to ("" if it
    is not known). ``container``: its container, "" while there is none."""

    id: str
    vip: str
    host: str
    address: str
    own_address: bool
    listens: tuple[ListenFact, ...]
    routes: tuple[RouteFact, ...]
    pools: tuple[str, ...]
    container: str
    places: tuple[Place, ...]
    condition: Condition

    @property
    def home(self) -> str:
        """The network it stands in: its host's bridge, where its port leads into."""
        own = [place.network for place in self.places if place.network.endswith(f"@{self.host}")]
        bridge = f"network:bridge@{self.host}"
        return bridge if bridge in own or not own else own[0]


@dataclass(frozen=True)
class PoolNode:
    """``id``: ``pool:NAME``. ``how``: how it knows its members. ``network``: its id, "" if reached over the LAN."""

    id: str
    name: str
    how: Literal["names", "service", "published", "endpoints"]
    network: str
    port: int
    mode: str
    balance: str


@dataclass(frozen=True)
class Seen:
    """What one load balancer says of a member."""

    balancer: str
    condition: Condition


@dataclass(frozen=True)
class MemberNode:
    """A server of a pool. ``id``: ``member:POOL/NAME``. ``host``: where its container is or must be, "" if any.

    ``address``/``port``: where load balancers send to ("" and 0 if not known). ``network``: id of the network that it
    is reached on: the pool's, or for a published one that which its published port leads into.
    """

    id: str
    pool: str
    name: str
    host: str
    container: str
    address: str
    port: int
    network: str
    condition: Condition
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True)
class ContainerNode:
    """Somebody else's container that matters: it publishes a port, or is on a network of the file.
    ``id``: ``container:HOST/NAME``."""

    id: str
    host: str
    name: str
    places: tuple[Place, ...]
    condition: Condition


@dataclass(frozen=True)
class PortNode:
    """A published port. ``id``: ``port:HOST/ADDRESS:PORT``. ``outside``: other machines can connect to it, as far as
    Docker's own rules go. ``of``: id of the balancer, member or container behind it."""

    id: str
    host: str
    address: str
    port: int
    container: str
    inside_address: str
    inside_port: int
    network: str
    role: Literal["vip", "member", "other"]
    outside: bool
    of: str


@dataclass(frozen=True)
class NatNode:
    """Where an address is translated. ``before`` and ``after``: of the destination for a DNAT, else of the source.
    ``of``: id of the port, or of the balancer whose packets leave."""

    id: str
    kind: NatKind
    host: str
    before: str
    after: str
    of: str
    why: str


@dataclass(frozen=True)
class Link:
    """How a load balancer reaches a member. ``nat``: ids of the translations on that way, in order."""

    id: str
    balancer: str
    member: str
    way: Way
    network: str
    nat: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True)
class Graph:
    """Everything, sorted by id. ``view``: as it is, or as the file asks for."""

    project: str
    view: View
    hosts: tuple[HostNode, ...] = ()
    networks: tuple[NetworkNode, ...] = ()
    balancers: tuple[BalancerNode, ...] = ()
    pools: tuple[PoolNode, ...] = ()
    members: tuple[MemberNode, ...] = ()
    containers: tuple[ContainerNode, ...] = ()
    ports: tuple[PortNode, ...] = ()
    nat: tuple[NatNode, ...] = ()
    links: tuple[Link, ...] = ()
    schema: str = SCHEMA

    def summary(self) -> str:
        """One line: how many of what, and what is not well."""
        vips = {node.vip for node in self.balancers}
        up = sum(node.condition.state == "up" for node in self.members)
        unread = sum(node.condition.state == "unknown" for node in self.hosts)
        parts = [_count(len(self.hosts), "host"), _count(len(vips), "VIP")]
        if self.view == "live":
            parts.append(f"{up} of {_count(len(self.members), 'member')} up")
            parts += [f"{_count(unread, 'host')} could not be read"] if unread else []
        else:
            parts.append(_count(len(self.members), "member"))
        return " · ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
