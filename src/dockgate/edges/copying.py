"""Copying: from a container as Docker describes it to the request that makes one like it from another image. Pure.

What the old image brought (environment, command, health check, …) is left out, so that the new one's own holds; what a
person or Compose gave is kept, labels too. A stand-in is a copy that may run beside its original: no fixed host ports,
no fixed addresses, no restart, and a label that says what it stands in for.
Invariant: nothing of the original's identity (id, mac address, host name taken from its id) is carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dockgate.model.objects import LABEL_STAND_IN

_FROM_IMAGE = (
    "Cmd",
    "Entrypoint",
    "User",
    "WorkingDir",
    "Healthcheck",
    "StopSignal",
    "Shell",
    "ExposedPorts",
    "Volumes",
    "OnBuild",
)


def copy_request(
    original: Mapping[str, Any], old_image: Mapping[str, Any], *, image: str, stand_in: bool, aliases: bool
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The request, for its first network, and the other networks with their settings. ``old_image``: the ``Config`` of
    the image it was made from. ``aliases``: whether it is known by the original's other names too."""
    config = {**original["Config"], "Image": image}
    for key in _FROM_IMAGE:
        if config.get(key) == old_image.get(key):
            config.pop(key, None)
    config["Env"] = [each for each in config.get("Env") or () if each not in (old_image.get("Env") or ())]
    brought = old_image.get("Labels") or {}
    config["Labels"] = {k: v for k, v in (config.get("Labels") or {}).items() if brought.get(k) != v}
    if config.get("Hostname") == original["Id"][:12]:
        config.pop("Hostname")
    host = dict(original["HostConfig"])
    if stand_in:
        config.pop("Hostname", None)  # Docker's DNS knows a container by its host name, too
        config["Labels"][LABEL_STAND_IN] = original["Name"].lstrip("/")
        host |= {"PortBindings": {}, "PublishAllPorts": False, "RestartPolicy": {"Name": "no"}}
    name = original["Name"].lstrip("/")
    places = {
        network: _place(place, name, original["Id"], stand_in=stand_in, aliases=aliases)
        for network, place in (original["NetworkSettings"].get("Networks") or {}).items()
    }
    first = host["NetworkMode"] if host["NetworkMode"] in places else next(iter(places), "")
    request = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": {}}}
    if first:
        host["NetworkMode"] = first
        request["NetworkingConfig"] = {"EndpointsConfig": {first: places.pop(first)}}
    return request, places


def obstacle(original: Mapping[str, Any]) -> str:
    """Why it cannot be copied; "" when it can."""
    mode = str(original["HostConfig"].get("NetworkMode", ""))
    if mode.startswith("container:"):
        return "it lives in another container's network"
    if (original["Config"].get("Labels") or {}).get("com.docker.swarm.task.id"):
        return "it is a task of a Swarm service: docker service update --image does that"
    return ""


def _place(place: Mapping[str, Any], name: str, own_id: str, *, stand_in: bool, aliases: bool) -> dict[str, Any]:
    others = [each for each in place.get("Aliases") or () if each not in (name, own_id[:12])]
    settings: dict[str, Any] = {"Aliases": others if aliases else [], "DriverOpts": place.get("DriverOpts")}
    asked = place.get("IPAMConfig") or {}
    # An engine writes the address that it chose for an overlay there, too; only the original has a right to it.
    if asked and not stand_in and place.get("IPAddress") != asked.get("IPv4Address"):
        settings["IPAMConfig"] = asked
    return settings
