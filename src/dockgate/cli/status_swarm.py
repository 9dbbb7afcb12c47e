"""Where the controller runs that `run --swarm` installed, as a line below the status. Reads, never judges."""

from __future__ import annotations

from dataclasses import asdict

from dockgate.cli.session import Session
from dockgate.controller.swarm import swarm_state
from dockgate.model.observed import Observed, Unknown
from dockgate.model.swarm import SwarmService


async def service_of(session: Session, observed: Observed) -> SwarmService | Unknown | None:
    """None when there is none, or no host that could know."""
    _, swarm = await swarm_state(session.world.engines, observed, session.desired.project)
    return swarm if isinstance(swarm, Unknown) else swarm.service


def service_lines(service: SwarmService | Unknown | None) -> list[str]:
    if service is None:
        return []
    if isinstance(service, Unknown):
        return [f"whether a controller is in the Swarm is not known: {service.reason}"]
    name = service.spec.name
    if not service.tasks:
        return [f"service {name} has no task: see `docker service ps {name}`"]
    task = service.tasks[0]
    why = f": {task.said}" if task.state != "running" and task.said else ""
    return [f"service {name} is {task.state} on {task.node or 'no node yet'}{why}"]


def service_json(service: SwarmService | Unknown | None) -> dict[str, object] | None:
    if service is None:
        return None
    if isinstance(service, Unknown):
        return {"unknown": service.reason}
    return {
        "name": service.spec.name,
        "image": service.spec.image,
        "tasks": [asdict(task) for task in service.tasks],
    }
