"""Evaluate: what the policy says about one flow at one host, by the policy alone.

Must not know how rules are compiled: it asks every rule in turn, and the first that matches decides. Slow and plain on
purpose, since it is the measure that the compiled rule set and real packets are held against.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal, TypeAlias

from dockgate.model.observed import Unknown
from dockgate.model.policy import (
    AddressesZone,
    BalancerZone,
    ContainerZone,
    HostZone,
    LabelZone,
    LanZone,
    MemberZone,
    NetworkZone,
    PeersZone,
    Policy,
    PublishedZone,
    Rule,
    Verdict,
    VipZone,
    WorldZone,
    Zone,
)

from .derive import NEIGHBOUR_TYPES
from .facts import Address, HostFacts, Place, Publication, balancer_of

State: TypeAlias = Literal["new", "established", "related", "invalid"]
FlowProtocol: TypeAlias = Literal["tcp", "udp", "icmp", "gre"]


@dataclass(frozen=True)
class Flow:
    """A packet at one host. ``iif`` "": sent by the host itself; ``oif`` "": for the host itself.

    ``destination``, ``port``: after Docker's translation; ``asked``: what the client asked for, if that was another.
    ``icmp``: ICMP of the address's family, of ``icmp_type`` (0 stands for an echo request). ``syn``: whether a TCP
    packet is a plain SYN.
    """

    iif: str
    oif: str
    source: Address
    destination: Address
    protocol: FlowProtocol = "tcp"
    port: int = 0
    state: State = "new"
    asked: tuple[Address, int] | None = None
    syn: bool = True
    icmp_type: int = 0

    @property
    def wire(self) -> tuple[Address, int]:
        """Destination and port as the packet came in."""
        return self.asked or (self.destination, self.port)


@dataclass(frozen=True)
class Decision:
    """``rule`` None: nothing of ours has a say, and whoever else filters decides."""

    verdict: Verdict
    rule: Rule | None = None


def evaluate(policy: Policy, facts: HostFacts, flow: Flow) -> Decision:
    """The first rule that matches decides."""
    judge = _Judge(facts, flow)
    for rule in policy.rules:
        if judge.decides(rule):
            return Decision(rule.verdict, rule)
    return Decision("allow")


class _Judge:
    """One flow at one host, and what it is in the words of the policy."""

    def __init__(self, facts: HostFacts, flow: Flow) -> None:
        self._facts = facts
        self._flow = flow
        self._from = facts.network(flow.iif) if flow.iif else None
        self._to = facts.network(flow.oif) if flow.oif else None
        self._clients = self._at(self._from, flow.source)
        self._servers = self._at(self._to, flow.destination)
        self._published = self._proxied() if not flow.oif else []

    def decides(self, rule: Rule) -> bool:
        match rule.kind:
            case "loopback" | "direct" | "forged" | "peers":
                return self._facts.kind == "host" and self._guarded(rule)
            case "dns":
                return False
        if not self._ours():
            return False
        flow = self._flow
        match rule.kind:
            case "established":
                return flow.state in ("established", "related")
            case "neighbour":
                return flow.protocol == "icmp" and flow.source.version == 6 and flow.icmp_type in NEIGHBOUR_TYPES
            case "failsafe":
                return not flow.oif and self._from is None and rule.covers(flow.protocol, flow.port)
            case "invalid":
                return self._closed() and flow.state == "invalid"
            case "syn":
                return self._closed() and flow.protocol == "tcp" and flow.state == "new" and not flow.syn
            case "default":
                return self._closed()
        return self._matches(rule)

    def _ours(self) -> bool:
        """Forwarded to or from a container; to or from the host over anything but its loopback."""
        flow = self._flow
        if self._facts.kind == "overlay" and not (flow.iif and flow.oif):
            return False
        if flow.iif and flow.oif:
            return self._from is not None or self._to is not None
        return (flow.iif or flow.oif) != "lo"

    def _closed(self) -> bool:
        """Whether the default holds here: a container is at one end, or behind Docker's proxy."""
        return self._from is not None or self._to is not None or bool(self._published)

    def _guarded(self, rule: Rule) -> bool:
        flow = self._flow
        address, port = flow.wire
        if flow.iif in ("", "lo"):
            return False
        match rule.kind:
            case "loopback":
                return address.is_loopback
            case "direct":
                inside = any(address in subnet for bridge in self._facts.bridges for subnet in bridge.subnets)
                return self._from is None and inside
            case "forged":
                return self._facts.swarm and self._from is not None and rule.covers(flow.protocol, port)
        peers = self._facts.peers
        if flow.oif or not self._facts.swarm or isinstance(peers, Unknown):
            return False
        return rule.covers(flow.protocol, flow.port) and flow.source not in peers

    def _matches(self, rule: Rule) -> bool:
        flow = self._flow
        if not self._is_client(rule.client):
            return False
        if self._published:
            return any(
                self._is_behind(rule.server, item) and rule.covers(item.protocol, item.port)
                for item in self._published
            )  # fmt: skip
        return self._is_server(rule.server) and rule.covers(flow.protocol, flow.port)

    def _is_client(self, zone: Zone) -> bool:
        if not self._flow.iif:
            return isinstance(zone, HostZone)
        if self._from is not None:
            return zone == NetworkZone(self._from) or any(holds(zone, place) for place in self._clients)
        return self._is_outside(zone, self._flow.source)

    def _is_server(self, zone: Zone) -> bool:
        flow = self._flow
        if not flow.oif:
            return isinstance(zone, HostZone)
        if self._to is None:
            if isinstance(zone, PublishedZone):
                return flow.protocol == "tcp" and any(
                    (far.container, far.port) == (zone.container, zone.port)
                    and (far.address, far.host_port) == (flow.destination, flow.port)
                    for far in self._facts.far
                )
            return self._is_outside(zone, flow.destination)
        if isinstance(zone, VipZone):
            return any(self._translated(item) and self._is_vip(zone, item, flow.asked) for item in self._here())
        return zone == NetworkZone(self._to) or any(holds(zone, place) for place in self._servers)

    def _is_behind(self, zone: Zone, item: Publication) -> bool:
        """Whether the container that Docker's proxy would relay this to is in the zone."""
        if isinstance(zone, VipZone):
            return self._is_vip(zone, item, (self._flow.destination, self._flow.port))
        if zone == NetworkZone(item.network):
            return True
        return any(holds(zone, place) for place in self._at(item.network, item.address))

    def _is_vip(self, zone: VipZone, item: Publication, asked: tuple[Address, int] | None) -> bool:
        if asked is None or item.protocol != "tcp" or asked[1] not in zone.ports:
            return False
        if zone.address is not None and str(asked[0]) != zone.address:
            return False
        return any(balancer_of(place, zone.project, zone.name) for place in self._at(item.network, item.address))

    def _here(self) -> list[Publication]:
        return [item for item in self._facts.publications if item.network == self._to]

    def _translated(self, item: Publication) -> bool:
        """Whether Docker led the flow here by this publication."""
        flow = self._flow
        if flow.asked is None or flow.protocol != item.protocol:
            return False
        address, port = flow.asked
        return (
            (item.host_port, item.family) == (port, address.version)
            and item.host_address in (None, address)
            and (item.address, item.port) == (flow.destination, flow.port)
        )

    def _proxied(self) -> list[Publication]:
        """Publications whose proxy listens where the flow goes."""
        flow = self._flow
        return [
            item
            for item in self._facts.publications
            if (item.protocol, item.host_port, item.family) == (flow.protocol, flow.port, flow.destination.version)
            and item.host_address in (None, flow.destination)
        ]

    def _is_outside(self, zone: Zone, address: Address) -> bool:
        match zone:
            case WorldZone():
                return True
            case LanZone():
                return any(address in prefix for prefix in self._facts.lan)
            case PeersZone():
                return not isinstance(self._facts.peers, Unknown) and address in self._facts.peers
            case AddressesZone(prefixes=prefixes):
                return any(address in ip_network(prefix) for prefix in prefixes)
        return False

    def _at(self, network: str | None, address: Address) -> list[Place]:
        """The containers that have that address on that network."""
        return [place for place in self._facts.places if place.network == network and address in place.addresses]


def holds(zone: Zone, place: Place) -> bool:
    """Whether a container there is in a zone of containers."""
    match zone:
        case ContainerZone(name=name):
            return place.container == name
        case LabelZone(key=key, value=value):
            return place.labels.get(key) == value
        case MemberZone(network=network, name=name):
            return place.network == network and name in place.names
        case BalancerZone(project=project, vip=vip):
            return balancer_of(place, project, vip)
    return False
