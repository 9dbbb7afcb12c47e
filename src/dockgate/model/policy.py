"""Policy: who may reach whom, as values. What the file asks (``Firewall``) and all rules that hold (``Policy``).

Every decision that a packet can meet is a ``Rule``, also those that nobody wrote: guards, state, what VIPs and pools
need, and the default. So a verdict always has one rule to name, and each rule has its place in the file or a reason.
Prefixes and ports are plain text and numbers, already checked: IPv4 and IPv6 prefixes in their canonical form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .source import NOWHERE, Source

Protocol: TypeAlias = Literal["tcp", "udp", "icmp", "any"]
Verdict: TypeAlias = Literal["allow", "reject", "drop"]
PortRange: TypeAlias = tuple[int, int]
"""First and last port, both included."""

Kind: TypeAlias = Literal[
    "rule",
    "loopback",
    "direct",
    "forged",
    "peers",
    "established",
    "neighbour",
    "failsafe",
    "invalid",
    "syn",
    "dns",
    "default",
]
"""What decides besides zones and ports. ``rule``: nothing else; the others are explained in ``firewall.derive``."""

DEFAULT_FAILSAFE = (22,)


@dataclass(frozen=True)
class AnyZone:
    """Anybody. Only in derived rules."""

    def __str__(self) -> str:
        return "anyone"


@dataclass(frozen=True)
class ContainersZone:
    """Every container. Only in derived rules."""

    def __str__(self) -> str:
        return "containers"


@dataclass(frozen=True)
class HostZone:
    """The Docker host itself: its own processes and addresses."""

    def __str__(self) -> str:
        return "host"


@dataclass(frozen=True)
class LanZone:
    """Whoever is outside and has an address in one of the hosts' LAN prefixes."""

    def __str__(self) -> str:
        return "lan"


@dataclass(frozen=True)
class WorldZone:
    """Whoever is outside: neither the host itself nor a container of its networks. The LAN is a part of it."""

    def __str__(self) -> str:
        return "world"


@dataclass(frozen=True)
class PeersZone:
    """The other Docker hosts of the project, by the addresses they are known by."""

    def __str__(self) -> str:
        return "the project's hosts"


@dataclass(frozen=True)
class AddressesZone:
    """Whoever is outside and has an address in ``prefixes`` (sorted). ``name``: as the file or a rule calls it."""

    name: str
    prefixes: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class NetworkZone:
    """Whatever is attached to a Docker network."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ContainerZone:
    """A container by name."""

    name: str

    def __str__(self) -> str:
        return f"container:{self.name}"


@dataclass(frozen=True)
class LabelZone:
    """Containers with a label."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"label:{self.key}={self.value}"


@dataclass(frozen=True)
class MemberZone:
    """Containers that have a name in Docker's DNS on a network, their own or an alias, and only there."""

    network: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} on {self.network}"


@dataclass(frozen=True)
class BalancerZone:
    """The load balancer containers of a VIP of a project."""

    project: str
    vip: str

    def __str__(self) -> str:
        return f"load balancer of {self.vip}"


@dataclass(frozen=True)
class VipZone:
    """A VIP's ports, asked for at its address (``address`` None: at any address of its hosts)."""

    project: str
    name: str
    address: str | None
    ports: tuple[int, ...]

    def __str__(self) -> str:
        return f"vip:{self.name}"


@dataclass(frozen=True)
class PublishedZone:
    """The places on the project's hosts at which Docker published a container's port."""

    container: str
    port: int

    def __str__(self) -> str:
        return f"published {self.container}:{self.port}"


Zone: TypeAlias = (
    AnyZone
    | ContainersZone
    | HostZone
    | LanZone
    | WorldZone
    | PeersZone
    | AddressesZone
    | NetworkZone
    | ContainerZone
    | LabelZone
    | MemberZone
    | BalancerZone
    | VipZone
    | PublishedZone
)

OUTSIDE = (LanZone, WorldZone, PeersZone, AddressesZone, PublishedZone)
"""Zones that never hold the host or a container of it."""


@dataclass(frozen=True)
class Rule:
    """One decision. ``ports``: disjoint and sorted, none means all; only with tcp and udp. They are the ports where
    the connection ends: for a published port, the container's.

    ``reason``: why a derived rule is there. ``source``: the line that asks for it, also for a derived rule.
    """

    name: str
    client: Zone
    server: Zone
    verdict: Verdict = "allow"
    protocol: Protocol = "any"
    ports: tuple[PortRange, ...] = ()
    log: bool = False
    kind: Kind = "rule"
    origin: Literal["file", "derived"] = "file"
    reason: str = ""
    source: Source = field(default=NOWHERE, compare=False, repr=False)

    @property
    def what(self) -> str:
        """``tcp 80, 8000-8100``: the packets that it is about."""
        if not self.ports:
            return self.protocol
        return f"{self.protocol} " + ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ports)

    def covers(self, protocol: str, port: int) -> bool:
        """Whether it is about packets of that protocol to that port."""
        if self.protocol not in ("any", protocol):
            return False
        return not self.ports or any(low <= port <= high for low, high in self.ports)


@dataclass(frozen=True)
class Firewall:
    """What the file asks for. ``rules``: in the file's order, whichever list they stand in; the first match decides.

    ``default``: what holds for traffic to, from and between containers where no rule matches. ``docker_iptables``:
    whether Docker writes rules of its own. ``failsafe``: TCP ports of the hosts that stay open to the outside.
    """

    default: Literal["deny", "off"] = "off"
    docker_iptables: bool = True
    failsafe: tuple[int, ...] = DEFAULT_FAILSAFE
    rules: tuple[Rule, ...] = ()
    source: Source = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Policy:
    """All rules that hold, derived ones too, in the order in which they are asked; the last one is the default."""

    firewall: Firewall
    rules: tuple[Rule, ...]

    @property
    def deny(self) -> bool:
        return self.firewall.default == "deny"

    def of(self, kind: Kind) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.kind == kind)
