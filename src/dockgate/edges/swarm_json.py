"""Swarm's JSON: the controller's service from our specification to a request and back. Pure.

Least privilege: one replica on a manager, its own user, every capability dropped, nothing writable but a small /tmp, no
socket, no published port. The host's network, because a firewall that dockgate put into force keeps containers off the
hosts' own ports. Invariant: ``service(request) == specification`` for what ``service_request`` wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from dockgate.model.observed import Labels
from dockgate.model.swarm import (
    CONTROLLER_UID,
    FileKind,
    ServiceSpec,
    SwarmFile,
    SwarmManager,
    SwarmObject,
    SwarmService,
    SwarmTask,
)

MEMORY = 512 * 1024 * 1024
PIDS = 64
_SECOND = 1_000_000_000
_UNPRIVILEGED_API = (1, 44)
"""The API version that takes no-new-privileges for a service."""
KINDS: tuple[FileKind, ...] = get_args(FileKind)
_REFERENCE: Mapping[FileKind, tuple[str, str]] = {"config": ("Configs", "Config"), "secret": ("Secrets", "Secret")}


def service_request(spec: ServiceSpec, ids: Mapping[str, str], api: tuple[int, int]) -> dict[str, Any]:
    """``ids``: of the configs and secrets, by name."""
    container: dict[str, Any] = {
        "Image": spec.image,
        "Args": list(spec.arguments),
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "Labels": dict(spec.labels.pairs),
        "ReadOnly": True,
        "CapabilityDrop": ["ALL"],
        "Init": True,
        "StopGracePeriod": 10 * _SECOND,
        "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 16 << 20, "Mode": 0o1777}}],
        **{_REFERENCE[kind][0]: _references(kind, spec, ids) for kind in KINDS},
    }
    if api >= _UNPRIVILEGED_API:
        container["Privileges"] = {"NoNewPrivileges": True}
    return {
        "Name": spec.name,
        "Labels": dict(spec.labels.pairs),
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
        "UpdateConfig": {"Parallelism": 1, "Order": "stop-first", "FailureAction": "pause"},
        "TaskTemplate": {
            "ContainerSpec": container,
            "Placement": {"Constraints": ["node.role==manager"]},
            "Resources": {"Limits": {"MemoryBytes": MEMORY, "Pids": PIDS}},
            "RestartPolicy": {"Condition": "any", "Delay": 5 * _SECOND},
            "Networks": [{"Target": "host"}],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}},
        },
    }


def _references(kind: FileKind, spec: ServiceSpec, ids: Mapping[str, str]) -> list[dict[str, Any]]:
    _, word = _REFERENCE[kind]
    owner = str(CONTROLLER_UID)
    return [
        {
            f"{word}ID": ids[file.name],
            f"{word}Name": file.name,
            "File": {"Name": file.target, "UID": owner, "GID": owner, "Mode": 0o400},
        }
        for file in spec.files
        if file.kind == kind
    ]


def service(answer: Mapping[str, Any], tasks: tuple[SwarmTask, ...], api: tuple[int, int]) -> SwarmService:
    """From ``GET /services``. It is whole when nothing that we ask for is other than we ask for it."""
    asked = answer["Spec"]
    container = asked["TaskTemplate"]["ContainerSpec"]
    spec = ServiceSpec(
        name=asked["Name"],
        image=container["Image"],
        arguments=tuple(container.get("Args") or ()),
        environment=tuple(tuple(pair.split("=", 1)) for pair in container.get("Env") or ()),
        files=tuple(sorted(_files(container), key=lambda file: file.target)),
        labels=Labels.of(asked.get("Labels")),
    )
    ids = {item[f"{word}Name"]: item[f"{word}ID"] for word, item in _listed(container)}
    return SwarmService(answer["ID"], spec, _within(service_request(spec, ids, api), asked), tasks)


def _listed(container: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(word, item) for several, word in _REFERENCE.values() for item in container.get(several) or ()]


def _files(container: Mapping[str, Any]) -> list[SwarmFile]:
    kinds: dict[str, FileKind] = {word: kind for kind, (_, word) in _REFERENCE.items()}
    return [
        SwarmFile(kinds[word], item[f"{word}Name"], (item.get("File") or {}).get("Name", ""))
        for word, item in _listed(container)
    ]


def _within(asked: Any, there: Any) -> bool:
    """Whether what was asked for is there; Docker adds defaults of its own, leaves empty values out, and writes a
    network's id in the place of its name."""
    if isinstance(asked, Mapping):
        values = there if isinstance(there, Mapping) else {}
        return all(_within(value, values.get(key)) for key, value in asked.items() if key != "Networks")
    if isinstance(asked, list):
        found = there or []
        return len(asked) == len(found) and all(map(_within, asked, found))
    return bool(asked == there or (not asked and not there))


def files(kind: FileKind, answer: list[Mapping[str, Any]]) -> tuple[SwarmObject, ...]:
    """From ``GET /configs`` or ``/secrets``."""
    return tuple(SwarmObject(kind, item["ID"], item["Spec"]["Name"]) for item in answer)


def tasks(
    service: Mapping[str, Any], answer: list[Mapping[str, Any]], nodes: Mapping[str, str]
) -> tuple[SwarmTask, ...]:
    """From ``GET /tasks``: those that Swarm wants to run of the service as it is now, newest first. Right after an
    update those of before may still be wanted: the count of updates tells them apart. ``nodes``: names by id."""
    current = _updates(service["Spec"]["TaskTemplate"])
    wanted = [item for item in answer if item.get("DesiredState") == "running" and _updates(item["Spec"]) == current]
    wanted.sort(key=lambda item: (item.get("Version") or {}).get("Index", 0), reverse=True)
    return tuple(
        SwarmTask(
            nodes.get(item.get("NodeID", ""), ""),
            item["Status"]["State"],
            item["Status"].get("Err") or item["Status"].get("Message", ""),
        )
        for item in wanted
    )


def _updates(template: Mapping[str, Any]) -> int:
    return int(template.get("ForceUpdate") or 0)


def managers(answer: list[Mapping[str, Any]]) -> tuple[SwarmManager, ...]:
    """From ``GET /nodes``, sorted by name."""
    found = [
        SwarmManager(
            item["Description"]["Hostname"],
            item["Status"].get("Addr", ""),
            item["Status"]["State"] == "ready" and item["Spec"].get("Availability") == "active",
        )
        for item in answer
        if item["Spec"].get("Role") == "manager"
    ]
    return tuple(sorted(found, key=lambda each: each.name))
