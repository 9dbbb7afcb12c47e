"""A Swarm in memory: configs, secrets and one service, as ``edges.swarm_calls`` deals with them through any manager.

It refuses what Swarm refuses: names taken, files that a service uses or lacks, objects without the mark. ``healthy``:
whether tasks made from now on pass their health check.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dockgate.edges.api import SwarmApi
from dockgate.errors import EngineError, NotFound
from dockgate.model.objects import LABEL_PROJECT
from dockgate.model.swarm import (
    FileKind,
    ServiceSpec,
    SwarmFile,
    SwarmManager,
    SwarmObject,
    SwarmService,
    SwarmState,
    SwarmTask,
)

if TYPE_CHECKING:
    from tests.fakes.engine import FakeEngine


@dataclass
class KeptFile:
    project: str
    kind: FileKind
    content: bytes


@dataclass
class KeptSwarm:
    """What the Swarm keeps. ``files``: by kind and name. ``before``: what a roll-back goes back to."""

    files: dict[tuple[FileKind, str], KeptFile] = field(default_factory=dict)
    service: SwarmService | None = None
    before: SwarmService | None = None
    healthy: bool = True
    node: str = "docker1"


class FakeSwarm(SwarmApi):
    """The Swarm through one engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._kept = engine.network.swarm

    async def state(self, project: str) -> SwarmState:
        async with self._called("read its Swarm"):
            files = [
                SwarmObject(kind, f"id-{name}", name)
                for (kind, name), file in sorted(self._kept.files.items(), key=lambda each: each[0][1])
                if file.project == project
            ]
            service = self._kept.service
            ours = service if service and service.spec.labels.get(LABEL_PROJECT) == project else None
            managers = [
                SwarmManager(name, engine.address, ready=name not in self._engine.network.faults.off)
                for name, engine in sorted(self._engine.network.engines.items())
                if engine.swarm == "manager"
            ]
            return SwarmState(ours, tuple(files), tuple(managers))

    async def put_file(self, file: SwarmFile, content: bytes, *, project: str) -> None:
        async with self._called(f"create {file.kind} {file.name}"):
            if (file.kind, file.name) in self._kept.files:
                raise EngineError(f"{self._engine.host}: {file.name} conflicts with an existing object")
            self._kept.files[file.kind, file.name] = KeptFile(project, file.kind, content)

    async def remove_file(self, kind: FileKind, name_or_id: str, *, project: str) -> None:
        async with self._called(f"remove {kind} {name_or_id}"):
            name = name_or_id.removeprefix("id-")
            kept = self._kept.files.get((kind, name))
            if kept is None:
                raise NotFound(f"{self._engine.host}: {kind} {name} not found")
            self._must_be_ours(kept.project, project, name)
            if self._kept.service and name in {file.name for file in self._kept.service.spec.files}:
                raise EngineError(f"{self._engine.host}: {kind} '{name}' is in use by the service")
            del self._kept.files[kind, name]

    async def create_service(self, spec: ServiceSpec) -> None:
        async with self._called(f"create service {spec.name}"):
            if self._kept.service is not None:
                raise EngineError(f"{self._engine.host}: name conflicts with an existing object: service {spec.name}")
            self._run(spec)

    async def update_service(self, spec: ServiceSpec) -> None:
        async with self._called(f"update service {spec.name}"):
            before = self._there(spec.labels.get(LABEL_PROJECT) or "")
            self._run(spec)
            self._kept.before = before

    async def roll_back_service(self, name: str, *, project: str) -> None:
        async with self._called(f"roll back {name}"):
            self._there(project)
            if self._kept.before is None:
                raise EngineError(f"{self._engine.host}: service {name} does not have a previous spec")
            self._kept.service, self._kept.before = self._kept.before, None

    async def remove_service(self, name_or_id: str, *, project: str) -> None:
        async with self._called(f"remove service {name_or_id}"):
            self._there(project)
            self._kept.service = self._kept.before = None

    def _called(self, what: str):  # type: ignore[no-untyped-def]
        if self._engine.swarm != "manager":
            raise EngineError(f"{self._engine.host}: This node is not a swarm manager")
        return self._engine.called(what)

    def _run(self, spec: ServiceSpec) -> None:
        for file in spec.files:
            if (file.kind, file.name) not in self._kept.files:
                raise NotFound(f"{self._engine.host}: {file.kind} {file.name} not found")
        task = SwarmTask(
            self._kept.node, "running" if self._kept.healthy else "failed", "" if self._kept.healthy else "no"
        )
        self._kept.service = SwarmService(f"id-{spec.name}", spec, True, (task,))

    def _there(self, project: str) -> SwarmService:
        service = self._kept.service
        if service is None:
            raise NotFound(f"{self._engine.host}: service not found")
        self._must_be_ours(service.spec.labels.get(LABEL_PROJECT) or "", project, service.spec.name)
        return service

    def _must_be_ours(self, owner: str, project: str, name: str) -> None:
        if owner != project:
            raise EngineError(f"{self._engine.host}: {name} does not carry the labels of project {project!r}")


def scaled_to_nothing(swarm: KeptSwarm) -> None:
    """What ``docker service scale NAME=0`` does."""
    assert swarm.service is not None
    swarm.service = replace(swarm.service, whole=False, tasks=())
