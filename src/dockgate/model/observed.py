"""Observed: the world as engines and load balancers tell it, at one moment. A snapshot, so that planning asks nobody.

"Unknown" is a value of its own: what could not be read is ``Unknown(reason)``, never empty. Sequences are sorted by
name, so that the same world gives the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from .engine_rules import EngineRules
from .waf import WafState

ContainerState: TypeAlias = Literal["created", "running", "paused", "restarting", "exited", "removing", "dead"]
SwarmRole: TypeAlias = Literal["none", "worker", "manager"]
VXLAN_PORT = 4789


@dataclass(frozen=True)
class Unknown:
    """It could not be read, and why (one sentence for a person)."""

    reason: str


@dataclass(frozen=True)
class Labels:
    """Docker labels as sorted pairs, so that they hash and compare."""

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str | None:
        return next((value for name, value in self.pairs if name == key), None)

    @staticmethod
    def of(labels: dict[str, str] | None) -> Labels:
        return Labels(tuple(sorted((labels or {}).items())))


@dataclass(frozen=True)
class Attachment:
    """A container's place in a network. ``address``, ``address6``: its addresses there, "" while it has none."""

    network: str
    address: str = ""
    aliases: tuple[str, ...] = ()
    address6: str = ""


@dataclass(frozen=True)
class PublishedPort:
    """A container's port that Docker published: TCP ``container_port`` at ``host_address``:``host_port``."""

    container_port: int
    host_port: int
    host_address: str = "0.0.0.0"


@dataclass(frozen=True)
class Container:
    """A container, ours or anybody's. ``since``: RFC 3339 time of its last start, "" when it never ran.

    ``published``: the TCP ports it has now, none while it does not run. ``wanted_ports``: the fixed ports it is made to
    publish when it starts (those that Docker chooses are not in it). ``stop_signal``: the number of the signal that
    tells it to stop.
    ``published_udp``: UDP ports of both families; ``published6``: TCP ports at IPv6 addresses; both as ``published``.
    ``pid``: its first process on the host, 0 when it does not run.
    """

    id: str
    name: str
    image: str
    state: ContainerState
    labels: Labels = field(default_factory=Labels)
    attachments: tuple[Attachment, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    wanted_ports: tuple[PublishedPort, ...] = ()
    health: Literal["", "starting", "healthy", "unhealthy"] = ""
    since: str = ""
    published_udp: tuple[PublishedPort, ...] = ()
    stop_signal: int = 15
    published6: tuple[PublishedPort, ...] = ()
    pid: int = field(default=0, compare=False)

    def networks(self) -> tuple[str, ...]:
        return tuple(attachment.network for attachment in self.attachments)


@dataclass(frozen=True)
class ObservedNetwork:
    """A network as one engine lists it. ``containers``: names attached to it on this engine. ``scope``: local or swarm.

    ``gateway``: the IPv4 gateway address of a bridge ("" if none). ``mtu``: None when it was made without one.
    ``subnet6``: its IPv6 subnet. ``interface``: the name of a bridge's device where an option chose it ("" for Docker's
    own choice). ``icc``: whether containers of a bridge may talk to each other. ``masquerade``: whether they leave the
    host behind its address."""

    id: str
    name: str
    driver: str
    scope: Literal["local", "swarm", "global"]
    internal: bool
    attachable: bool
    labels: Labels = field(default_factory=Labels)
    containers: tuple[str, ...] = ()
    gateway: str = ""
    subnet: str = ""
    mtu: int | None = None
    subnet6: str = ""
    interface: str = ""
    icc: bool = True
    masquerade: bool = True


@dataclass(frozen=True)
class Volume:
    name: str
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True)
class ServerState:
    """One server of a running HAProxy, from ``show stat``.

    ``address``: IPv4 address, "" while none is known. ``status``: HAProxy's word, e.g. UP, DOWN, MAINT,
    "MAINT (resolution)", DRAIN, "no check". ``check``: e.g. L7OK, "" without check. ``check_code``: HTTP status or 0.
    ``weight``: the user's weight. ``since_s``: seconds since the last change of status.
    """

    pool: str
    name: str
    address: str
    port: int
    status: str
    weight: int
    check: str = ""
    check_code: int = 0
    check_text: str = ""
    since_s: int = 0
    sessions: int = 0
    requests: int = 0

    @property
    def up(self) -> bool:
        """Takes new traffic."""
        return self.status.startswith(("UP", "no check"))

    @property
    def proved(self) -> bool:
        """Its last check was good, whether it may have traffic or not. A server that HAProxy took as up without having
        asked it counts as one check short ("UP 1/2"); where a single failed check is enough, that cannot be told."""
        return self.status in ("UP", "DRAIN", "no check")


@dataclass(frozen=True)
class RunningHaproxy:
    """A live HAProxy process. ``structure``: the hash of the configuration that it has loaded (its global description).

    ``uptime_s``: seconds since the worker started. ``sessions``/``requests``: sums over the VIP's frontends.
    """

    version: str
    structure: str
    pid: int
    uptime_s: int
    servers: tuple[ServerState, ...] = ()
    sessions: int = 0
    requests: int = 0


@dataclass(frozen=True)
class LoadBalancer:
    """What a load balancer container of ours holds: its configuration on disk, and the process if it runs.

    ``config``: the text of the active haproxy.cfg, "" when there is none yet. ``running``: None when the container does
    not run; Unknown when it runs but did not answer. ``unproved``: the configuration was activated by a run that ended
    before its proof, and these pools served before it; None when the last proof passed. ``tls_files``: name and SHA-256
    of each TLS file in its volume.
    """

    container: str
    config: str | Unknown
    running: RunningHaproxy | Unknown | None = None
    unproved: tuple[str, ...] | None = None
    tls_files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Absence:
    """Our rules were not in force: for how long (seconds), until when (seconds since 1970), where and why."""

    place: str
    seconds: float
    until: float
    why: str


@dataclass(frozen=True)
class FirewallState:
    """Our rules on a host. ``kept``, ``trial``: hashes of the rule sets that are kept and on trial, "" for none.

    ``confirm``: the trial waits for the operator, not for our own proof; it ends by itself in ``left_s`` seconds.
    ``in_force``: what is wanted (the trial, else what is kept) stands in the kernel unchanged, in every namespace.
    ``foreign``: there is a table of our name that we did not load. ``legacy``: tables of the old iptables, which
    nothing else shows. ``absences``: the last times that rules were missing.
    """

    kept: str = ""
    trial: str = ""
    confirm: bool = False
    left_s: float = field(default=0.0, compare=False)
    in_force: bool = False
    foreign: bool = False
    legacy: tuple[str, ...] = ()
    absences: tuple[Absence, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class ObservedHost:
    """One engine, read completely. ``images``: every repository:tag that it holds. ``wafs``: our firewalls that run, by
    container.

    ``node_address``: the IPv4 address by which the other nodes of its Swarm know it, "" outside a Swarm.
    ``vxlan_port``: the UDP port of the Swarm's overlay networks, which only a manager tells. ``lan``: the prefixes
    of its interfaces that face other machines. ``bridge_filter``: whether the kernel shows packets between
    containers of one bridge to the firewall (br_netfilter); both, ``firewall`` and ``engine_rules``, need a look into
    the host's kernel.
    """

    name: str
    engine_version: str
    swarm: SwarmRole = "none"
    node_address: str = ""
    containers: tuple[Container, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    volumes: tuple[Volume, ...] = ()
    images: frozenset[str] = frozenset()
    loadbalancers: tuple[LoadBalancer, ...] = ()
    vxlan_port: int | None = None
    wafs: tuple[tuple[str, WafState | Unknown], ...] = ()
    lan: tuple[str, ...] | Unknown = Unknown("no node container was asked")
    bridge_filter: bool | Unknown = Unknown("no node container was asked")
    firewall: FirewallState | Unknown = Unknown("no node container was asked")
    engine_rules: EngineRules | Unknown = Unknown("no node container was asked")

    def container(self, name: str) -> Container | None:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, Container]:
        return {container.name: container for container in self.containers}

    @cached_property
    def publishing(self) -> tuple[Container, ...]:
        """The containers that have published ports now."""
        return tuple(container for container in self.containers if container.published)

    def network(self, name: str) -> ObservedNetwork | None:
        return next((network for network in self.networks if network.name == name), None)

    def loadbalancer(self, container: str) -> LoadBalancer | None:
        return next((lb for lb in self.loadbalancers if lb.container == container), None)


@dataclass(frozen=True)
class Observed:
    """The world: each host of the file by name, and the image archives at hand where dockgate runs."""

    hosts: tuple[tuple[str, ObservedHost | Unknown], ...]
    archives: frozenset[str] = frozenset()

    def host(self, name: str) -> ObservedHost | Unknown:
        return next((state for host, state in self.hosts if host == name), Unknown("not a host of this file"))

    def known(self) -> tuple[ObservedHost, ...]:
        return tuple(state for _, state in self.hosts if isinstance(state, ObservedHost))

    @property
    def vxlan_port(self) -> int:
        """The UDP port that overlay networks use: a manager's word, else Docker's default."""
        return next((host.vxlan_port for host in self.known() if host.vxlan_port), VXLAN_PORT)

    def unknown(self) -> tuple[tuple[str, Unknown], ...]:
        return tuple((name, state) for name, state in self.hosts if isinstance(state, Unknown))
