"""What became of the requests of a load run, counted while it runs.

Role: the job, one request, and the tally over all requests, which ends as a ``LoadReport``.
It must not do network I/O; it only looks at the clock once, at the start.
"""

from __future__ import annotations

import os
import time
from array import array
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dockgate.lab.load_report import (
    EXAMPLES_KEPT,
    SLOW_KEPT,
    SLOW_MS,
    Failure,
    FailureKind,
    Latency,
    LoadReport,
    ServerCount,
    SlowAnswer,
)

Method: TypeAlias = Literal["GET", "POST", "mixed"]


@dataclass(frozen=True)
class LoadJob:
    """What to send. ``rate``: requests a second over all connections. ``duration_s`` None: until stopped.

    ``method`` mixed: GET and POST in turn. ``timeout_s``: for the connection, for the answer, and for the wait of a
    request that no connection is free for.
    """

    url: str
    rate: float = 2000.0
    connections: int = 32
    duration_s: float | None = 10.0
    method: Method = "GET"
    timeout_s: float = 5.0


class Request:
    """One request on its way. ``due``, ``sent``: loop time."""

    __slots__ = ("due", "id", "method", "sent")

    def __init__(self, number: int, method: str, due: float) -> None:
        self.id = b"%d" % number
        self.method = method
        self.due = due
        self.sent = due


class Tally:
    """Counts what became of the requests. ``start``: loop time of the run's start."""

    def __init__(self, job: LoadJob, start: float) -> None:
        self.job = job
        self.start = start
        self.started_at = time.time()
        self.cpu_before = time.process_time()
        self.run = os.urandom(4).hex()
        self.ok = 0
        self.failed = 0
        self.connects = 0
        self.idle_closes = 0
        self.late = 0.0
        self._latency = array("f")
        self._service = array("f")
        self._servers: dict[bytes, list[float]] = {}
        self._failures: dict[str, _Failures] = {}
        self._slow: list[SlowAnswer] = []
        self._slow_count = 0
        self._last_good = start
        self._gap = (0.0, start)

    def good(self, request: Request, server: bytes, now: float) -> None:
        self.ok += 1
        latency = (now - request.due) * 1000
        self._latency.append(latency)
        self._service.append((now - request.sent) * 1000)
        seen = self._servers.get(server)
        if seen is None:
            seen = self._servers[server] = [0, now, now]
        seen[0] += 1
        seen[2] = now
        if now - self._last_good > self._gap[0]:
            self._gap = (now - self._last_good, self._last_good)
        self._last_good = now
        if latency > SLOW_MS:
            self._slow_count += 1
            if len(self._slow) < SLOW_KEPT:
                self._slow.append(self._slow_answer(request, server, now))

    def bad(self, request: Request, *, kind: str, detail: str, now: float) -> None:
        self.failed += 1
        at = request.sent - self.start
        failures = self._failures.setdefault(kind, _Failures(first_s=at))
        failures.count += 1
        failures.last_s = at
        if len(failures.examples) < EXAMPLES_KEPT:
            after = (now - request.sent) * 1000
            failures.examples.append(
                Failure(self._full_id(request), request.method, round(at, 4), round(after, 2), detail)
            )

    def report(self, end: float) -> LoadReport:
        """The report of a run whose last request was due before ``end``."""
        duration = max(end - self.start, 1e-9)
        gap, gap_at = self._gap
        if end - self._last_good > gap:
            gap, gap_at = end - self._last_good, self._last_good
        servers = [
            ServerCount(name.decode("latin-1"), int(count), round(first - self.start, 4), round(last - self.start, 4))
            for name, (count, first, last) in self._servers.items()
        ]
        kinds = [
            FailureKind(kind, seen.count, round(seen.first_s, 4), round(seen.last_s, 4), tuple(seen.examples))
            for kind, seen in self._failures.items()
        ]
        return LoadReport(
            url=self.job.url,
            method=self.job.method,
            run=self.run,
            connections=self.job.connections,
            rate=self.job.rate,
            started_at=self.started_at,
            duration_s=round(duration, 3),
            sent=self.ok + self.failed,
            ok=self.ok,
            failed=self.failed,
            achieved_rate=round(self.ok / max(duration, self._last_good - self.start), 1),
            failures=tuple(sorted(kinds, key=lambda kind: kind.kind)),
            servers=tuple(sorted(servers, key=lambda server: server.server)),
            latency=Latency.of(self._latency),
            service=Latency.of(self._service),
            longest_gap_s=round(gap, 4),
            gap_at_s=round(gap_at - self.start, 4),
            slow_count=self._slow_count,
            slow=tuple(self._slow),
            connects=self.connects,
            idle_closes=self.idle_closes,
            cpu_s=round(time.process_time() - self.cpu_before, 3),
            late_ms=round(self.late * 1000, 1),
        )

    def _slow_answer(self, request: Request, server: bytes, now: float) -> SlowAnswer:
        return SlowAnswer(
            request=self._full_id(request),
            at_s=round(request.due - self.start, 4),
            latency_ms=round((now - request.due) * 1000, 1),
            service_ms=round((now - request.sent) * 1000, 1),
            server=server.decode("latin-1"),
        )

    def _full_id(self, request: Request) -> str:
        return f"{self.run}-{request.id.decode()}"


@dataclass
class _Failures:
    first_s: float
    last_s: float = 0.0
    count: int = 0
    examples: list[Failure] = field(default_factory=list)
