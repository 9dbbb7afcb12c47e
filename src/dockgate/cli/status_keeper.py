"""What the controller left on the load balancers about itself, as lines below the status. Reads, never judges."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from dockgate.cli.session import Session
from dockgate.cli.status_view import duration
from dockgate.controller.journal import Entry, read_entry
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import Observed

LATE_S = 90
"""A controller looks at least every minute."""
STEPS_SHOWN = 4


async def last_entry(session: Session, observed: Observed) -> Entry | None:
    """The newest note on any load balancer; None when no controller has ever left one."""
    project, vips = session.desired.project, {vip.name for vip in session.desired.vips}
    places = [
        (host.name, container.id)
        for host in observed.known()
        for container in host.containers
        if is_ours(container.labels, project, "lb") and container.labels.get(LABEL_NAME) in vips
    ]
    found = await asyncio.gather(*(read_entry(session.world.engine(host), each) for host, each in places))
    return max((entry for entry in found if entry is not None), key=lambda entry: entry.at, default=None)


def keeper_lines(entry: Entry | None, now: float) -> list[str]:
    """Nothing when there never was a controller: it need not be."""
    if entry is None:
        return []
    age = max(0, int(now - entry.at))
    late = " (is it still running?)" if age > LATE_S else ""
    lines = [f"controller {entry.who} looked {duration(age)} ago{late}: {entry.said}"]
    if entry.changed_at:
        lines.append(f"its last change, {duration(max(0, int(now - entry.changed_at)))} ago: {entry.changed}")
        lines += [f"  {step}" for step in entry.steps[:STEPS_SHOWN]]
        more = len(entry.steps) - STEPS_SHOWN
        lines += [f"  and {more} more"] if more > 0 else []
    return lines


def keeper_json(entry: Entry | None) -> dict[str, object] | None:
    return asdict(entry) if entry is not None else None
