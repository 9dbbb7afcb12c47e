"""Keep: the loop that holds the hosts to the file. Wakes, observes, plans, executes, and says it in one sentence.

It joins what other modules do: a ``Watch`` for each host, a ``Line`` for each load balancer, a ``Lease`` for them all.
It decides nothing that ``plan`` does not. Invariant: truth is read again in every cycle; a host that is not followed is
Unknown to the planner, which leaves it alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from dockgate.controller.execute import execute
from dockgate.controller.journal import Entry, write_entry
from dockgate.controller.lease import Lease, State
from dockgate.controller.line import Line
from dockgate.controller.members import Members
from dockgate.controller.observe import observe
from dockgate.controller.report import Report
from dockgate.controller.wake import Wake
from dockgate.controller.watch import Watch
from dockgate.controller.world import World
from dockgate.edges.api import EngineApi
from dockgate.errors import DockgateError, EngineError
from dockgate.haproxy.build import backend_name
from dockgate.model.desired import Desired
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import Observed, Unknown
from dockgate.model.plan import Plan
from dockgate.plan import plan as make_plan
from dockgate.plan.membership import ServerRef

TIMER_S = 20.0
HOST_S = 6.0
FIRST_S = 5.0
LONGEST_S = 60.0
STUBBORN_S = 60.0
"""A container that was told to stop and still runs gets traffic again after so long."""

_MANY = 3


@dataclass(frozen=True)
class Cycle:
    """One turn. ``reasons``: why it was made. ``said``: the sentence. ``well``: nothing failed or is blocked."""

    number: int
    reasons: tuple[str, ...]
    said: str
    well: bool
    changes: int = 0
    seconds: float = 0.0


@dataclass
class Keeper:
    """Keeps one file's world. ``world``: engines for calls; ``ears``: engines of their own for what stands (streams and
    lines), so that neither waits for the other. ``tell``: is given every cycle, ``note``: what else is worth a line.
    """

    desired: Desired
    world: World
    ears: Mapping[str, EngineApi]
    tell: Callable[[Cycle], None]
    note: Callable[[str], None]
    wake: Wake = field(default_factory=Wake)
    cycles: int = 0
    changes: int = 0
    failures: int = 0
    last: Cycle | None = None
    entry: Entry | None = None
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.members = Members(self.desired)
        self.watches = [
            Watch(self.desired.project, self.ears[host], self.members, self.wake, self._settle)
            for host in sorted(self.ears)
        ]
        self.lease = Lease(self.desired.project, self._reachable, self._on_lease)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._told: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Until cancelled. A task of ours that ends by a fault of ours ends all of it, loudly."""
        async with asyncio.TaskGroup() as tasks:
            for watch in self.watches:
                tasks.create_task(watch.run(), name=f"watch {watch.host}")
            await self._first_reading()
            tasks.create_task(self.lease.run(), name="lease")
            while True:
                reasons = await self.wake.wait(at_most_s=self._patience(), otherwise="timer")
                await self.lease.decided.wait()
                await self.cycle(reasons, tasks)

    async def cycle(self, reasons: tuple[str, ...], tasks: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        self.cycles += 1
        self._settle(self.members.forgive(before=_now() - STUBBORN_S))
        if self.lease.state not in ("ours", "nowhere"):
            self._drop_lines(set())
            self._end(Cycle(self.cycles, reasons, self._idle(), True))
            return
        observed = await self._observe()
        plan = make_plan(self.desired, observed)
        report = await execute(plan, self.world)
        if report.steps:
            observed = await self._observe()
        self._sync_lines(observed, tasks)
        for text in [text for text in plan.notes if text not in self._told]:
            self.note(text)
        self._told = frozenset(plan.notes)
        self._end(self._summary(reasons, plan, report, time.monotonic() - began))
        await self._write(observed, report)

    # --- what is there

    def _reachable(self) -> list[EngineApi]:
        return [self.ears[watch.host] for watch in self.watches if watch.lost_at is None and watch.known.is_set()]

    async def _first_reading(self) -> None:
        """A moment for every host; who takes longer is waited for no more."""
        waiting = [asyncio.ensure_future(watch.known.wait()) for watch in self.watches]
        await asyncio.wait(waiting, timeout=FIRST_S)
        for each in waiting:
            each.cancel()
        self.wake.ring("start")

    async def _observe(self) -> Observed:
        """Hosts that are followed are read; the others are known to be unknown, without waiting for them."""
        followed = {watch.host for watch in self.watches if watch.lost_at is None and watch.known.is_set()}
        engines = {host: engine for host, engine in self.world.engines.items() if host in followed}
        read = await observe(engines, self.desired.project, self.world.archives, limit_s=HOST_S)
        lost = [(watch.host, Unknown(self._absence(watch))) for watch in self.watches if watch.host not in followed]
        return replace(read, hosts=tuple(sorted((*read.hosts, *lost), key=lambda each: each[0])))

    def _absence(self, watch: Watch) -> str:
        if watch.seen_at is None:
            return watch.why
        return f"{watch.why}; last heard of {_now() - watch.seen_at:.0f} s ago, and left as it was"

    # --- lines

    def _settle(self, refs: Iterable[ServerRef]) -> None:
        touched = set(refs)
        for line in self.lines.values():
            line.settle(touched)

    def _sync_lines(self, observed: Observed, tasks: asyncio.TaskGroup) -> None:
        """A line to every load balancer that runs."""
        there: set[tuple[str, str]] = set()
        for host in observed.known():
            for container in host.containers:
                vip = next((v for v in self.desired.vips if v.name == container.labels.get(LABEL_NAME)), None)
                if vip is None or container.state != "running":
                    continue
                if not is_ours(container.labels, self.desired.project, "lb"):
                    continue
                key = (host.name, container.id)
                there.add(key)
                pools = frozenset(map(backend_name, vip.pools()))
                if key not in self.lines:
                    line = Line(self.ears[host.name], container, pools, self.members, self.note)
                    self.lines[key] = line
                    self._tasks[key] = tasks.create_task(line.run(), name=f"line {container.name}")
                self.lines[key].pools = pools
                self.lines[key].check()
        self._drop_lines(there | {key for key in self.lines if key[0] not in {h.name for h in observed.known()}})

    def _drop_lines(self, keep: set[tuple[str, str]]) -> None:
        for key in set(self.lines) - keep:
            self._tasks.pop(key).cancel()
            del self.lines[key]

    # --- what is said

    def _on_lease(self, state: State) -> None:
        said = {
            "ours": "this controller acts now",
            "taken": "another controller acts",
            "nowhere": "no lock is there yet",
        }
        self.wake.ring(said.get(state, "the lock was lost"))

    def _idle(self) -> str:
        if self.lease.state == "taken":
            return f"another controller acts: it holds the lock in {self.lease.where}"
        return "no lock to be had, so nothing is changed"

    def _patience(self) -> float:
        """After a failure again soon, then ever less often."""
        return min(LONGEST_S, 2.0**self.failures) if self.failures else TIMER_S

    def _summary(self, reasons: tuple[str, ...], plan: Plan, report: Report, seconds: float) -> Cycle:
        done = sum(step.status == "done" for step in report.steps)
        failed = [f"{item.step.action} on {item.step.action.host}: {_what(item.error)}" for item in report.failures]
        blocked = [f"{item.what} is blocked: {item.why}" for item in plan.blocked]
        said = f"{done} of {len(report.steps)} steps done in {seconds:.1f} s" if report.steps else "nothing to do"
        problems = [*failed, *blocked]
        said = "; ".join([said, *problems[:_MANY], *([f"and {len(problems) - _MANY} more"] * (len(problems) > _MANY))])
        return Cycle(self.cycles, reasons, said, not problems, changes=done, seconds=seconds)

    def _end(self, cycle: Cycle) -> None:
        self.failures = 0 if cycle.well else self.failures + 1
        self.changes += cycle.changes
        self.last = cycle
        self.tell(cycle)

    async def _write(self, observed: Observed, report: Report) -> None:
        """Leave a note on every load balancer; who cannot take it now gets the next one."""
        assert self.last is not None
        now, before = time.time(), self.entry
        steps = tuple(f"{item.step.action.host}: {item.step.action} ({item.step.cause})" for item in report.steps)
        kept = (before.changed_at, before.changed, before.steps) if before else (0.0, "", ())
        what = (now, self.last.said, steps) if steps else kept
        self.entry = Entry(f"{socket.gethostname()}/{os.getpid()}", now, self.last.said, *what)
        for host, container in list(self.lines):
            try:
                await write_entry(self.world.engine(host), container, self.entry)
            except EngineError as error:
                self.note(error.what)


def _what(error: DockgateError | None) -> str:
    return error.what if error is not None else ""


def _now() -> float:
    return asyncio.get_running_loop().time()
