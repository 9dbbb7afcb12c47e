"""What each action of ``dockgate replace`` does to the world. Decides nothing; see ``plan.replace`` for the order."""

from __future__ import annotations

from dataclasses import replace

from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges import haproxy_socket
from dockgate.errors import ActionFailed, EngineError, ProofFailed
from dockgate.haproxy.hold import hold
from dockgate.haproxy.runtime import addition
from dockgate.model.actions import ServerChange
from dockgate.model.observed import Container, ServerState
from dockgate.model.replacing import (
    AddServer,
    AwaitHealthy,
    AwaitServer,
    CopyContainer,
    DrainServer,
    JudgeLoad,
    RemoveMember,
    RenameMember,
    StartMember,
    StopMember,
)

DROP_S = 5.0


async def copy_container(world: World, action: CopyContainer) -> str:
    await world.engine(action.host).members.copy(
        action.source, name=action.name, image=action.image, stand_in=action.stand_in, aliases=action.aliases
    )
    return ""


async def start_member(world: World, action: StartMember) -> str:
    await world.engine(action.host).members.start(action.container)
    return ""


async def stop_member(world: World, action: StopMember) -> str:
    await world.engine(action.host).members.stop(action.container, grace_s=action.grace_s)
    return ""


async def rename_member(world: World, action: RenameMember) -> str:
    await world.engine(action.host).members.rename(action.container, action.name)
    return ""


async def remove_member(world: World, action: RemoveMember) -> str:
    await world.engine(action.host).members.remove(action.container)
    return ""


async def await_healthy(world: World, action: AwaitHealthy) -> str:
    async def healthy() -> bool | None:
        now = await world.engine(action.host).container(action.container)
        if now.state in ("exited", "dead") or now.health == "unhealthy":
            raise _not_healthy(action, now)
        return True if now.state == "running" and now.health in ("", "healthy") else None

    if await until(healthy, limit_s=float(action.limit_s)) is None:
        raise _not_healthy(action, await world.engine(action.host).container(action.container))
    return ""


async def add_server(world: World, action: AddServer) -> str:
    address = await _address(world, action.member_host, action.member, action.network)
    balancer = await world.ours(action.host, action.balancer, "lb")
    place = ServerChange(action.pool, action.server, address=address, port=action.port, weight=action.weight)
    change = replace(place, state="ready", afresh=action.checked)
    for line in addition(change, action.options):
        await haproxy_socket.order(world.engine(action.host), balancer.id, line, good=("New server registered.",))
    return ""


async def await_server(world: World, action: AwaitServer) -> str:
    balancer = await world.ours(action.host, action.balancer, "lb")

    async def up() -> bool | None:
        address = await _address(world, action.member_host, action.member, action.network)
        found = await _servers(world, action.host, balancer.id, action.pool)
        return True if any(each.address == address and each.proved for each in found) else None

    if await until(up, limit_s=float(action.limit_s), pause_s=0.1) is None:
        found = await _servers(world, action.host, balancer.id, action.pool)
        told = ", ".join(f"{s.name} {s.address or '-'} {s.status} {s.check}" for s in found)
        raise ProofFailed(
            f"{action.member} on {action.member_host} had no good check in pool {action.pool} within"
            f" {action.limit_s} s; HAProxy has {told or 'no servers'}",
            hint=f"docker logs {action.member}; does it listen, and answer the pool's check?",
        )
    return ""


async def drain_server(world: World, action: DrainServer) -> str:
    balancer = await world.ours(action.host, action.balancer, "lb")
    engine = world.engine(action.host)
    found = await _servers(world, action.host, balancer.id, action.pool)
    if not any(each.name == action.server for each in found):
        return "it is not there (any more)"
    await haproxy_socket.order(engine, balancer.id, hold(action.pool, action.server, sticky=action.sticky))

    async def idle() -> bool | None:
        servers = await _servers(world, action.host, balancer.id, action.pool)
        return None if any(each.name == action.server and each.sessions for each in servers) else True

    finished = await until(idle, limit_s=float(action.limit_s), pause_s=0.1)
    if action.drop:
        await _drop(world, action, balancer.id)
    return "" if finished else f"after {action.limit_s} s it still had sessions"


async def judge_load(world: World, action: JudgeLoad) -> str:
    if world.load is None:
        return "no load was asked for"
    tally = await world.load()
    if tally.failed or not tally.sent:
        raise ProofFailed(
            f"of {tally.sent} requests through the VIP {tally.failed} failed: {tally.example or 'none was sent'}",
            hint="the change was taken back; see what the new one answers: docker logs",
        )
    return str(tally)


async def _drop(world: World, action: DrainServer, balancer: str) -> None:
    """HAProxy lets a server go once nobody uses it any more, idle connections too."""
    engine, where = world.engine(action.host), f"{action.pool}/{action.server}"
    await haproxy_socket.order(engine, balancer, f"set server {where} state maint")

    async def gone() -> bool | None:
        try:
            await haproxy_socket.order(engine, balancer, f"del server {where}", good=("Server deleted.",))
        except ActionFailed:
            return None
        return True

    if await until(gone, limit_s=DROP_S) is None:
        raise ActionFailed(
            f"{action.host}: HAProxy in {action.balancer} does not let go of {where}",
            hint="it gets no traffic, and is gone with the next reload",
        )


async def _servers(world: World, host: str, balancer: str, pool: str) -> list[ServerState]:
    running = await haproxy_socket.running(world.engine(host), balancer)
    return [server for server in running.servers if server.pool == pool]


async def _address(world: World, host: str, member: str, network: str) -> str:
    container = await world.engine(host).container(member)
    place = next((each for each in container.attachments if each.network == network), None)
    if place is None or not place.address:
        raise EngineError(f"{host}: {member} has no address on network {network}", hint=f"docker inspect {member}")
    return place.address


def _not_healthy(action: AwaitHealthy, now: Container) -> ActionFailed:
    how = f"{now.state}{f', {now.health}' if now.health else ''}"
    return ActionFailed(
        f"{action.host}: {action.container} is {how} and not healthy within {action.limit_s} s",
        hint="the old one goes on; see what the new image needs: docker run it by hand",
    )
