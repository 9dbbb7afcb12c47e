"""Driving dockgate_reach.py, on a host through its node container's exec, or where dockgate itself runs.

One JSON request in arguments, one JSON answer on standard output. Decides nothing. Invariant: an answer that cannot be
understood, or is not one for each question, is an error and never an outcome.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

from dockgate.edges.api import EngineApi
from dockgate.errors import EngineError
from dockgate.model.observed import Unknown
from dockgate.verify.jobs import Control, Responder, Seen, Sent, Traced
from dockgate.verify.model import Cell, Decided, Job, Outcome, Place
from dockgate.verify.scene import Link, Listener, Survey

PROGRAM = "/usr/local/lib/dockgate/dockgate_reach.py"
PIECE = 100_000
"""Characters of an argument: the kernel takes 128 KiB, and a million and more in all of them."""

MOST_JOBS = 4000
_LIMIT_S = 30.0


@dataclass(frozen=True)
class Served:
    """``rules``: the comment of each chain of our table by namespace, None where there is no table."""

    failed: tuple[str, ...]
    rules: dict[str, dict[str, str] | None]


@dataclass(frozen=True)
class Order:
    """A packet to send: a job or the control of one. ``sport``: its source port."""

    what: Job | Control
    sport: int
    wait_s: float


class Seat(Protocol):
    """Somewhere the program runs."""

    @property
    def name(self) -> str: ...

    async def run(self, verb: str, request: object) -> Any: ...


@dataclass(frozen=True)
class NodeSeat:
    """A host, through its node container."""

    engine: EngineApi
    node: str

    @property
    def name(self) -> str:
        return self.engine.host

    async def run(self, verb: str, request: object) -> Any:
        argv = ["python3", PROGRAM, verb, *_pieces(request)]
        done = await self.engine.exec(self.node, argv, timeout_s=_LIMIT_S)
        return _answer(self.name, verb, code=done.code, said=done.stdout, more=done.stderr)


@dataclass(frozen=True)
class LocalSeat:
    """Where dockgate runs."""

    program: Path

    @property
    def name(self) -> str:
        return "here"

    async def run(self, verb: str, request: object) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(self.program), verb, *_pieces(request),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, more = await process.communicate()
        code = process.returncode or 0
        return _answer(self.name, verb, code=code, said=said.decode(), more=more.decode(errors="replace"))


def _pieces(request: object) -> list[str]:
    text = json.dumps(request, sort_keys=True)
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _answer(name: str, verb: str, *, code: int, said: str, more: str) -> Any:
    try:
        answer = json.loads(said)
    except ValueError as error:
        complaint = (more.strip() or said.strip())[-300:] or f"exit code {code}"
        raise EngineError(f"{name}: could not {verb} for the proof: {complaint}", hint=_HINT) from error
    if code != 0:
        raise EngineError(f"{name}: could not {verb} for the proof: {answer['error']}", hint=_HINT)
    return answer


_HINT = "run `dockgate up`, which brings the node containers to this version, and then again"


async def survey(seat: Seat, pids: dict[str, int], overlays: Iterable[str]) -> Survey:
    said = await seat.run("survey", {"pids": pids, "overlays": sorted(overlays)})
    try:
        return Survey(
            links=tuple(Link(link["name"], link["mac"], tuple(link["addresses"])) for link in said["links"]),
            listening=_listeners(said["listening"]),
            containers={
                name: Unknown(found["error"]) if "error" in found else _listeners(found["listening"])
                for name, found in said["containers"].items()
            },
            vnis={
                ident: Unknown(found["error"]) if "error" in found else int(found["vni"])
                for ident, found in said["overlays"].items()
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(seat, "survey", said) from error


def _listeners(found: Iterable[Sequence[Any]]) -> tuple[Listener, ...]:
    return tuple(Listener(str(protocol), str(address), int(port)) for protocol, address, port in found)


async def serve(
    seat: Seat, token: str, *, answer: Iterable[Responder], watch: Iterable[str], trace: Iterable[str], seconds: float
) -> Served:
    """Have the answering side up; it ends with ``collect``, or by itself after ``seconds``."""
    request = {
        "token": token,
        "seconds": seconds,
        "responders": [
            {"ns": item.namespace, "protocol": item.protocol, "address": item.end[0], "port": item.end[1]}
            for item in sorted(answer)
        ],
        "watch": sorted(watch),
        "trace": sorted(trace),
    }
    said = await seat.run("serve", request)
    return Served(tuple(said["failed"]), dict(said["rules"]))


async def probe(seat: Seat, orders: Sequence[Order]) -> tuple[tuple[Outcome, str, str], ...]:
    """Outcome, error and text of each, in order."""
    found: list[tuple[Outcome, str, str]] = []
    for start in range(0, len(orders), MOST_JOBS):
        batch = orders[start : start + MOST_JOBS]
        said = await seat.run("probe", {"jobs": [_job(order) for order in batch]})
        try:
            found += [(_outcome(outcome), str(error), str(text)) for outcome, error, text in said]
        except (TypeError, ValueError) as error:
            raise _nonsense(seat, "probe", said) from error
    if len(found) != len(orders):
        raise _nonsense(seat, "probe", f"{len(found)} answers to {len(orders)} questions")
    return tuple(found)


def sent(order: Order, answer: tuple[Outcome, str, str]) -> Sent:
    assert not isinstance(order.what, Control)
    return Sent(order.what, order.sport, *answer)


def _job(order: Order) -> dict[str, Any]:
    what = order.what
    if isinstance(what, Control):
        job = {"ns": what.spot.namespace, "kind": "connect", "protocol": what.protocol, "source": what.end.address,
               "address": what.end.address, "port": what.end.port}  # fmt: skip
    elif isinstance(what, Cell):
        job = {"ns": what.source.namespace, "kind": "connect", "protocol": what.protocol, "source": what.address,
               "address": what.asked.address, "port": what.asked.port}  # fmt: skip
        job |= _frame(what) if what.frame else {}
    else:
        job = {"ns": what.source.namespace, "kind": "ask", "protocol": "tcp", "source": what.address,
               "address": what.asked.address, "port": what.asked.port, "say": what.say}  # fmt: skip
    return {**job, "sport": order.sport, "wait_s": order.wait_s}


def _frame(cell: Cell) -> dict[str, Any]:
    assert cell.frame is not None
    made: dict[str, Any] = {"kind": "frame", "device": cell.frame.device, "mac": cell.frame.mac}
    if cell.frame.vni:
        made |= {"kind": "vxlan", "vni": cell.frame.vni, "inner_source": cell.frame.inner_source,
                 "inner": cell.ends.address, "inner_port": cell.ends.port}  # fmt: skip
    return made


async def collect(
    seat: Seat, token: str, places: Iterable[Place], rules: dict[str, dict[str, str] | None]
) -> tuple[list[Seen], list[Traced]]:
    said = await seat.run("collect", {"token": token})
    names = {place.namespace: place.name for place in places}
    try:
        seen = [Seen(*item) for item in said["seen"]]
        traced = [_traced(item, names, rules) for item in said["decided"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _nonsense(seat, "collect", said) from error
    return seen, traced


def _traced(item: Sequence[Any], names: dict[str, str], rules: dict[str, dict[str, str] | None]) -> Traced:
    namespace, protocol, source, sport, _, _, family, table, chain, verdict = item
    ours = (rules.get(namespace) or {}) if (family, table) == ("inet", "dockgate") else {}
    place = names.get(namespace, namespace)
    return Traced(
        protocol, source, int(sport), Decided(place, f"{family} {table}", chain, verdict, ours.get(chain, ""))
    )


def _outcome(text: str) -> Outcome:
    found: Outcome
    for found in get_args(Outcome):
        if found == text.replace("_", " "):
            return found
    raise ValueError(text)


def _nonsense(seat: Seat, verb: str, said: object) -> EngineError:
    return EngineError(f"{seat.name}: the answer to {verb} cannot be understood: {str(said)[:200]!r}", hint=_HINT)
