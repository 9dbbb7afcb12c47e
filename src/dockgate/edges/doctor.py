"""Driving dockgate_doctor.py on a host through its node container's exec, and trying an engine's event stream.

Decides nothing. Invariant: an answer that cannot be understood is an error and never a healthy one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from dockgate.doctor.model import Asked, HostFacts, InsideFacts, Kind, Link, Meeting, OverlayFacts
from dockgate.edges.api import EngineApi
from dockgate.errors import DockgateError, EngineError
from dockgate.model.observed import Unknown

PROGRAM = "/usr/local/lib/dockgate/dockgate_doctor.py"
_LIMIT_S = 15.0
_PIECE = 100_000
"""Characters of an argument: the kernel takes 128 KiB."""
_HINT = "its image may be older than this dockgate: bring the new one to the host, then dockgate up"


@dataclass(frozen=True)
class Room:
    """A host's node container."""

    engine: EngineApi
    node: str

    async def run(self, verb: str, request: object, limit_s: float = _LIMIT_S) -> Any:
        text = json.dumps(request, sort_keys=True)
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
        done = await self.engine.exec(self.node, ["python3", PROGRAM, verb, *pieces], timeout_s=limit_s)
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            said = done.output[-300:] or f"exit code {done.code}"
            raise EngineError(f"{self.engine.host}: its node container could not {verb}: {said}", hint=_HINT) from error
        if done.code != 0:
            raise EngineError(f"{self.engine.host}: its node container could not {verb}: {answer['error']}", hint=_HINT)
        return answer


async def look(room: Room, pids: Mapping[str, int], overlays: Iterable[str]) -> HostFacts:
    before = time.time()
    said = await room.run("look", {"pids": dict(pids), "overlays": sorted(overlays)})
    after = time.time()
    try:
        return HostFacts(
            ahead_s=said["clock"] - (before + after) / 2,
            doubt_s=(after - before) / 2,
            links=_links(said["links"]),
            conntrack=(said["conntrack"][0], said["conntrack"][1]) if said["conntrack"] else None,
            listening=_listening(said["listening"]),
            containers={name: _inside(found) for name, found in said["containers"].items()},
            overlays={ident: _overlay(found) for ident, found in said["overlays"].items()},
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _nonsense(room, "look", said) from error


def _links(found: list[dict[str, Any]]) -> tuple[Link, ...]:
    return tuple(
        Link(each["name"], each["mac"], int(each["mtu"]), bool(each["carrier"]), tuple(each["addresses"]))
        for each in found
    )


def _listening(found: list[list[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(address), int(port)) for protocol, address, port in found if protocol == "tcp")


def _inside(found: dict[str, Any]) -> InsideFacts | Unknown:
    if "error" in found:
        return Unknown(found["error"])
    return InsideFacts(_links(found["links"]), _pairs(found["neighbours"]), _listening(found["listening"]))


def _overlay(found: dict[str, Any]) -> OverlayFacts | Unknown:
    if "error" in found:
        return Unknown(found["error"])
    return OverlayFacts(_pairs(found["neighbours"]), _pairs(found["hosts"]))


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one), str(other)) for one, other in found)


@dataclass(frozen=True)
class Round:
    """What all hosts do at the same time. ``size``: bytes of a full packet. ``vxlan``: the UDP port of overlays.
    ``arp``: whom to ask the LAN for."""

    token: str
    size: int
    vxlan: int
    arp: frozenset[str]
    seconds: float


async def meet(room: Room, peers: Mapping[str, str], one: Round) -> Meeting:
    """``peers``: address of each other host."""
    request = {
        "token": one.token,
        "name": room.engine.host,
        "seconds": one.seconds,
        "vxlan": one.vxlan,
        "peers": [[name, address, one.size] for name, address in sorted(peers.items())],
        "arp": sorted(one.arp),
    }
    said = await room.run("meet", request, _LIMIT_S + one.seconds)
    try:
        return Meeting(
            heard=frozenset((str(sender), _kind(kind)) for sender, kind in said["heard"]),
            refused={(str(peer), _kind(kind)): str(why) for peer, kind, why in said["refused"]},
            gossip={str(peer): str(outcome) for peer, outcome in said["gossip"].items()},
            arp=frozenset((str(address), str(mac)) for address, mac in said["arp"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(room, "meet", said) from error


def _kind(text: str) -> Kind:
    found: Kind
    for found in get_args(Kind):
        if found == text:
            return found
    raise ValueError(text)


async def ask(room: Room, pid: int, names: Iterable[str], doors: Iterable[tuple[str, int]]) -> Asked:
    """From within the network of the container whose first process is ``pid``."""
    wanted = sorted(set(doors))
    said = await room.run("ask", {"pid": pid, "names": sorted(set(names)), "doors": wanted})
    try:
        return Asked(
            names={name: _addresses(found) for name, found in said["names"].items()},
            doors=dict(zip(wanted, map(str, said["doors"]), strict=True)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(room, "ask", said) from error


def _addresses(found: dict[str, Any]) -> tuple[str, ...] | Unknown:
    return Unknown(str(found["error"])) if "error" in found else tuple(map(str, found["addresses"]))


async def events_open(engine: EngineApi) -> str:
    """ "" when the engine's event stream opens, else why not."""
    try:
        async with engine.events():
            return ""
    except DockgateError as error:
        return error.what


def _nonsense(room: Room, verb: str, said: object) -> EngineError:
    return EngineError(
        f"{room.engine.host}: its node container's answer to {verb} is not understood: {str(said)[:200]!r}", hint=_HINT
    )
