"""Calls on a Swarm, through one of its managers: our service, its configs and its secrets.

Apart from ``Engine``, so that only an installation comes to them. Invariant: nothing is changed or removed before the
mark on that very object has been read again; a secret's content is sent and never kept or told.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import aiodocker

from dockgate.edges import swarm_json as wire
from dockgate.edges.attempt import not_ours
from dockgate.errors import NotFound
from dockgate.model.objects import LABEL_KIND, LABEL_PROJECT, is_ours, labels_for
from dockgate.model.observed import Labels
from dockgate.model.swarm import FileKind, ServiceSpec, SwarmFile, SwarmState

Call: TypeAlias = Callable[[str], AbstractAsyncContextManager[aiodocker.Docker]]
Found: TypeAlias = Mapping[str, Any]


class SwarmCalls:
    """``call``: what the engine puts around each of its calls. ``api``: the version it speaks, known within one."""

    def __init__(self, host: str, call: Call, api: Callable[[], tuple[int, int]]) -> None:
        self._host = host
        self._call = call
        self._api = api

    async def state(self, project: str) -> SwarmState:
        async with self._call("read its Swarm") as docker:
            nodes = await _ask(docker, "nodes")
            services = await _ours(docker, "services", project)
            files = [file for kind in wire.KINDS for file in wire.files(kind, await _ours(docker, f"{kind}s", project))]
            names = {node["ID"]: node["Description"]["Hostname"] for node in nodes}
            found = None
            for answer in services:
                listed = await _ask(docker, "tasks", filters={"service": [answer["ID"]]})
                found = wire.service(answer, wire.tasks(answer, listed, names), self._api())
        return SwarmState(found, tuple(sorted(files, key=lambda each: each.name)), wire.managers(nodes))

    async def put_file(self, file: SwarmFile, content: bytes, *, project: str) -> None:
        request = {
            "Name": file.name,
            "Labels": dict(labels_for(project, "controller", "controller").pairs),
            "Data": base64.b64encode(content).decode(),
        }
        async with self._call(f"create {file.kind} {file.name}") as docker:
            await docker._query_json(f"{file.kind}s/create", method="POST", data=request)

    async def remove_file(self, kind: FileKind, name_or_id: str, *, project: str) -> None:
        async with self._call(f"remove {kind} {name_or_id}") as docker:
            found = await self._marked(docker, f"{kind}s", name_or_id, project)
            await _order(docker, f"{kind}s/{found['ID']}", method="DELETE")

    async def create_service(self, spec: ServiceSpec) -> None:
        async with self._call(f"create service {spec.name}") as docker:
            request = wire.service_request(spec, await _ids(docker, spec), self._api())
            await docker._query_json("services/create", method="POST", data=request)

    async def update_service(self, spec: ServiceSpec) -> None:
        project = spec.labels.get(LABEL_PROJECT) or ""
        async with self._call(f"update service {spec.name}") as docker:
            found = await self._marked(docker, "services", spec.name, project)
            request = wire.service_request(spec, await _ids(docker, spec), self._api())
            # Another count of forced updates makes new tasks also where the specification is the same.
            forced = int(found["Spec"]["TaskTemplate"].get("ForceUpdate", 0))
            request["TaskTemplate"]["ForceUpdate"] = forced + 1
            await _update(docker, found, request)

    async def roll_back_service(self, name: str, *, project: str) -> None:
        async with self._call(f"roll service {name} back") as docker:
            found = await self._marked(docker, "services", name, project)
            await _update(docker, found, found["Spec"], rollback="previous")

    async def remove_service(self, name_or_id: str, *, project: str) -> None:
        async with self._call(f"remove service {name_or_id}") as docker:
            found = await self._marked(docker, "services", name_or_id, project)
            await _order(docker, f"services/{found['ID']}", method="DELETE")

    async def _marked(self, docker: aiodocker.Docker, kind: str, name_or_id: str, project: str) -> Found:
        found: Found = await docker._query_json(f"{kind}/{name_or_id}")
        if not is_ours(Labels.of(found["Spec"].get("Labels")), project, "controller"):
            raise not_ours(self._host, f"{kind.removesuffix('s')} {name_or_id}", project)
        return found


async def _ask(docker: aiodocker.Docker, path: str, *, filters: Mapping[str, list[str]] | None = None) -> list[Found]:
    params = {"filters": json.dumps(filters)} if filters else None
    answer: list[Found] = await docker._query_json(path, params=params)
    return answer


async def _ours(docker: aiodocker.Docker, path: str, project: str) -> list[Found]:
    """An engine that is asked for two labels answers with what has both."""
    labels = [f"{LABEL_PROJECT}={project}", f"{LABEL_KIND}=controller"]
    return await _ask(docker, path, filters={"label": labels})


async def _order(docker: aiodocker.Docker, path: str, *, method: str) -> None:
    """A call whose answer is empty."""
    async with docker._query(path, method=method):
        pass


async def _update(docker: aiodocker.Docker, found: Found, request: Mapping[str, Any], *, rollback: str = "") -> None:
    params = {"version": str(found["Version"]["Index"]), **({"rollback": rollback} if rollback else {})}
    await docker._query_json(f"services/{found['ID']}/update", method="POST", params=params, data=request)


async def _ids(docker: aiodocker.Docker, spec: ServiceSpec) -> dict[str, str]:
    """By name, of exactly the objects that the service names."""
    ids: dict[str, str] = {}
    for kind in wire.KINDS:
        wanted = {file.name for file in spec.files if file.kind == kind}
        for item in await _ask(docker, f"{kind}s"):
            if item["Spec"]["Name"] in wanted:
                ids[item["Spec"]["Name"]] = item["ID"]
    missing = sorted({file.name for file in spec.files} - set(ids))
    if missing:
        raise NotFound(
            f"service {spec.name} needs {', '.join(missing)}, which the Swarm does not have",
            hint="run the same command again: the world has changed since this plan was made",
        )
    return ids
