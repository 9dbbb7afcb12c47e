"""Metrics: what a running controller tells about itself, in Prometheus' text format, and whether it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from dockgate.controller.keep import Keeper
from dockgate.edges.http import Response


def answer(path: str, keepers: Sequence[Keeper]) -> Response:
    """``/healthz``: 200 while the last cycle was well and every host is followed. ``/metrics``: always the figures."""
    if path == "/metrics":
        return Response(200, "".join(f"{line}\n" for keeper in keepers for line in figures(keeper)))
    if path != "/healthz":
        return Response(404, "there are /healthz and /metrics\n")
    problems = [problem for keeper in keepers for problem in _problems(keeper)]
    if not keepers or any(keeper.last is None for keeper in keepers):
        problems.append("no cycle was made yet")
    return Response(503, "".join(f"{each}\n" for each in problems)) if problems else Response(200, "well\n")


def figures(keeper: Keeper) -> Iterator[str]:
    """Counters end in _total; everything else is as it is now. A certificate expires at a Unix time."""
    last = keeper.last
    yield from _family("dockgate_cycles_total", "counter", [("", keeper.cycles)])
    yield from _family("dockgate_changes_total", "counter", [("", keeper.changes)])
    yield from _family("dockgate_acting", "gauge", [("", int(keeper.lease.state == "ours"))])
    yield from _family("dockgate_last_cycle_well", "gauge", [("", int(last is not None and last.well))])
    yield from _family("dockgate_last_cycle_seconds", "gauge", [("", round(last.seconds, 3) if last else 0)])
    hosts = [(f'{{host="{watch.host}"}}', watch) for watch in keeper.watches]
    yield from _family(
        "dockgate_host_followed",
        "gauge",
        [(at, int(watch.lost_at is None and watch.known.is_set())) for at, watch in hosts],
    )
    yield from _family("dockgate_host_events_total", "counter", [(at, watch.events) for at, watch in hosts])
    yield from _family("dockgate_host_readings_total", "counter", [(at, watch.gaps) for at, watch in hosts])
    lines = [(f'{{host="{key[0]}",balancer="{line.container.name}"}}', line) for key, line in keeper.lines.items()]
    yield from _family("dockgate_balancer_pid", "gauge", [(at, line.pid) for at, line in lines])
    yield from _family("dockgate_balancer_pushes_total", "counter", [(at, line.pushed) for at, line in lines])
    yield from _family("dockgate_balancer_held", "gauge", [(at, len(line.held)) for at, line in lines])
    desired = keeper.desired
    files = [(vip.name, file) for vip in desired.vips for file in desired.tls_files(vip) if file.expires]
    ends = {(vip, file.label): file.expires for vip, file in files}
    yield from _family(
        "dockgate_certificate_expires_seconds",
        "gauge",
        [(f'{{vip="{vip}",file="{_escaped(file)}"}}', expires) for (vip, file), expires in ends.items()],
    )
    yield from _family("dockgate_tasks", "gauge", [("", len(asyncio.all_tasks()))])


def _family(name: str, kind: str, values: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, value in values:
        yield f"{name}{labels} {value}"


def _escaped(value: str) -> str:
    """A label's value, which may be any path."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _problems(keeper: Keeper) -> Iterator[str]:
    if keeper.last is not None and not keeper.last.well:
        yield keeper.last.said
    for watch in keeper.watches:
        if watch.lost_at is not None:
            yield f"{watch.host} is not followed: {watch.why}"
