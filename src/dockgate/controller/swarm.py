"""The controller's service in a Swarm: what is there, and a function for each action on it. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges.api import EngineApi
from dockgate.errors import ActionFailed, EngineError
from dockgate.model.observed import Observed, Unknown
from dockgate.model.swarm import SwarmService, SwarmState
from dockgate.model.swarm_actions import (
    AwaitService,
    CreateService,
    PutSwarmFile,
    RemoveService,
    RemoveSwarmFile,
    RollBackService,
    UpdateService,
)

EVERY_S = 0.5


def manager_of(observed: Observed) -> str:
    """The first host that manages a Swarm, "" when none is known to."""
    return next((host.name for host in observed.known() if host.swarm == "manager"), "")


async def swarm_state(
    engines: Mapping[str, EngineApi], observed: Observed, project: str
) -> tuple[str, SwarmState | Unknown]:
    """The manager that was asked and what it told; "" and nothing when no host is a manager."""
    manager = manager_of(observed)
    if not manager:
        return "", SwarmState()
    try:
        return manager, await engines[manager].swarm_calls.state(project)
    except EngineError as error:
        return manager, Unknown(error.what)


async def put(world: World, action: PutSwarmFile) -> str:
    try:
        content = world.carried[action.file.target]
    except KeyError as error:
        raise ActionFailed(
            f"{action.file.target}: this run does not carry it", hint="run `dockgate run --swarm`"
        ) from error
    await world.engine(action.host).swarm_calls.put_file(action.file, content, project=action.project)
    return ""


async def remove_file(world: World, action: RemoveSwarmFile) -> str:
    swarm = world.engine(action.host).swarm_calls
    await swarm.remove_file(action.kind, action.id or action.name, project=world.project)
    return ""


async def create(world: World, action: CreateService) -> str:
    await world.engine(action.host).swarm_calls.create_service(action.spec)
    return ""


async def update(world: World, action: UpdateService) -> str:
    await world.engine(action.host).swarm_calls.update_service(action.spec)
    return ""


async def roll_back(world: World, action: RollBackService) -> str:
    await world.engine(action.host).swarm_calls.roll_back_service(action.name, project=world.project)
    return ""


async def remove(world: World, action: RemoveService) -> str:
    await world.engine(action.host).swarm_calls.remove_service(action.id or action.name, project=world.project)
    return ""


async def wait(world: World, action: AwaitService) -> str:
    """Swarm calls a task running once its health check is good."""
    swarm = world.engine(action.host).swarm_calls
    last: list[SwarmService] = []

    async def running() -> str | None:
        service = (await swarm.state(world.project)).service
        last[:] = [service] if service else []
        newest = service.tasks[0] if service and service.tasks else None
        return newest.node if newest and newest.state == "running" else None

    node = await until(running, limit_s=action.limit_s, pause_s=EVERY_S)
    if node is None:
        raise ActionFailed(
            f"{action.name} does not run after {action.limit_s} s: {_why(last)}",
            hint=f"its own words: docker service logs {action.name} on {action.host}",
        )
    return f"it runs on {node}"


def _why(last: Iterable[SwarmService]) -> str:
    for service in last:
        for task in service.tasks:
            return f"its task is {task.state}{f' ({task.said})' if task.said else ''} on {task.node or 'no node'}"
    return "Swarm has made no task for it"
