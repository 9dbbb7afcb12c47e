"""Driving a host's node container: what must happen in the host's own network, asked for through exec.

One JSON request in an argument, one JSON answer on standard output; the program is images/node/dockgate_node.py.
Invariant: a probe that could not be carried out is an error or has the outcome "probe failed", never "dropped".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from dockgate.edges import tls_probe
from dockgate.edges.api import EngineApi, ExecResult
from dockgate.errors import EngineError
from dockgate.model.proof import ProofRequest

Outcome: TypeAlias = Literal["open", "refused", "dropped", "unreachable", "probe failed"]

PROGRAM = ("python3", "/usr/local/lib/dockgate/dockgate_node.py")
_PROBE = (*PROGRAM, "probe")
_START_S = 10.0
AT_ONCE = 16
"""Questions at a time: members are asked as many at once, and must not be taken down by a proof of hundreds of routes;
and an argument holds 128 KiB."""


@dataclass(frozen=True)
class Answer:
    """What came back. ``status``: of the HTTP answer, 0 when there was none. ``error``: in words, "" when none.
    ``shown``: over TLS, the SHA-256 fingerprint of the certificate that came, "" when none did."""

    outcome: Outcome
    status: int = 0
    error: str = ""
    seconds: float = 0.0
    shown: str = ""

    def __str__(self) -> str:
        if self.status:
            return f"answers {self.status}"
        return f"{self.outcome}{f' ({self.error})' if self.error else ''}"


async def probe(
    engine: EngineApi, node: str, requests: Sequence[ProofRequest], *, timeout_s: float = 3.0
) -> tuple[Answer, ...]:
    """Ask each, in the host's network; one answer for each request, in order."""
    answers: dict[ProofRequest, Answer] = {}
    for program, asked in (
        (_PROBE, [request for request in requests if request.tls is None]),
        (tls_probe.PROBE, [request for request in requests if request.tls is not None]),
    ):
        for start in range(0, len(asked), AT_ONCE):
            batch = asked[start : start + AT_ONCE]
            answers |= zip(batch, await _probe(engine, node, batch, program, timeout_s=timeout_s), strict=True)
    return tuple(answers[request] for request in requests)


async def _probe(
    engine: EngineApi, node: str, requests: Sequence[ProofRequest], program: Sequence[str], *, timeout_s: float
) -> tuple[Answer, ...]:
    jobs = [
        {
            "address": request.address,
            "port": request.port,
            "mode": request.mode,
            "host_header": request.host_header,
            "path": request.path,
            "timeout_s": timeout_s,
            **({"name": request.tls.name} if request.tls else {}),
            **({"headers": dict(request.headers)} if request.headers else {}),
        }
        for request in requests
    ]
    limit_s = _START_S + timeout_s * max(1, len(jobs))
    said = await _run(engine, node, "probe", jobs, limit_s=limit_s, program=program)
    try:
        answers = tuple(_answer(entry) for entry in json.loads(said))
    except (ValueError, KeyError, TypeError) as error:
        raise _nonsense(engine, node, "probe", said) from error
    if len(answers) != len(jobs):
        raise _nonsense(engine, node, "probe", said)
    return answers


async def announce(engine: EngineApi, node: str, address: str) -> None:
    """Tell the LAN by gratuitous ARP that the address is at this host."""
    program = (*PROGRAM, "announce")
    await _run(engine, node, "announce", {"address": address}, limit_s=_START_S, program=program)


async def _run(
    engine: EngineApi, node: str, verb: str, request: object, *, limit_s: float, program: Sequence[str]
) -> str:
    argv = [*program, json.dumps(request, sort_keys=True)]
    result = await engine.exec(node, argv, timeout_s=limit_s)
    if result.code != 0:
        raise EngineError(
            f"{engine.host}: the node container could not {verb}: {_complaint(result)}",
            hint=f"try it by hand: docker exec {node} {PROGRAM[0]} {PROGRAM[1]} {verb} …",
        )
    return result.stdout


def _complaint(result: ExecResult) -> str:
    """The program's own word when it could speak, else whatever was written."""
    try:
        return str(json.loads(result.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        return result.output or f"exit code {result.code}"


def _answer(entry: dict[str, object]) -> Answer:
    outcome = str(entry["outcome"]).replace("_", " ")
    if outcome not in get_args(Outcome):
        raise ValueError(outcome)
    return Answer(
        outcome=outcome,  # type: ignore[arg-type]
        status=int(str(entry.get("status") or 0)),
        error=str(entry.get("error") or ""),
        seconds=float(str(entry.get("seconds") or 0.0)),
        shown=str(entry.get("shown") or ""),
    )


def _nonsense(engine: EngineApi, node: str, verb: str, said: str) -> EngineError:
    return EngineError(
        f"{engine.host}: the node container's answer to {verb} cannot be understood: {said.strip()[:200]!r}",
        hint=f"its image may be of another version of dockgate: docker inspect {node}",
    )
