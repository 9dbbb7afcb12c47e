"""The controller as a Swarm service: what is wanted, and what is there. Plain values.

No value holds the content of a file: it is carried to Swarm at the moment of the action. Names of configs and secrets
change with their content, because Swarm never changes one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .objects import LABEL_HASH
from .observed import Labels

FileKind: TypeAlias = Literal["config", "secret"]

HOME = "/home/dockgate"
"""Home of the image's user: where its ssh key, known hosts and Docker contexts are looked for."""
CONTROLLER_UID = 10001


@dataclass(frozen=True)
class SwarmFile:
    """A file of the service: ``name`` of the config or secret, ``target`` where the container sees it."""

    kind: FileKind
    name: str
    target: str


@dataclass(frozen=True)
class ServiceSpec:
    """The service that is wanted, or that is there. ``environment``: names and values, never a secret's."""

    name: str
    image: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[SwarmFile, ...] = ()
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True)
class Installation:
    """What `run --swarm` installs. ``content``: stands for what all files hold together (``edges.carried``). ``files``:
    kinds and targets. ``manager``: the host through which Swarm is asked."""

    project: str
    image: str
    content: str
    files: tuple[tuple[FileKind, str], ...]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    manager: str = ""


@dataclass(frozen=True)
class SwarmObject:
    """A config or secret that carries the project's mark."""

    kind: FileKind
    id: str
    name: str


@dataclass(frozen=True)
class SwarmTask:
    """One run of the service. ``said``: why it is not running, in Docker's words."""

    node: str
    state: str
    said: str = ""


@dataclass(frozen=True)
class SwarmService:
    """``whole``: it is as ``edges.swarm_json`` asks for one, replicas and privileges included. ``tasks``: newest first,
    only those that Swarm wants to run."""

    id: str
    spec: ServiceSpec
    whole: bool
    tasks: tuple[SwarmTask, ...] = ()

    @property
    def content(self) -> str:
        return self.spec.labels.get(LABEL_HASH) or ""


@dataclass(frozen=True)
class SwarmManager:
    """A node that may run the controller. ``address``: by which the Swarm knows it."""

    name: str
    address: str
    ready: bool


@dataclass(frozen=True)
class SwarmState:
    """What a manager told. ``service``: ours, None when there is none."""

    service: SwarmService | None = None
    files: tuple[SwarmObject, ...] = ()
    managers: tuple[SwarmManager, ...] = ()
