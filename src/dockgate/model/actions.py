"""Actions: the only things dockgate ever does to the world. Plain data; each has one effect on one host.

An action says *what*; the plan's step around it says *why*. Containers, networks and volumes are named; whatever is
removed is also given by its id, so that a namesake made in the meantime is not touched. ``__str__`` is the line that
a person reads in ``dockgate plan``, in the progress of ``up`` and in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .objects import ContainerSpec, NetworkSpec
from .proof import ProofRequest
from .replacing import MemberAction
from .rules_actions import RulesAction
from .source import Source
from .swarm_actions import SwarmAction
from .tls_actions import TlsAction
from .waf_actions import WafAction


@dataclass(frozen=True)
class HaproxyConfig:
    """A rendered configuration. ``origins[i]`` is where line i+1 comes from in the user's file, or None.

    ``structure``: a hash over everything that needs a reload when it changes; weights and slot addresses, which the
    runtime socket can set, are not in it. It stands in the text as the global description.
    ``beside``: further files that it names, by name, each called by its content.
    """

    text: str = field(repr=False)
    structure: str
    origins: tuple[Source | None, ...] = field(default=(), repr=False, compare=False)
    beside: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class ServerChange:
    """One change to a server of a running HAProxy. Only the fields that are not None are set, in this order:
    state maint, address and port, weight, state ready or drain. Never an address on a server that DNS resolves.

    ``afresh``: it is checked, and what its checks said so far is not of the one that is there now: down until the next
    good one."""

    pool: str
    server: str
    state: Literal["ready", "drain", "maint"] | None = None
    weight: int | None = None
    address: str | None = None
    port: int | None = None
    afresh: bool = False

    def __str__(self) -> str:
        parts = [f"{self.address}:{self.port}"] if self.address is not None else []
        parts += [f"weight {self.weight}"] if self.weight is not None else []
        parts += [self.state] if self.state is not None else []
        parts += ["checked anew"] if self.afresh else []
        return f"{self.pool}/{self.server} {', '.join(parts)}"


@dataclass(frozen=True)
class LoadImage:
    """Bring an image to a host. ``origin``: "archive" (here), "build" (its Dockerfile), "pull", or another host."""

    host: str
    image: str
    origin: str

    def __str__(self) -> str:
        how = {
            "archive": "from the local archive",
            "build": "built from its Dockerfile",
            "pull": "pulled from its registry",
        }.get(self.origin, f"copied from {self.origin}")
        return f"load image {self.image}, {how}"


@dataclass(frozen=True)
class CreateNetwork:
    host: str
    spec: NetworkSpec

    def __str__(self) -> str:
        if self.spec.kind == "address":
            return f"put address {self.spec.gateway} on the host"
        kind = f"{'internal ' if self.spec.internal else ''}{self.spec.driver}"
        return f"create {kind} network {self.spec.name}"


@dataclass(frozen=True)
class RemoveNetwork:
    """``id`` is "" only where the removal takes back what the same plan created, whose id nobody could know before."""

    host: str
    name: str
    id: str
    address: str = ""

    def __str__(self) -> str:
        return f"take address {self.address} off the host" if self.address else f"remove network {self.name}"


@dataclass(frozen=True)
class CreateVolume:
    host: str
    name: str
    project: str
    owner: str
    kind: Literal["config", "sockets", "rules"] = "config"

    def __str__(self) -> str:
        return f"create volume {self.name}"


@dataclass(frozen=True)
class RemoveVolume:
    host: str
    name: str

    def __str__(self) -> str:
        return f"remove volume {self.name}"


@dataclass(frozen=True)
class CreateContainer:
    """Create, not start, on the first of the spec's networks; the others are ``ConnectNetwork`` actions."""

    host: str
    spec: ContainerSpec

    def __str__(self) -> str:
        ports = ", ".join(f"{p.host_address}:{p.host_port}" for p in self.spec.publish)
        return f"create container {self.spec.name}" + (f" for {ports}" if ports else "")


@dataclass(frozen=True)
class StartContainer:
    host: str
    container: str

    def __str__(self) -> str:
        return f"start container {self.container}"


@dataclass(frozen=True)
class StopContainer:
    """Ask it to finish what it is doing, wait at most ``grace_s`` seconds, then end it."""

    host: str
    container: str
    grace_s: int = 10

    def __str__(self) -> str:
        return f"stop container {self.container}"


@dataclass(frozen=True)
class RemoveContainer:
    host: str
    container: str
    id: str

    def __str__(self) -> str:
        return f"remove container {self.container}"


@dataclass(frozen=True)
class ConnectNetwork:
    host: str
    container: str
    network: str

    def __str__(self) -> str:
        return f"connect {self.container} to network {self.network}"


@dataclass(frozen=True)
class DisconnectNetwork:
    host: str
    container: str
    network: str

    def __str__(self) -> str:
        return f"disconnect {self.container} from network {self.network}"


@dataclass(frozen=True)
class WriteConfig:
    """Put a candidate configuration beside the active one. Nothing uses it yet."""

    host: str
    container: str
    config: HaproxyConfig

    def __str__(self) -> str:
        return f"write configuration {self.config.structure} for {self.container}"


@dataclass(frozen=True)
class ValidateConfig:
    """Let ``haproxy -c`` of the same image judge the candidate. A refused one is kept as refused.cfg."""

    host: str
    container: str
    config: HaproxyConfig

    def __str__(self) -> str:
        return f"check configuration {self.config.structure} with HAProxy"


@dataclass(frozen=True)
class ActivateConfig:
    """Make the candidate the active configuration on disk; the last one that was proved is kept as previous.cfg.

    ``must_serve``: what its proof will ask for, noted beside it so that a run which ends before is not forgotten.
    """

    host: str
    container: str
    config: HaproxyConfig
    must_serve: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"activate configuration {self.config.structure}"


@dataclass(frozen=True)
class RestoreConfig:
    """Make previous.cfg the active configuration on disk again."""

    host: str
    container: str

    def __str__(self) -> str:
        return f"go back to the previous configuration of {self.container}"


@dataclass(frozen=True)
class ReloadConfig:
    """Seamless reload of the active configuration: same container, same sockets, no connection cut."""

    host: str
    container: str

    def __str__(self) -> str:
        return f"reload {self.container} (seamless)"


@dataclass(frozen=True)
class SetServers:
    """Change servers of the running HAProxy over its runtime socket."""

    host: str
    container: str
    changes: tuple[ServerChange, ...]

    def __str__(self) -> str:
        return f"set {'; '.join(map(str, self.changes))} over the runtime socket"


@dataclass(frozen=True)
class Announce:
    """Tell the LAN by gratuitous ARP that ``address`` is at this host now."""

    host: str
    address: str

    def __str__(self) -> str:
        return f"announce {self.address} on the LAN"


@dataclass(frozen=True)
class Prove:
    """Ask the VIP for real. ``vantage``: the host whose node container asks.

    ``must_serve``: pools that had a usable server before the change; they must have one after it and answer. Other
    pools may answer 503: nobody is there yet.
    """

    host: str
    vip: str
    container: str
    structure: str
    vantage: str
    requests: tuple[ProofRequest, ...]
    must_serve: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ", ".join(dict.fromkeys(f"{r.address}:{r.port}" for r in self.requests))
        return f"ask {where} from {self.vantage}"


Action: TypeAlias = (
    LoadImage
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | RemoveVolume
    | CreateContainer
    | StartContainer
    | StopContainer
    | RemoveContainer
    | ConnectNetwork
    | DisconnectNetwork
    | WriteConfig
    | TlsAction
    | WafAction
    | ValidateConfig
    | ActivateConfig
    | RestoreConfig
    | ReloadConfig
    | SetServers
    | Announce
    | Prove
    | MemberAction
    | SwarmAction
    | RulesAction
)
