"""Docker's JSON the other way round: from the values that a fake engine keeps to what an engine would answer. Pure."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from dockgate.edges.api import EngineEvent, EngineInfo, HelperSpec
from dockgate.model.objects import CONFIG_DIR, NODE_DIR, ContainerSpec, NetworkSpec
from dockgate.model.observed import Container, Labels, ObservedNetwork, PublishedPort, Volume

_NEVER = "0001-01-01T00:00:00Z"


def info(known: EngineInfo) -> dict[str, Any]:
    swarm = {
        "LocalNodeState": "inactive" if known.swarm == "none" else "active",
        "ControlAvailable": known.swarm == "manager",
        "NodeAddr": known.node_address,
    }
    return {"ServerVersion": known.version, "Swarm": swarm}


def container(seen: Container) -> dict[str, Any]:
    state: dict[str, Any] = {"Status": seen.state, "StartedAt": seen.since or _NEVER, "Pid": seen.pid}
    if seen.health:
        state["Health"] = {"Status": seen.health}
    return {
        "Id": seen.id,
        "Name": f"/{seen.name}",
        "Image": seen.image,
        "State": state,
        "Config": {
            "Image": seen.image,
            "Labels": dict(seen.labels.pairs),
            "StopSignal": str(seen.stop_signal),
            "Hostname": seen.id[:12],
            "Tty": False,
        },
        "HostConfig": {
            "NetworkMode": next(iter(seen.networks()), "none"),
            "PortBindings": _bindings(seen.wanted_ports, "tcp"),
        },
        "NetworkSettings": {
            "Networks": {
                place.network: {
                    "IPAddress": place.address,
                    "GlobalIPv6Address": place.address6,
                    "Aliases": list(place.aliases),
                }
                for place in seen.attachments
            },
            "Ports": _bindings((*seen.published, *seen.published6), "tcp") | _bindings(seen.published_udp, "udp"),
        },
    }


def _bindings(ports: tuple[PublishedPort, ...], protocol: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        place = {"HostIp": port.host_address, "HostPort": str(port.host_port)}
        found.setdefault(f"{port.container_port}/{protocol}", []).append(place)
    return found


def network(known: ObservedNetwork) -> dict[str, Any]:
    ranges = [{"Subnet": known.subnet, "Gateway": known.gateway}] if known.subnet else []
    return {
        "Id": known.id,
        "Name": known.name,
        "Driver": known.driver,
        "Scope": known.scope,
        "Internal": known.internal,
        "Attachable": known.attachable,
        "Labels": dict(known.labels.pairs),
        "IPAM": {"Config": ranges + ([{"Subnet": known.subnet6}] if known.subnet6 else [])},
        "Options": {"com.docker.network.bridge.name": known.interface} if known.interface else {},
    }


def volume(known: Volume) -> dict[str, Any]:
    return {"Name": known.name, "Labels": dict(known.labels.pairs)}


def event(happened: EngineEvent) -> dict[str, Any]:
    attributes = {"name": happened.name}
    if happened.signal:
        attributes["signal"] = str(happened.signal)
    return {
        "Type": happened.kind,
        "Action": happened.action,
        "Actor": {"ID": happened.id, "Attributes": attributes},
    }


# --- what was asked for


def container_spec(name: str, request: Mapping[str, Any]) -> ContainerSpec:
    """Of ours, or of somebody else's as far as it matters here."""
    host = request["HostConfig"]
    mounts = {each["Target"]: each["Source"] for each in host.get("Mounts") or ()}
    publish = [
        PublishedPort(int(port.partition("/")[0]), int(place["HostPort"]), place["HostIp"] or "0.0.0.0")
        for port, places in (host.get("PortBindings") or {}).items()
        for place in places
    ]
    return ContainerSpec(
        name=name,
        kind="node" if host.get("PidMode") == "host" else "lb",
        image=request["Image"],
        networks=(host["NetworkMode"],),
        publish=tuple(publish),
        config_volume=mounts.get(CONFIG_DIR, ""),
        state_volume=mounts.get(NODE_DIR, ""),
        labels=Labels.of(request.get("Labels")),
    )


def helper_spec(request: Mapping[str, Any]) -> HelperSpec:
    return HelperSpec(
        image=request["Image"],
        volumes_of=request["HostConfig"]["VolumesFrom"][0],
        argv=(*request["Entrypoint"], *request["Cmd"]),
        labels=Labels.of(request.get("Labels")),
        user=request["User"],
    )


def network_spec(request: Mapping[str, Any]) -> NetworkSpec:
    place = next(iter((request.get("IPAM") or {}).get("Config") or ()), {})
    return NetworkSpec(
        name=request["Name"],
        driver=request["Driver"],
        internal=request["Internal"],
        attachable=request["Attachable"],
        subnet=place.get("Subnet", ""),
        gateway=place.get("Gateway", ""),
        options=tuple(request.get("Options", {}).items()),
        labels=Labels.of(request.get("Labels")),
    )


def packed(name: str, content: bytes) -> bytes:
    """An archive with one file."""
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {entry.name: tar.extractfile(entry) for entry in tar if entry.isreg()}
        return {name: file.read() for name, file in files.items() if file is not None}
