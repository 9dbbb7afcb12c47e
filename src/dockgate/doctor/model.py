"""What the doctor knows and what it says: facts as they were looked up, findings as they are told. Values only.

"Unknown" is a value of its own: what could not be looked at becomes a finding and never passes for healthy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dockgate.model.observed import Unknown

Severity: TypeAlias = Literal["error", "warning", "unknown"]
Kind: TypeAlias = Literal["gossip", "vxlan", "full"]
Cause: TypeAlias = Literal[
    "engine-unreachable",
    "host-not-examined",
    "link-down",
    "address-lost",
    "conntrack-full",
    "no-swarm",
    "no-events",
    "clock",
    "versions",
    "docker-rules",
    "address-conflict",
    "address-missing",
    "hosts-apart",
    "vxlan-blocked",
    "gossip-blocked",
    "mtu-too-small",
    "pair-not-tried",
    "stale-neighbour",
    "neighbours-not-read",
    "balancer-unknown",
    "balancer-paused",
    "balancer-stopped",
    "balancer-missing",
    "port-taken",
    "haproxy-silent",
    "balancer-not-examined",
    "certificate-expired",
    "certificate-expires",
    "certificate-not-in-use",
    "member-missing",
    "member-paused",
    "member-stopped",
    "member-off-network",
    "port-not-published",
    "dns-silent",
    "dns-missing",
    "dns-stale",
    "haproxy-outdated",
    "haproxy-stale",
    "wrong-port",
    "member-hung",
    "check-fails",
    "member-unreachable",
    "member-taken-out",
    "member-not-tried",
    "member-not-served",
]
"""Names of faults, for scripts: docs/doctor.md says what each means."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be.

    ``cause``: the same for the same kind of fault. ``where``: what it is about.
    ``evidence``: what was measured. ``advice``: the next step. ``affects``: what else is not well because of it and is
    therefore not told on its own.
    """

    severity: Severity
    cause: Cause
    where: str
    what: str
    evidence: str
    advice: str
    affects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A network interface with its IPv4 addresses (with prefix). ``carrier``: the other end is there and on."""

    name: str
    mac: str
    mtu: int
    carrier: bool
    addresses: tuple[str, ...] = ()

    def holds(self, address: str) -> bool:
        return any(each.partition("/")[0] == address for each in self.addresses)


@dataclass(frozen=True)
class InsideFacts:
    """Within a container's network. ``neighbours``: the MAC that it has for an address. ``listening``: TCP address and
    port of everybody who listens there."""

    links: tuple[Link, ...] = ()
    neighbours: tuple[tuple[str, str], ...] = ()
    listening: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class OverlayFacts:
    """How a host sends what is for members elsewhere: address to MAC, and MAC to a host's address."""

    neighbours: tuple[tuple[str, str], ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HostFacts:
    """A host's own network, looked at from its node container.

    ``ahead_s``: how far its clock is ahead of ours; ``doubt_s``: how wrong that may be. ``conntrack``: entries and
    limit, None where nothing is tracked. ``overlays``: by the network's id.
    """

    ahead_s: float
    doubt_s: float
    links: tuple[Link, ...] = ()
    conntrack: tuple[int, int] | None = None
    listening: tuple[tuple[str, int], ...] = ()
    containers: dict[str, InsideFacts | Unknown] = field(default_factory=dict)
    overlays: dict[str, OverlayFacts | Unknown] = field(default_factory=dict)


@dataclass(frozen=True)
class Meeting:
    """What one host saw while all hosts sent to each other.

    ``heard``: (sender, kind) of what arrived here. ``refused``: (receiver, kind) to the kernel's reason for not sending
    it. ``gossip``: receiver to "open" or why its gossip port did not take a connection. ``arp``: (address, MAC) of who
    answered on the LAN.
    """

    heard: frozenset[tuple[str, Kind]] = frozenset()
    refused: dict[tuple[str, Kind], str] = field(default_factory=dict)
    gossip: dict[str, str] = field(default_factory=dict)
    arp: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Asked:
    """From within a load balancer's network. ``names``: the addresses that Docker's DNS has for each, or why it did not
    say. ``doors``: (address, port) to "open" or why not."""

    names: dict[str, tuple[str, ...] | Unknown] = field(default_factory=dict)
    doors: dict[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Everything that was looked at beside Docker's and HAProxy's own word.

    ``hosts`` and ``meetings``: by host. ``asked``: by load balancer, (host, VIP). ``events``: by host, "" when its
    event stream opens, else why not. ``size``: bytes of a full overlay packet on the LAN.
    """

    hosts: dict[str, HostFacts | Unknown] = field(default_factory=dict)
    meetings: dict[str, Meeting | Unknown] = field(default_factory=dict)
    asked: dict[tuple[str, str], Asked | Unknown] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    size: int = 1500
