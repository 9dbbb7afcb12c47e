"""Docker's JSON: from its answers to our values, and from our specifications to its requests. Pure.

The only place that knows Docker's field names, and the only one with ``Any``. What a newer or older engine leaves out
reads as its empty value; an answer that lacks what we cannot do without is an error of the caller's (KeyError).
"""

from __future__ import annotations

from collections.abc import Mapping
from signal import Signals
from typing import Any

from dockgate.edges.api import EngineEvent, HelperSpec
from dockgate.model.objects import (
    CONFIG_DIR,
    HAPROXY_UID,
    NODE_DIR,
    RUN_DIR,
    WAF_RULES,
    WAF_SOCKETS,
    ContainerSpec,
    NetworkSpec,
)
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    ObservedNetwork,
    PublishedPort,
    SwarmRole,
    Volume,
)

GATEWAY_PRIORITY_API = (1, 48)
"""The API version that lets us say which network a container's default route goes through."""

_HEALTH = {"starting", "healthy", "unhealthy"}
_NEVER = "0001-01-01T00:00:00Z"
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_NO_GAIN = ["no-new-privileges:true"]
_SEES_ENGINE = ("apparmor=unconfined",)
"""Docker's own AppArmor profile keeps a container from looking into any process outside, whatever capability it has."""


def swarm_role(info: Mapping[str, Any]) -> SwarmRole:
    swarm = info.get("Swarm") or {}
    if swarm.get("LocalNodeState") != "active":
        return "none"
    return "manager" if swarm.get("ControlAvailable") else "worker"


def node_address(info: Mapping[str, Any]) -> str:
    return str((info.get("Swarm") or {}).get("NodeAddr") or "") if swarm_role(info) != "none" else ""


def vxlan_port(info: Mapping[str, Any]) -> int | None:
    """Of the Swarm's overlay networks; None where it is not told, as on a worker."""
    return int(((info.get("Swarm") or {}).get("Cluster") or {}).get("DataPathPort") or 0) or None


def container(answer: Mapping[str, Any]) -> Container:
    """From ``GET /containers/ID/json``."""
    state = answer["State"]
    name = str(answer["Name"]).lstrip("/")
    health = (state.get("Health") or {}).get("Status", "")
    since = state.get("StartedAt") or ""
    return Container(
        id=answer["Id"],
        name=name,
        image=answer["Config"]["Image"],
        state=state["Status"],
        labels=Labels.of(answer["Config"].get("Labels")),
        attachments=_attachments(answer, name),
        published=_ports(answer["NetworkSettings"].get("Ports")),
        published_udp=_every_port(answer["NetworkSettings"].get("Ports"), "udp"),
        published6=tuple(
            port for port in _every_port(answer["NetworkSettings"].get("Ports"), "tcp") if ":" in port.host_address
        ),
        wanted_ports=_ports(answer["HostConfig"].get("PortBindings")),
        health=health if health in _HEALTH else "",
        since="" if since == _NEVER else since,
        stop_signal=_signal(answer["Config"].get("StopSignal")) or int(Signals.SIGTERM),
        pid=int(state.get("Pid") or 0),
    )


def event(answer: Mapping[str, Any]) -> EngineEvent | None:
    """From a line of ``GET /events``; None for the execs, of which there are many and all are somebody's own."""
    action = str(answer.get("Action", ""))
    if action.startswith("exec_"):
        return None
    actor = answer.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    return EngineEvent(
        kind=str(answer.get("Type", "")),
        action=action,
        id=str(actor.get("ID", "")),
        name=str(attributes.get("name", "")),
        signal=_signal(attributes.get("signal")),
    )


def _signal(said: object) -> int:
    """Docker writes a number in events, and what the image says ("SIGQUIT", "QUIT", "3") in a container."""
    word = str(said or "").upper()
    if word.isdigit():
        return int(word)
    name = word if word.startswith("SIG") else f"SIG{word}"
    return int(Signals[name]) if name in Signals.__members__ else 0


def _attachments(answer: Mapping[str, Any], name: str) -> tuple[Attachment, ...]:
    own = {name, answer["Id"][:12]}
    networks = answer["NetworkSettings"].get("Networks") or {}
    return tuple(
        Attachment(
            network=network,
            address=place.get("IPAddress") or "",
            aliases=tuple(sorted({*(place.get("DNSNames") or ()), *(place.get("Aliases") or ())} - own)),
            address6=place.get("GlobalIPv6Address") or "",
        )
        for network, place in sorted(networks.items())
    )


def _ports(bindings: Mapping[str, Any] | None) -> tuple[PublishedPort, ...]:
    """TCP over IPv4 only."""
    return tuple(port for port in _every_port(bindings, "tcp") if ":" not in port.host_address)


def _every_port(bindings: Mapping[str, Any] | None, protocol: str) -> tuple[PublishedPort, ...]:
    """Both families, with a port that is known. An engine writes "" or 0 for a port that it will choose."""
    found = {
        PublishedPort(int(port.removesuffix(f"/{protocol}")), int(place["HostPort"]), place.get("HostIp") or "0.0.0.0")
        for port, places in (bindings or {}).items()
        if port.endswith(f"/{protocol}")
        for place in places or ()
        if place.get("HostPort") not in (None, "", "0")
    }
    return tuple(sorted(found, key=lambda p: (p.container_port, p.host_address, p.host_port)))


def network(answer: Mapping[str, Any]) -> ObservedNetwork:
    """From ``GET /networks``: which containers are on it, that answer does not tell."""
    ranges = (answer.get("IPAM") or {}).get("Config") or ()
    first: Mapping[str, Any] = next((entry for entry in ranges if ":" not in entry.get("Subnet", "")), {})
    first6: Mapping[str, Any] = next((entry for entry in ranges if ":" in entry.get("Subnet", "")), {})
    options = answer.get("Options") or {}
    return ObservedNetwork(
        id=answer["Id"],
        name=answer["Name"],
        driver=answer["Driver"],
        scope=answer["Scope"],
        internal=bool(answer.get("Internal")),
        attachable=bool(answer.get("Attachable")),
        labels=Labels.of(answer.get("Labels")),
        gateway=first.get("Gateway", "").partition("/")[0],
        subnet=first.get("Subnet", ""),
        mtu=int(mtu) if (mtu := options.get("com.docker.network.driver.mtu", "")).isdigit() else None,
        subnet6=first6.get("Subnet", ""),
        interface=options.get("com.docker.network.bridge.name", ""),
        icc=options.get("com.docker.network.bridge.enable_icc", "true") != "false",
        masquerade=options.get("com.docker.network.bridge.enable_ip_masquerade", "true") != "false"
        and options.get("com.docker.network.bridge.gateway_mode_ipv4", "nat") in ("", "nat", "nat-unprotected"),
    )


def volume(answer: Mapping[str, Any]) -> Volume:
    return Volume(name=answer["Name"], labels=Labels.of(answer.get("Labels")))


def network_request(spec: NetworkSpec) -> dict[str, Any]:
    request: dict[str, Any] = {
        "Name": spec.name,
        "Driver": spec.driver,
        "Internal": spec.internal,
        "Attachable": spec.attachable,
        "CheckDuplicate": True,
        "Options": dict(spec.options),
        "Labels": dict(spec.labels.pairs),
    }
    place = {"Subnet": spec.subnet, "Gateway": spec.gateway}
    if spec.subnet:
        request["IPAM"] = {"Config": [{key: value for key, value in place.items() if value}]}
    return request


def container_request(spec: ContainerSpec, api: tuple[int, int]) -> dict[str, Any]:
    """Created on its first network; the others are connected before it starts.

    Restart policy ``always``: with ``unless-stopped`` it would stay down when its engine was killed, because the engine
    ends what still runs when it starts again, and takes its own stopping for ours (moby 26, without live-restore). So
    that what was stopped because another took its place does not come back to fight for the port, stopping takes the
    policy away (``restart_request``).
    """
    first = spec.networks[0]
    request: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels.pairs),
        "ExposedPorts": {f"{port.container_port}/tcp": {} for port in spec.publish},
        "HostConfig": {
            **_confined(memory_mb=spec.memory_mb, pids=spec.pids, nofile=spec.nofile),
            "SecurityOpt": [*_NO_GAIN, *(_SEES_ENGINE if spec.kind == "node" else ())],
            "CapAdd": list(spec.capabilities),
            "NetworkMode": first,
            "PidMode": "host" if spec.kind == "node" else "",
            "PortBindings": _bindings(spec.publish),
            **restart_request(comes_back=True),
            "DnsOptions": list(spec.dns_options),
            "Tmpfs": _run_dir() if spec.run_tmpfs else {},
            "Mounts": [
                *([_volume_mount(spec.config_volume, _config_dir(spec))] if spec.config_volume else []),
                *([_volume_mount(spec.state_volume, NODE_DIR)] if spec.state_volume else []),
                *([_sockets_mount(spec)] if spec.sockets_volume else []),
            ],
        },
    }
    if first not in ("host", "none"):
        place = {"GwPriority": 100} if api >= GATEWAY_PRIORITY_API else {}
        request["NetworkingConfig"] = {"EndpointsConfig": {first: place}}
    return request


def restart_request(*, comes_back: bool) -> dict[str, Any]:
    """Whether a container comes back with Docker and with the host, as it stands in a container's update."""
    return {"RestartPolicy": {"Name": "always" if comes_back else "no"}}


def helper_request(spec: HelperSpec) -> dict[str, Any]:
    return {
        "Image": spec.image,
        "Labels": dict(spec.labels.pairs),
        "User": spec.user if ":" in spec.user else f"{spec.user}:{spec.user}",
        "Entrypoint": [spec.argv[0]],
        "Cmd": list(spec.argv[1:]),
        "HostConfig": {
            **_confined(memory_mb=256, pids=64, nofile=20_000),
            "NetworkMode": "none",
            "VolumesFrom": [spec.volumes_of],
        },
    }


def _confined(*, memory_mb: int, pids: int, nofile: int) -> dict[str, Any]:
    """What none of our containers may do, and a log that cannot fill a disk."""
    memory = memory_mb * 1024 * 1024
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": _NO_GAIN,
        "ReadonlyRootfs": True,
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": pids,
        "Ulimits": [{"Name": "nofile", "Soft": nofile, "Hard": nofile}],
        "LogConfig": _LOGS,
    }


def _run_dir() -> dict[str, str]:
    return {RUN_DIR: f"rw,nosuid,nodev,noexec,size=16m,uid={HAPROXY_UID},gid={HAPROXY_UID},mode=0700"}


def _volume_mount(name: str, target: str) -> dict[str, Any]:
    """NoCopy: a configuration that an image brings along must not look like one of ours."""
    return {"Type": "volume", "Source": name, "Target": target, "VolumeOptions": {"NoCopy": True}}


def _config_dir(spec: ContainerSpec) -> str:
    return WAF_RULES if spec.kind == "waf" else CONFIG_DIR


def _sockets_mount(spec: ContainerSpec) -> dict[str, Any]:
    """The firewall's image says who may use the folder, and Docker gives the volume that owner and mode; a load
    balancer only connects to what is there."""
    own = spec.kind == "waf"
    mount = {"Type": "volume", "Source": spec.sockets_volume, "Target": WAF_SOCKETS, "ReadOnly": not own}
    return {**mount, "VolumeOptions": {"NoCopy": not own}}


def _bindings(ports: tuple[PublishedPort, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        place = {"HostIp": port.host_address, "HostPort": str(port.host_port)}
        bindings.setdefault(f"{port.container_port}/tcp", []).append(place)
    return bindings
