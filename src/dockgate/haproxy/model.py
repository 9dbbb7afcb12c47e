"""Model: a running HAProxy as a value, for plans that are simulated instead of carried out.

Role: what a fresh process shows of its servers, and what a change does to a process. The property tests of the planner
stand on it, so the contract tests compare it with the real thing.
Must not: know time or checks; a server shows here as it does once its checks have had their say and found it well.
"""

from __future__ import annotations

from dataclasses import replace

from dockgate.haproxy.render import structure
from dockgate.haproxy.tree import NO_ADDRESS, Config, Server, ServerTemplate
from dockgate.model.actions import ServerChange
from dockgate.model.observed import RunningHaproxy, ServerState

UNRESOLVED = "MAINT (resolution)"


def fresh(config: Config, *, version: str, pid: int = 1) -> RunningHaproxy:
    """The process that has just loaded ``config``. Names do not resolve: that is up to the world, not to us."""
    states = [
        state for backend in config.backends for server in backend.servers for state in _states(backend.name, server)
    ]
    servers = tuple(sorted(states, key=lambda state: (state.pool, state.name)))
    return RunningHaproxy(version=version, structure=structure(config), pid=pid, uptime_s=0, servers=servers)


def reload(config: Config, running: RunningHaproxy) -> RunningHaproxy:
    """What ``running`` becomes by a reload with ``config``: a new process, in which the states set by hand live on and
    servers that DNS resolves keep the address they had."""
    known = {(state.pool, state.name): state for state in running.servers}
    new = fresh(config, version=running.version, pid=running.pid + 1)
    return replace(new, servers=tuple(_kept(state, known.get((state.pool, state.name))) for state in new.servers))


def apply(change: ServerChange, running: RunningHaproxy) -> RunningHaproxy:
    """``running`` after ``change``; the same when it has no such server."""
    servers = tuple(
        _changed(change, state) if (state.pool, state.name) == (change.pool, change.server) else state
        for state in running.servers
    )
    return replace(running, servers=servers)


def _states(pool: str, server: Server | ServerTemplate) -> tuple[ServerState, ...]:
    if isinstance(server, ServerTemplate):
        return tuple(ServerState(pool, name, "", 0, UNRESOLVED, server.weight) for name in server.names())
    if server.address is None:
        return (ServerState(pool, server.name, "", server.port, "MAINT", server.weight),)
    if not server.slot and not server.address.replace(".", "").isdigit():
        return (ServerState(pool, server.name, "", 0, UNRESOLVED, server.weight),)
    return (ServerState(pool, server.name, server.address, server.port, _well(server), server.weight),)


def _well(server: Server) -> str:
    return "UP" if server.checked else "no check"


def _kept(new: ServerState, old: ServerState | None) -> ServerState:
    if old is None:
        return new
    resolved = new.status == UNRESOLVED
    here = new if not resolved else replace(new, address=old.address, port=old.port, status=old.status)
    moved = (new.address, new.port) != (old.address, old.port) and not resolved
    by_hand = old.status in ("MAINT", "DRAIN") and not moved and new.status != "MAINT"
    return replace(here, status=old.status) if by_hand else here


def _changed(change: ServerChange, state: ServerState) -> ServerState:
    if change.address is not None:
        address = "" if change.address == NO_ADDRESS else change.address
        state = replace(state, address=address, port=change.port or state.port)
    if change.weight is not None:
        state = replace(state, weight=change.weight)
    if change.state is not None:
        state = replace(state, status={"ready": "UP", "drain": "DRAIN", "maint": "MAINT"}[change.state])
    return state
