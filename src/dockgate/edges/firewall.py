"""Driving the firewall in a host's node container: one JSON request by exec, one JSON answer back.

The program is images/node/dockgate_firewall.py. Rules go as a file into the container's volume, since an argument holds
128 KiB. Invariant: what cannot be understood is an error, never an empty state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dockgate.edges.api import EngineApi
from dockgate.errors import EngineError, NotFound
from dockgate.firewall.host_rules import HostRules, TableText
from dockgate.model.engine_rules import EngineRules
from dockgate.model.objects import CANDIDATE_RULES, NODE_DIR
from dockgate.model.observed import Absence, FirewallState

PROGRAM = ("python3", "/usr/local/lib/dockgate/dockgate_firewall.py")
QUICK_S = 10.0
LOAD_S = 120.0
CUT_AT_ONCE = 200
"""Connections in one request: an argument holds 128 KiB."""


@dataclass(frozen=True)
class KernelState:
    """What a look into a host's kernel tells: its firewall, its LAN's prefixes, br_netfilter, and the engine's part."""

    firewall: FirewallState
    lan: tuple[str, ...]
    bridge_filter: bool
    engine_rules: EngineRules


@dataclass(frozen=True)
class LiveFlow:
    """A connection that a kernel tracks. ``destination``:``dport`` is what was asked for, ``server``:``server_port``
    who answers; ``place``, ``network``, ``family``: where, in the program's words."""

    place: str
    network: str
    family: str
    protocol: str
    source: str
    destination: str
    sport: str
    dport: str
    type: str
    server: str
    server_port: str


@dataclass(frozen=True)
class Applied:
    """``flows``: the connections alive after the rules were replaced. ``own``: the host's addresses. ``missing``:
    overlays whose namespace was not found on the host."""

    flows: tuple[LiveFlow, ...]
    own: frozenset[str]
    missing: frozenset[str]


async def read_kernel(engine: EngineApi, node: str) -> KernelState:
    """Changes nothing."""
    return _understood(engine, node, "state", _kernel, await _run(engine, node, "state", {}))


@dataclass(frozen=True)
class Trial:
    """How rules are tried. ``cut``: connections that they forbid, which the kernel is to forget as soon as they are in
    force: asking again first would let them live for as long as a request takes."""

    limit_s: int
    confirm: bool
    cut: tuple[LiveFlow, ...] = ()


async def live(engine: EngineApi, node: str, rules: HostRules) -> Applied:
    """The connections that are alive now in the places of the rules. Changes nothing."""
    places = [{"place": item.place, "network": item.network} for item in rules.tables]
    said = await _run(engine, node, "flows", {"places": places}, limit_s=LOAD_S)
    return _understood(engine, node, "flows", _applied, {**said, "missing": []})


async def apply(engine: EngineApi, node: str, rules: HostRules, trial: Trial) -> Applied:
    """Check, put on trial, load; nothing is changed when nft refuses it."""
    places = [{"place": item.place, "network": item.network, "text": item.text} for item in rules.tables]
    told = {"hash": rules.hash, "places": places, "cut": [vars(flow) for flow in trial.cut]}
    await engine.put_files(node, NODE_DIR, {f"{CANDIDATE_RULES}-{rules.hash}.json": json.dumps(told).encode()})
    request = {"hash": rules.hash, "limit_s": trial.limit_s, "confirm": trial.confirm}
    said = await _run(engine, node, "apply", request, limit_s=LOAD_S)
    return _understood(engine, node, "apply", _applied, said)


async def cut(engine: EngineApi, node: str, flows: Sequence[LiveFlow]) -> None:
    """Let the kernel forget these connections; one that has ended meanwhile is no error."""
    for start in range(0, len(flows), CUT_AT_ONCE):
        part = [vars(flow) for flow in flows[start : start + CUT_AT_ONCE]]
        await _run(engine, node, "cut", part, limit_s=LOAD_S)


async def read_rules(engine: EngineApi, node: str) -> tuple[TableText, ...]:
    """What is kept; nothing when nothing is."""
    try:
        content = await engine.get_file(node, f"{NODE_DIR}/kept.json")
    except NotFound:
        return ()
    return _understood(engine, node, "kept rules", _tables, json.loads(content))


async def keep(engine: EngineApi, node: str) -> None:
    await _run(engine, node, "keep", {})


async def revert(engine: EngineApi, node: str) -> None:
    await _run(engine, node, "revert", {}, limit_s=LOAD_S)


async def remove(engine: EngineApi, node: str) -> None:
    await _run(engine, node, "remove", {}, limit_s=LOAD_S)


T = TypeVar("T")


async def _run(engine: EngineApi, node: str, verb: str, request: object, *, limit_s: float = QUICK_S) -> Any:
    result = await engine.exec(node, [*PROGRAM, verb, json.dumps(request, sort_keys=True)], timeout_s=limit_s)
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        answer = None
    if result.code != 0 or answer is None:
        told = answer["error"] if isinstance(answer, dict) and "error" in answer else result.output
        raise EngineError(
            f"{engine.host}: the firewall's {verb} failed in the node container: {told or f'exit code {result.code}'}",
            hint=f"try it by hand: docker exec {node[:12]} {' '.join(PROGRAM)} {verb} '{{}}'",
        )
    return answer


def _understood(engine: EngineApi, node: str, verb: str, read: Callable[[Any], T], answer: Any) -> T:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(
            f"{engine.host}: the node container's answer to the firewall's {verb} cannot be understood: {error!r}",
            hint=f"its image may be of another version of dockgate: docker inspect {node[:12]}",
        ) from error


def _kernel(answer: dict[str, Any]) -> KernelState:
    places = answer["places"]
    gaps = (Absence(gap["place"], gap["seconds"], gap["at"], gap["why"]) for gap in answer["gaps"])
    state = FirewallState(
        kept=answer["kept"],
        trial=answer["trial"],
        confirm=answer["confirm"],
        left_s=float(answer["left_s"]),
        in_force=all(place["in_force"] for place in places),
        foreign=any(place["foreign"] for place in places),
        legacy=tuple(answer["legacy"]),
        absences=tuple(gaps),
    )
    filtered = bool(answer["bridge_filter"]) and all(place["bridge_filter"] for place in places)
    return KernelState(state, tuple(answer["lan"]), filtered, _engine(answer["engine"]))


def _engine(answer: dict[str, Any]) -> EngineRules:
    return EngineRules(
        iptables=answer["iptables"],
        proxy=answer["proxy"],
        masquerade=answer["masquerade"],
        chains=tuple(answer["rules"]),
        forwarding=answer["forwarding"],
        forwarding6=answer["forwarding6"],
    )


def _tables(answer: dict[str, Any]) -> tuple[TableText, ...]:
    return tuple(TableText(place["place"], place["network"], place["text"]) for place in answer["places"])


def _applied(answer: dict[str, Any]) -> Applied:
    return Applied(
        tuple(LiveFlow(**flow) for flow in answer["flows"]), frozenset(answer["own"]), frozenset(answer["missing"])
    )
