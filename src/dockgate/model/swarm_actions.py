"""What is done to the controller's Swarm service and its files; see actions.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .swarm import FileKind, ServiceSpec, SwarmFile


@dataclass(frozen=True)
class PutSwarmFile:
    host: str
    file: SwarmFile
    project: str

    def __str__(self) -> str:
        return f"create {self.file.kind} {self.file.name} for {self.file.target}"


@dataclass(frozen=True)
class RemoveSwarmFile:
    """``id`` is "" only where the removal takes back what the same plan created."""

    host: str
    kind: FileKind
    name: str
    id: str = ""

    def __str__(self) -> str:
        return f"remove {self.kind} {self.name}"


@dataclass(frozen=True)
class CreateService:
    host: str
    spec: ServiceSpec

    def __str__(self) -> str:
        return f"create service {self.spec.name} from {self.spec.image}, one replica on a manager"


@dataclass(frozen=True)
class UpdateService:
    host: str
    spec: ServiceSpec

    def __str__(self) -> str:
        return f"update service {self.spec.name} to {self.spec.image}"


@dataclass(frozen=True)
class RollBackService:
    """To what it was before its last update."""

    host: str
    name: str

    def __str__(self) -> str:
        return f"roll service {self.name} back"


@dataclass(frozen=True)
class RemoveService:
    """``id`` is "" only where the removal takes back what the same plan created."""

    host: str
    name: str
    id: str = ""

    def __str__(self) -> str:
        return f"remove service {self.name}"


@dataclass(frozen=True)
class AwaitService:
    """Until a task of the service as it is now runs and is healthy: it has read a host."""

    host: str
    name: str
    limit_s: int = 120

    def __str__(self) -> str:
        return f"wait until {self.name} runs and is healthy"


SwarmAction: TypeAlias = (
    PutSwarmFile | RemoveSwarmFile | CreateService | UpdateService | RollBackService | RemoveService | AwaitService
)
