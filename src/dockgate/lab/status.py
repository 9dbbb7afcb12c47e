"""What a lab's hosts are like now.

Role: ask each host's process, link and engine. Must not: change anything.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import net, swarm
from dockgate.lab.errors import LabError
from dockgate.lab.lab import Lab


@dataclass(frozen=True)
class HostStatus:
    """A host as it is now; `version` and `role` (manager, worker, none) are '' where its engine does not answer."""

    name: str
    address: str
    powered: bool
    linked: bool
    engine: bool
    version: str
    role: str
    socket: Path


def lab_status(lab: Lab) -> list[HostStatus]:
    """All Docker hosts of a lab, in order."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda name: _host_status(lab, name), lab.hosts))


def _host_status(lab: Lab, name: str) -> HostStatus:
    one = lab.host_plan(name)
    powered = lab.process(name) is not None
    version, role = _engine_says(lab, name) if powered else ("", "")
    return HostStatus(
        name=name,
        address=one.address,
        powered=powered,
        linked=powered and net.link_is_up(lab.plan, one.port),
        engine=bool(version),
        version=version,
        role=role,
        socket=lab.socket(name),
    )


def _engine_says(lab: Lab, name: str) -> tuple[str, str]:
    engine = lab.engine(name)
    if not engine.answers():
        return "", ""
    try:
        said = engine.get("/version", attempt="asking for its version")
        return (str(said["Version"]) if isinstance(said, dict) else ""), swarm.role(engine)
    except LabError:
        return "", ""
