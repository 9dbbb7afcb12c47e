"""What a load run saw, as counted at the client.

Role: frozen values, their JSON, and the text a person reads. Pure; no I/O.
Invariant: every request that was due is in exactly one of ``ok`` and ``failed``; ``sent`` is their sum. Times at which
something happened are seconds since the run's start (``started_at``, Unix time); latencies are milliseconds.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SLOW_MS = 500.0
"""An answer that took longer than this, from its scheduled time, is listed as slow."""
EXAMPLES = 5
"""How many failures of each kind are printed."""
EXAMPLES_KEPT = 200
"""How many failures of each kind are kept with all details."""
SLOW_KEPT = 50


@dataclass(frozen=True)
class Failure:
    """One failed request. ``at_s``: when it was sent; ``after_ms``: how long until it failed; ``detail``: in words."""

    request: str
    method: str
    at_s: float
    after_ms: float
    detail: str


@dataclass(frozen=True)
class FailureKind:
    """All failures of one kind. ``kind``: "status 503", "reset", "closed", "time-out", "refused", …"""

    kind: str
    count: int
    first_s: float
    last_s: float
    examples: tuple[Failure, ...]


@dataclass(frozen=True)
class SlowAnswer:
    """An answer over ``SLOW_MS``. ``at_s``: its scheduled time."""

    request: str
    at_s: float
    latency_ms: float
    service_ms: float
    server: str


@dataclass(frozen=True)
class ServerCount:
    """Good answers by one server, as its X-Server header names it ("" without one), the first and the last of them."""

    server: str
    count: int
    first_s: float
    last_s: float


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds over all good answers; zeros when there was none."""

    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0

    @staticmethod
    def of(milliseconds: Iterable[float]) -> Latency:
        ordered = sorted(milliseconds)
        if not ordered:
            return Latency()

        def at(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)

        return Latency(at(0.5), at(0.99), at(0.999), round(ordered[-1], 3))


@dataclass(frozen=True)
class LoadReport:
    """A whole run.

    ``run``: the prefix of all its request ids. ``achieved_rate``: good answers a second, until the last one came.
    ``latency``: from the scheduled time, so a stall is seen by every request that it held up; ``service``: from the
    moment of sending. ``longest_gap_s``: the longest time without a good answer, which began at ``gap_at_s``.
    ``idle_closes``: keep-alive connections closed by the other side while nothing was under way, which is no failure.
    ``cpu_s``: processor time of the client itself; ``late_ms``: the most that the client was behind its schedule,
    because the machine was busy: latencies up to that may be its own.
    """

    url: str
    method: str
    run: str
    connections: int
    rate: float
    started_at: float
    duration_s: float
    sent: int
    ok: int
    failed: int
    achieved_rate: float
    failures: tuple[FailureKind, ...]
    servers: tuple[ServerCount, ...]
    latency: Latency
    service: Latency
    longest_gap_s: float
    gap_at_s: float
    slow_count: int
    slow: tuple[SlowAnswer, ...]
    connects: int
    idle_closes: int
    cpu_s: float
    late_ms: float

    def served_by(self, server: str) -> int:
        """How many good answers came from that server."""
        return sum(entry.count for entry in self.servers if entry.server == server)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> LoadReport:
        """The report out of ``to_json``'s text; KeyError or TypeError if it is something else."""
        raw: dict[str, Any] = json.loads(text)
        raw["failures"] = tuple(
            FailureKind(**{**kind, "examples": tuple(Failure(**example) for example in kind["examples"])})
            for kind in raw["failures"]
        )
        raw["servers"] = tuple(ServerCount(**server) for server in raw["servers"])
        raw["slow"] = tuple(SlowAnswer(**answer) for answer in raw["slow"])
        raw["latency"] = Latency(**raw["latency"])
        raw["service"] = Latency(**raw["service"])
        return LoadReport(**raw)

    def __str__(self) -> str:
        busy = 100 * self.cpu_s / max(self.duration_s, 0.001)
        lines = [
            f"{self.method} {self.url}: {self.sent} sent, {self.ok} ok, {self.failed} failed",
            f"  rate      {self.achieved_rate:.0f}/s of {self.rate:.0f}/s for {self.duration_s:.1f} s",
            f"  latency   {_spread(self.latency)}, from when due",
            f"  service   {_spread(self.service)}, from sending",
            f"  gap       {self.longest_gap_s * 1000:.0f} ms without a good answer, at {self.gap_at_s:.2f} s",
            f"  connects  {self.connects} for {self.connections} connections, {self.idle_closes} closed while idle",
            f"  client    {busy:.0f} % of a processor core",
        ]
        if self.late_ms > 50:
            lines.append(f"  CLIENT    was itself up to {self.late_ms:.0f} ms behind its schedule")
        for server in self.servers:
            lines.append(f"  server    {server.server or '(no name)'}: {server.count}, {_between(server)}")
        for kind in self.failures:
            lines.append(f"  FAILED    {kind.count} x {kind.kind}, {_between(kind)}")
            lines += [
                f"            {one.request} at {one.at_s:.3f} s after {one.after_ms:.1f} ms: {one.detail}"
                for one in kind.examples[:EXAMPLES]
            ]
        if self.slow_count:
            lines.append(f"  SLOW      {self.slow_count} over {SLOW_MS:.0f} ms")
        lines += [
            f"            {one.request} at {one.at_s:.3f} s:"
            f" {one.latency_ms:.0f} ms ({one.service_ms:.0f} ms from sending) by {one.server or '(no name)'}"
            for one in self.slow[:EXAMPLES]
        ]
        return "\n".join(lines)


def receipts(log: str) -> Counter[str]:
    """How often each request id was received, out of a demo backend's log (`docker logs`, images/web/web.py)."""
    prefix = "received "
    return Counter(line[len(prefix) :] for line in log.splitlines() if line.startswith(prefix))


def _spread(latency: Latency) -> str:
    return f"p50 {latency.p50:.1f}  p99 {latency.p99:.1f}  p99.9 {latency.p999:.1f}  max {latency.max:.1f} ms"


def _between(seen: ServerCount | FailureKind) -> str:
    return f"from {seen.first_s:.2f} to {seen.last_s:.2f} s"
