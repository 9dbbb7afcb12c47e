"""Asking a VIP for real: first its HAProxy must be ready to be judged, then it is asked from a host's node container.

Passes: any HTTP status but 502, 503 and 504; a connection that opens (mode tcp); and 503 for a pool that nobody
counted on and that has no server up. An attack
passes when it is refused. Over TLS one of the file's certificates must have come as well; a port that wants
a certificate of its clients is asked for no more than that. Invariant: a pool that must serve and does not, or a
question that could not be asked, is never a pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dockgate.controller import configs
from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges import haproxy_socket, node
from dockgate.edges.node import Answer
from dockgate.errors import ProofFailed
from dockgate.model.actions import Prove
from dockgate.model.observed import RunningHaproxy, ServerState
from dockgate.model.proof import ProofRequest

READY_S = 10.0
ASK_S = 6.0
GRACE_S = 3.0
"""How long a pool that must serve may be without a server once its checks have spoken: clients get 503 meanwhile."""
RESOLVED_S = 3
"""How old a worker must be before "its name does not resolve" is believed: some rounds of its resolver."""

CHECKED_S = 2
"""How old a worker must be before its checks are believed to be its own and not its predecessor's."""

_UNCHECKED = {"", "INI", "UNK"}
_WITH_CODE = {"L7OK", "L7OKC", "L7STS"}
_BROKEN = {502, 503, 504}
REFUSED = 403
_TURNED_AWAY = {403, 429}


@dataclass(frozen=True)
class _Question:
    """``harmless``: for an attack, how the same question is answered without one, 0 when it was not asked."""

    request: ProofRequest
    answer: Answer
    served: bool
    counted_on: bool
    harmless: int = 0

    @property
    def waits_for_members(self) -> bool:
        return self.answer.status == 503 and not self.counted_on and not self.served

    @property
    def inconclusive(self) -> bool:
        """What has nothing of an attack is turned away with the same word, before any firewall looks at it."""
        return self.answer.status in _TURNED_AWAY and self.answer.status == self.harmless

    @property
    def passes(self) -> bool:
        if self.answer.outcome != "open":
            return False
        if (tls := self.request.tls) is not None:
            if not self.answer.shown or (tls.shown and self.answer.shown not in tls.shown):
                return False
            if tls.needs_client:
                return True
        if self.request.mode == "tcp":
            return True
        if self.request.attack:
            return self.answer.status == REFUSED or self.inconclusive
        return self.answer.status > 0 and (self.answer.status not in _BROKEN or self.waits_for_members)


async def prove(world: World, action: Prove) -> str:
    container = await world.ours(action.host, action.container, "lb")
    running = await _ready(world, action, container.id)
    asked = await _ask(world, action, container.id)
    failed = next((question for question in asked if not question.passes), None)
    if failed is not None and failed.request.attack:
        raise ProofFailed(
            f"VIP {action.vip}: an attack on {_place(failed.request)}, asked from {action.vantage}, {failed.answer}"
            " and must be refused with 403",
            hint=_hint(action, failed),
        )
    if failed is not None:
        raise ProofFailed(
            f"VIP {action.vip}: {_place(failed.request)}, asked from {action.vantage}, {failed.answer};"
            f" {_pool(failed.request.pool, running.servers)}",
            hint=_hint(action, failed),
        )
    await configs.proved(world, action.host, container)
    waiting = dict.fromkeys(question.request.pool for question in asked if question.waits_for_members)
    if "" in waiting:
        return "answers 503, as maintenance asks"
    if any(question.inconclusive for question in asked if question.request.attack):
        return (
            "an attack could not be tried from outside: nobody is let in from there; every judge refused one by itself"
        )
    return f"answers 503: no member of pool {', '.join(waiting)} is up yet" if waiting else ""


async def _ready(world: World, action: Prove, container: str) -> RunningHaproxy:
    """The process with the right configuration, once its checks have settled and whoever must serve does."""
    seen: list[RunningHaproxy] = []
    settled_at: list[float] = []
    now = asyncio.get_running_loop().time

    async def judged() -> RunningHaproxy | None:
        running = await haproxy_socket.running(world.engine(action.host), container)
        seen.append(running)
        if running.structure != action.structure or not _settled(running):
            return None
        settled_at.append(now())
        return running if not _missing(action, running) or now() > settled_at[0] + GRACE_S else None

    last = await until(judged, limit_s=READY_S) or seen[-1]
    if last.structure != action.structure:
        raise ProofFailed(
            f"VIP {action.vip}: {action.container} on {action.host} runs configuration {last.structure or '(none)'}"
            f" and not {action.structure}, {READY_S:g} s after the change",
            hint=f"docker logs {action.container}",
        )
    missing = _missing(action, last)
    if missing:
        raise ProofFailed(
            f"VIP {action.vip}: pool {missing[0]} had a usable server before the change and has none"
            f" after it; {_pool(missing[0], last.servers)}",
            hint="the change was taken back; see whether the members run and answer their check",
        )
    return last


async def _ask(world: World, action: Prove, container: str) -> tuple[_Question, ...]:
    """All questions; those that do not pass are asked again until the deadline."""
    engine = world.engine(action.vantage)
    vantage = await world.node(action.vantage)
    answers: list[tuple[_Question, ...]] = []

    async def asked() -> tuple[_Question, ...] | None:
        said = await node.probe(engine, vantage.id, action.requests)
        now = await haproxy_socket.running(world.engine(action.host), container)
        up = {server.pool for server in now.servers if server.up}
        plain = {
            _way(each): answer.status for each, answer in zip(action.requests, said, strict=True) if not each.attack
        }
        questions = tuple(
            _Question(
                request, answer, request.pool in up, request.pool in action.must_serve, plain.get(_way(request), 0)
            )
            for request, answer in zip(action.requests, said, strict=True)
        )
        answers.append(questions)
        return answers[-1] if all(question.passes for question in answers[-1]) else None

    return await until(asked, limit_s=ASK_S) or answers[-1]


def _way(request: ProofRequest) -> tuple[str, int, str]:
    """What decides who may ask at all."""
    return request.address, request.port, request.pool


def _settled(running: RunningHaproxy) -> bool:
    return all(_is_settled(server, running.uptime_s) for server in running.servers)


def _is_settled(server: ServerState, uptime_s: int) -> bool:
    """This very process has an opinion about the server, and a reason for it.

    Right after a reload a server shows its predecessor's verdict, from the state file: an HTTP check without a status
    code. A status with a slash ("UP 1/2") is on its way to another one.
    """
    if "resolution" in server.status:
        return uptime_s >= RESOLVED_S
    if server.status.startswith(("MAINT", "no check")):
        return True
    inherited = server.check in _WITH_CODE and server.check_code == 0
    return server.check not in _UNCHECKED and not inherited and "/" not in server.status and uptime_s >= CHECKED_S


def _missing(action: Prove, running: RunningHaproxy) -> tuple[str, ...]:
    up = {server.pool for server in running.servers if server.up}
    return tuple(pool for pool in action.must_serve if pool not in up)


def _place(request: ProofRequest) -> str:
    if request.mode == "tcp":
        return f"{request.address}:{request.port}"
    as_host = f" for host {request.host_header}" if request.host_header else ""
    with_headers = "".join(f" with {name}: {value}" for name, value in request.headers)
    return (
        f"{'https' if request.tls else 'http'}://{request.address}:{request.port}{request.path}{as_host}{with_headers}"
    )


def _pool(pool: str, servers: Sequence[ServerState]) -> str:
    return f"pool {pool}: {_servers(server for server in servers if server.pool == pool)}"


def _servers(servers: Iterable[ServerState]) -> str:
    told = [f"{server.name} {server.status}{f' ({server.check})' if server.check else ''}" for server in servers]
    return ", ".join(told) or "has no servers"


def _hint(action: Prove, failed: _Question) -> str:
    if failed.request.attack:
        return (
            "the firewall let an attack pass: is its threshold or an exclusion too wide? docker logs of its container"
        )
    if failed.answer.outcome == "probe failed":
        return f"the question itself could not be asked: look at the node container on {action.vantage}"
    if (tls := failed.request.tls) is not None and tls.shown and failed.answer.shown not in tls.shown:
        return f"what it shows is not a certificate of the file: docker logs {action.container}"
    if failed.answer.outcome != "open":
        return f"see whether {action.container} runs on {action.host} and the way there is free"
    return "the change was taken back; see whether the members answer their check: dockgate status"
