"""A trace carried out: watch every namespace that some way goes through, send the request, gather, join.

Decides nothing: ``dockgate.trace`` says where the request must go and reads what was seen. A host that cannot be
watched is told, and the rest of the walk still is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any

from dockgate.controller import trace_tables as tables
from dockgate.controller.world import World
from dockgate.edges import haproxy_socket, tracing
from dockgate.edges.tracing import Job, Watcher
from dockgate.errors import DockgateError, EngineError
from dockgate.haproxy.sessions import OpenSession
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed
from dockgate.trace import HERE, Evidence, Prediction, Request, Walk, join, predict
from dockgate.trace.logline import find
from dockgate.trace.model import Hop
from dockgate.trace.sessions import entry_port
from dockgate.trace.ways import asker

FIRST_PORT, PORTS = 24_000, 8_000
"""Below what kernels give to clients, so that no other connection has our port."""
WAIT_S = 4.0
SECONDS = 15.0
CLOCKS_S = 60
"""How far apart the clocks of two machines may be for the log line to be found."""
LOG_LINES, LOG_MORE = 4_000, 10
"""A busy service writes thousands of lines a second: a minute of them is read only when the last ones do not do."""
LOG_TRIES, HELD_TRIES, LOG_PAUSE_S = 10, 5, 0.05


async def trace(desired: Desired, observed: Observed, world: World, request: Request) -> Walk:
    prediction = predict(desired, observed, request)
    jobs = _jobs(prediction, asker(observed, request).namespace)
    async with AsyncExitStack() as stack:
        opened = await asyncio.gather(*(_open(stack, world, seat, job) for seat, job in jobs.items()))
        watchers = {each.seat: each for each in opened if isinstance(each, Watcher)}
        failed = {seat: each for seat, each in zip(jobs, opened, strict=True) if isinstance(each, DockgateError)}
        if request.vantage not in watchers:
            raise failed[request.vantage]
        evidence = await _evidence(world, prediction, watchers, jobs)
        blind = [((seat, ns), error.what) for seat, error in failed.items() for ns in jobs[seat].places]
        evidence = replace(evidence, blind=(*evidence.blind, *blind))
        evidence, forwarding = await asyncio.gather(
            _with_log(world, prediction, evidence), tables.forwarding(prediction, watchers)
        )
        evidence = replace(evidence, forwarding=forwarding)
        walk = join(prediction, evidence)
        if walk.arrived:
            return join(prediction, replace(evidence, connections=await tables.connections(walk, watchers)))
        return join(prediction, replace(evidence, routes=await tables.routes(walk, watchers)))


def _jobs(prediction: Prediction, sender: str) -> dict[str, Job]:
    request = prediction.request
    port = FIRST_PORT + secrets.randbelow(PORTS)
    token = secrets.token_hex(8)
    places: dict[str, list[str]] = {request.vantage: [sender]}
    for place in prediction.places():
        known = places.setdefault(place.seat, [])
        if place.namespace not in known:
            known.append(place.namespace)
    say = (
        f"GET {request.path} HTTP/1.1\r\nHost: {request.host}\r\nUser-Agent: dockgate-trace\r\n"
        f"X-Dockgate-Trace: {token}\r\nConnection: close\r\n\r\n"
    )
    send = {"ns": sender, "port": port, "address": request.address, "to": request.port, "wait_s": WAIT_S}
    send |= {"tls": request.host if request.tls else "", "say": say if request.mode == "http" else ""}
    send |= {"echo": request.mode == "echo"}
    proxied = [hop for hop in prediction.hops if hop.session > 1]
    ends = tuple(sorted(set(_ends((*proxied, *(hop for server in prediction.servers for hop in server.hops))))))
    return {
        seat: Job(tuple(found), port, ends, token, SECONDS, prediction.vxlan, send if seat == request.vantage else None)
        for seat, found in places.items()
    }


def _ends(hops: Iterable[Hop]) -> Iterator[tuple[str, int]]:
    for hop in hops:
        yield from ((ends.address, ends.dport) for ends in (hop.before, hop.after) if ends.address)


async def _open(stack: AsyncExitStack, world: World, seat: str, job: Job) -> Watcher | DockgateError:
    try:
        opening: AbstractAsyncContextManager[Watcher]
        if seat == HERE:
            opening = tracing.here(world.recipes, job)
        else:
            opening = tracing.on_host(world.engine(seat), (await world.node(seat)).id, job)
        return await stack.enter_async_context(opening)
    except DockgateError as error:
        return error


async def _evidence(
    world: World, prediction: Prediction, watchers: Mapping[str, Watcher], jobs: Mapping[str, Job]
) -> Evidence:
    port, sender = next(iter(jobs.values())).port, watchers[prediction.request.vantage]
    answer = tracing.answer(await sender.say("send"))
    opened = answer.outcome == "open"
    first = Evidence(port=port, answer=answer)
    if opened and prediction.proxy is not None:
        first = await _reported(first, watchers, jobs)
    held = await _held(world, prediction, entry_port(prediction, first)) if opened else None
    evidence = await _reported(first, watchers, jobs)
    if prediction.request.mode == "tcp":
        await sender.say("close")
    return replace(evidence, held=held)


async def _reported(evidence: Evidence, watchers: Mapping[str, Watcher], jobs: Mapping[str, Job]) -> Evidence:
    """With everything that was seen up to now."""
    reports = dict(zip(watchers, await asyncio.gather(*map(_report, watchers.values())), strict=True))
    said = {seat: each for seat, each in reports.items() if not isinstance(each, DockgateError)}
    lost = {seat: each.what for seat, each in reports.items() if isinstance(each, DockgateError)}
    return replace(
        evidence,
        sightings=tuple(item for seat, each in said.items() for item in tracing.sightings(seat, each)),
        verdicts=tuple(item for seat, each in said.items() for item in tracing.verdicts(seat, each)),
        listeners=tuple(item for seat, each in said.items() for item in tracing.listeners(seat, each)),
        blind=(
            *(((seat, ns), str(why)) for seat in said for ns, why in said[seat]["errors"].items()),
            *(((seat, ns), why) for seat, why in lost.items() for ns in jobs[seat].places),
        ),
    )


async def _report(watcher: Watcher) -> dict[str, Any] | DockgateError:
    try:
        found: dict[str, Any] = await watcher.say("report")
    except DockgateError as error:
        return error
    return found


# --- HAProxy's own word


async def _held(world: World, prediction: Prediction, port: int) -> OpenSession | None:
    """Which server has our connection, while it is open: nothing in a bare connection tells it apart from others."""
    if prediction.balancer is None or not port:
        return None
    engine, found = world.engine(prediction.balancer.seat), None
    for _ in range(HELD_TRIES):
        try:
            found = await haproxy_socket.session(engine, prediction.balancer.name, prediction.frontend, port) or found
        except DockgateError:
            return None  # the walk is then told without it
        if found is not None and found.established:
            return found
        await asyncio.sleep(LOG_PAUSE_S)
    return found


async def _with_log(world: World, prediction: Prediction, evidence: Evidence) -> Evidence:
    """HAProxy writes its line when the request has ended, which may be a moment after we have its answer."""
    port = entry_port(prediction, evidence)
    if prediction.balancer is None or not evidence.answer.source or not port:
        return evidence
    engine = world.engine(prediction.balancer.seat)
    since = evidence.answer.at // 1_000_000 - CLOCKS_S
    for number in range(LOG_TRIES if evidence.answer.outcome == "answered" else 1):
        most = LOG_LINES * (1 if number == 0 else LOG_MORE)
        try:
            lines = await engine.last_lines(prediction.balancer.name, since=since, most=most)
        except EngineError:
            return evidence  # its log driver may not let it be read; the walk says that the line is missing
        found = find(lines, port, prediction.frontend)
        if found is not None:
            return replace(evidence, log=found)
        await asyncio.sleep(LOG_PAUSE_S)
    return evidence
