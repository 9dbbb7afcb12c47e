"""The proof carried out: look at every host, have the answering side ready, send every packet, join, judge.

Decides nothing about what is right: that is ``verify.judge``. Cells that are not as they must be are asked a second
time, alone and more patiently, so that a busy machine is not taken for a fault; what is wrong twice is wrong, and what
was let through once is wrong at once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dockgate.controller.world import World
from dockgate.edges import reach
from dockgate.edges.reach import LocalSeat, NodeSeat, Order, Seat, Served
from dockgate.errors import DockgateError
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, ObservedHost, Unknown
from dockgate.verify import Cell, Proof, Result, Scene, all_jobs, controls, judge, make_scene, measure, places, touching
from dockgate.verify import responders as responders_of
from dockgate.verify.attacks import unasked
from dockgate.verify.jobs import Control, Controlled, Responder, Seen, Sent, Traced
from dockgate.verify.model import HERE, Job, Measured, Outcome, Place
from dockgate.verify.scene import Survey
from dockgate.waf.view import troubles

FIRST_PORT, LAST_PORT = 61_000, 65_299
FIRST_UNTRACKED, LAST_UNTRACKED = 65_300, 65_535
WAIT_S, SECOND_WAIT_S = 0.7, 2.0
SERVE_S = 60.0

Say = Callable[[str], None]


async def verify(
    desired: Desired,
    observed: Observed,
    world: World,
    *,
    client: Path | None = None,
    changed: Container[str] | None = None,
    say: Say = lambda _: None,
) -> Proof:
    """``client``: the probe program, if the place where dockgate runs is to be a vantage too. ``changed``: hosts whose
    rules are new; then only what these can decide is asked, and members that are not there yet are no failure."""
    started = time.monotonic()
    say("looking at the hosts")
    seats, surveys = await _look(observed, world)
    here: Survey | None = None
    if client is not None:
        seats[HERE] = LocalSeat(client)
        here = await reach.survey(seats[HERE], {}, ())
    scene = make_scene(desired, observed, surveys, here)
    jobs = all_jobs(scene) if changed is None else touching(all_jobs(scene), changed)
    say(f"sending {len(jobs)} probes")
    first = await _Round(scene, seats, jobs, WAIT_S).results()
    again = [result.job for result in first.results if result.status != "ok" and not result.final]
    second = first
    if again:
        say(f"asking {len(again)} again that are not as they must be")
        second = await _Round(scene, seats, again, SECOND_WAIT_S).results()
    mended = {result.job: result for result in second.results}
    return Proof(
        results=tuple(mended.get(result.job, result) for result in first.results),
        missing=(
            *scene.missing,
            *(scene.absent if changed is None else ()),
            *dict.fromkeys((*first.missing, *second.missing)),
            *(troubles(desired, observed) if changed is None else ()),
        ),
        skipped=(*scene.skipped, *unasked(scene), *(() if changed is None else scene.absent)),
        seconds=time.monotonic() - started,
    )


async def _look(observed: Observed, world: World) -> tuple[dict[str, Seat], Mapping[str, Survey | Unknown]]:
    seats: dict[str, Seat] = {}

    async def one(host: ObservedHost) -> Survey | Unknown:
        try:
            node = await world.node(host.name)
            seats[host.name] = NodeSeat(world.engine(host.name), node.id)
            pids = {c.name: c.pid for c in host.containers if c.pid and set(c.networks()) - {"host", "none"}}
            overlays = {net.id for net in host.networks if net.driver == "overlay" and net.containers}
            return await reach.survey(seats[host.name], pids, overlays)
        except DockgateError as error:
            return Unknown(error.what)

    hosts = observed.known()
    found = await asyncio.gather(*(one(host) for host in hosts))
    return seats, {host.name: survey for host, survey in zip(hosts, found, strict=True)}


@dataclass(frozen=True)
class _Told:
    results: tuple[Result, ...]
    missing: tuple[str, ...]


class _Round:
    """All the jobs once: every seat's answering side first, then every seat's packets at the same time."""

    def __init__(self, scene: Scene, seats: Mapping[str, Seat], jobs: Sequence[Job], wait_s: float) -> None:
        self._scene = scene
        self._seats = {name: seat for name, seat in seats.items() if name == HERE or name in scene.hosts}
        self._jobs = jobs
        self._wait_s = wait_s
        self._places: dict[str, tuple[Place, ...]] = places(scene)
        self._token = secrets.token_hex(8)
        self._missing: list[str] = []
        self._start = int(time.time() * 64)
        self._count: Counter[str] = Counter()

    async def results(self) -> _Told:
        served = await self._serve()
        measured = await self._ask(served)
        return _Told(judge(self._jobs, measured), tuple(self._missing))

    async def _serve(self) -> dict[str, Served]:
        """The answering side of every seat; one that cannot is left out, and what it would have sent is missing."""
        answering = responders_of(self._jobs)
        watched: dict[str, set[str]] = {}
        for job in self._jobs:
            if isinstance(job, Cell) and job.target.seat != HERE:
                watched.setdefault(job.target.seat, set()).add(job.target.namespace)

        async def one(name: str, seat: Seat) -> Served | None:
            answer: set[Responder] = answering.get(name, set())
            trace = [place.namespace for place in self._places.get(name, ())]
            try:
                return await reach.serve(
                    seat, self._token, answer=answer, watch=watched.get(name, set()), trace=trace, seconds=SERVE_S
                )  # fmt: skip
            except DockgateError as error:
                self._missing.append(error.what)
                return None

        found = await asyncio.gather(*(one(name, seat) for name, seat in self._seats.items()))
        served = {name: said for name, said in zip(self._seats, found, strict=True) if said is not None}
        for name, said in served.items():
            self._missing += self._complaints(name, said)
        return served

    def _complaints(self, name: str, said: Served) -> Iterator[str]:
        yield from (f"{name or 'here'}: could not {failure}" for failure in said.failed)
        for place in self._places.get(name, ()):
            if said.rules.get(place.namespace) is None and self._scene.promises:
                yield f"{place.name} has no table inet dockgate: its rules are not in force"

    async def _ask(self, served: Mapping[str, Served]) -> tuple[Measured | None, ...]:
        orders: dict[str, list[Order]] = {name: [] for name in served}
        for what in (*self._jobs, *controls(self._jobs)):
            seat = what.spot.seat if isinstance(what, Control) else what.source.seat
            if seat in orders:
                orders[seat].append(Order(what, self._port(what), self._wait_s))
        answers = await asyncio.gather(*(self._probe(self._seats[name], orders[name]) for name in orders))
        said = [pair for each in answers for pair in each]
        sent = {order.what: reach.sent(order, answer) for order, answer in said if not isinstance(order.what, Control)}
        control = [Controlled(o.what, o.sport, a[0]) for o, a in said if isinstance(o.what, Control)]
        seen, traced = await self._collect(served)
        asked: list[Sent] = [sent[job] for job in self._jobs if job in sent]
        found = dict(zip([item.job for item in asked], measure(asked, seen, traced, control), strict=True))
        return tuple(found.get(job) for job in self._jobs)

    async def _probe(self, seat: Seat, orders: list[Order]) -> list[tuple[Order, tuple[Outcome, str, str]]]:
        try:
            return list(zip(orders, await reach.probe(seat, orders), strict=True)) if orders else []
        except DockgateError as error:
            self._missing.append(error.what)
            return []

    async def _collect(self, served: Mapping[str, Served]) -> tuple[dict[str, list[Seen]], list[Traced]]:
        async def one(name: str) -> tuple[list[Seen], list[Traced]]:
            rules = served[name].rules
            try:
                return await reach.collect(self._seats[name], self._token, self._places.get(name, ()), rules)
            except DockgateError as error:
                self._missing.append(error.what)
                return [], []

        found = await asyncio.gather(*(one(name) for name in served))
        seen = {name: each[0] for name, each in zip(served, found, strict=True)}
        return seen, [item for each in found for item in each[1]]

    def _port(self, what: Job | Control) -> int:
        """Source ports go round over all seats, since containers of two hosts may have the same address: as long as
        there are enough, no two packets look alike, and none looks like one that a kernel still remembers."""
        untracked = isinstance(what, Cell) and what.untracked
        protocol = "tcp" if not isinstance(what, Cell | Control) else what.protocol
        first, last = (FIRST_UNTRACKED, LAST_UNTRACKED) if untracked else (FIRST_PORT, LAST_PORT)
        key = "untracked" if untracked else protocol
        self._count[key] += 1
        return first + (self._start + self._count[key]) % (last - first + 1)
