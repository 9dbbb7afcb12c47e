"""A firewall's container asked: how it stands, and what it makes of its rules. One command by exec, one line of JSON.

Invariant: an answer that cannot be understood is an error, never a firewall that works.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dockgate.edges.api import EngineApi, ExecResult
from dockgate.errors import EngineError
from dockgate.model.objects import LABEL_NAME, WAF_PROGRAM
from dockgate.model.observed import Container
from dockgate.model.waf import Refusal, WafState

_STATUS_S = 30.0


@dataclass(frozen=True)
class Mistake:
    """What the engine does not understand: ``file`` in the container, ``line`` from 1, 0 where it does not say."""

    file: str
    line: int
    what: str


async def status(engine: EngineApi, container: Container) -> WafState:
    """With an attack on each judge."""
    result = await engine.exec(container.id, [*WAF_PROGRAM, "status"], timeout_s=_STATUS_S)
    if result.code != 0:
        raise _mute(engine, container.name, _said(result) or result.output)
    try:
        return _state(container, json.loads(result.stdout))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _mute(engine, container.name, f"its answer cannot be understood ({error!r})") from error


def mistake(result: ExecResult) -> Mistake | None:
    """From the output of ``check``; None when the rules are good."""
    if result.code == 0:
        return None
    try:
        said = json.loads(result.stdout.strip().splitlines()[-1])
        return Mistake(str(said.get("file", "")), int(said.get("line", 0)), str(said["error"]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Mistake("", 0, result.output or f"exit code {result.code}")


def _said(result: ExecResult) -> str:
    found = mistake(result)
    return found.what if found else ""


def _mute(engine: EngineApi, name: str, why: str) -> EngineError:
    what = f"{engine.host}: the firewall {name} does not say how it stands: {' '.join(why.split())[:300]}"
    return EngineError(what, hint=f"docker logs {name}")


def _state(container: Container, said: Mapping[str, Any]) -> WafState:
    counts = said["counts"]
    return WafState(
        container=container.name,
        vip=container.labels.get(LABEL_NAME) or "",
        rule_set=str(said["set"]),
        engine=str(said["engine"]),
        rules=int(said["rules"]),
        judges=int(said["judges"]),
        wanted=int(said["wanted"]),
        restarts=int(said["restarts"]),
        passed=int(counts["passed"]),
        refused=int(counts["refused"]),
        would_refuse=int(counts["would refuse"]),
        canaries=tuple(str(each) for each in said["canaries"]),
        last=tuple(_refusal(each) for each in said["last"]),
    )


def _refusal(said: Mapping[str, Any]) -> Refusal:
    rules = tuple((int(each["rule"]), str(each["message"]), str(each["part"])) for each in said["rules"])
    return Refusal(
        at=float(said["at"]),
        action=str(said["action"]),
        status=int(said["status"]),
        request_id=str(said["id"]),
        client=str(said["client"]),
        method=str(said["method"]),
        path=str(said["path"]),
        score=int(said["score"]),
        rules=rules,
    )
