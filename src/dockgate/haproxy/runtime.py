"""Runtime: what to set over the runtime socket so that a running HAProxy equals its configuration, and how to say it.

Role: compare tree and process (``changes``), turn a change into commands, read HAProxy's answers, invert a change.
Must not: set an address on a server that DNS resolves (HAProxy versions disagree on what that does), or undo what a
person did by hand over the socket. Told apart like this: dockgate empties a slot (maint and no address), so a server in
maintenance *with* an address, or draining, is so because somebody wants it so. Such servers keep their state; their
weight and, for slots, their address still follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeAlias

from dockgate.haproxy.tree import NO_ADDRESS, Backend, Config, Server, ServerTemplate
from dockgate.model.actions import ServerChange
from dockgate.model.observed import RunningHaproxy, ServerState

Admin: TypeAlias = Literal["ready", "drain", "maint"]

_CHECKS = ("check", "inter", "500", "fastinter", "100", "downinter", "100", "fall", "2", "rise", "1")
_DONE = re.compile(r"(IP changed from|port changed from|no need to change|nothing changed)", re.IGNORECASE)


def changes(config: Config, running: RunningHaproxy) -> tuple[ServerChange, ...]:
    """What must be set so that servers known to both are as the configuration says, in the configuration's order.

    Servers that the process does not know need a reload, which shows as another structure; they are left out here.
    """
    states = {(state.pool, state.name): state for state in running.servers}
    wanted = [change for backend in config.backends for change in _of_backend(backend, states)]
    return tuple(change for change in wanted if change != ServerChange(change.pool, change.server))


def commands(change: ServerChange) -> list[str]:
    """The commands for the runtime socket, in order. A server that becomes ready at an address goes through
    maintenance, so that HAProxy treats it as new. HAProxy lets it out of that as up, until a check fails; so one that
    its checks must speak for first is drained until it is set down."""
    target = f"set server {change.pool}/{change.server}"
    lines: list[str] = []
    if change.state == "maint" or (change.state == "ready" and change.address is not None):
        lines.append(f"{target} state maint")
    if change.address is not None:
        lines.append(f"{target} addr {change.address}" + (f" port {change.port}" if change.port else ""))
    if change.weight is not None:
        lines.append(f"{target} weight {change.weight}")
    if change.afresh:
        lines += [f"{target} state drain", f"{target} health down"]
    if change.state == "ready" or (change.state == "drain" and not change.afresh):
        lines.append(f"{target} state {change.state}")
    return lines


def addition(change: ServerChange, options: tuple[str, ...]) -> list[str]:
    """The commands that add a server which no configuration has, checked if it is to be ``afresh``. ``options``:
    further words of its line. Its first failed check does not end it, as ``ServerState.proved`` wants it."""
    where = f"{change.pool}/{change.server}"
    checks = _CHECKS if change.afresh else ()
    lines = [" ".join(["add server", where, f"{change.address}:{change.port}", *checks, *options])]
    # It starts in maintenance, which it must not leave as up.
    lines += [f"set server {where} state drain", f"enable health {where}"] if change.afresh else []
    return lines + commands(replace(change, address=None, port=None))


def parse_command_output(text: str) -> str | None:
    """None when a command of ``commands`` did what it says, else HAProxy's own words."""
    said = " ".join(text.split())
    return None if not said or _DONE.match(said) else said


def inverse(change: ServerChange, running: RunningHaproxy) -> ServerChange:
    """The change that brings the server back to what it was in ``running``; an empty one if it was not there."""
    state = _find(running, change)
    if state is None:
        return ServerChange(change.pool, change.server)
    moved = change.address is not None
    admin = _admin(state)
    return ServerChange(
        change.pool,
        change.server,
        state=admin if change.state or moved else None,
        weight=state.weight if change.weight is not None else None,
        address=(state.address or NO_ADDRESS) if moved else None,
        port=state.port if moved else None,
        afresh=change.afresh and moved and admin == "ready",
    )


def _of_backend(backend: Backend, states: dict[tuple[str, str], ServerState]) -> Iterator[ServerChange]:
    for server in backend.servers:
        names = server.names() if isinstance(server, ServerTemplate) else (server.name,)
        for name in names:
            state = states.get((backend.name, name))
            if state:
                yield _of_server(server, state)


def _of_server(server: Server | ServerTemplate, state: ServerState) -> ServerChange:
    change = ServerChange(state.pool, state.name, weight=server.weight if server.weight != state.weight else None)
    if isinstance(server, Server) and server.slot:
        return _of_slot(server, state, change)
    return change


def _of_slot(server: Server, state: ServerState, change: ServerChange) -> ServerChange:
    if server.address is None:
        if state.address == "" and _admin(state) == "maint":
            return change
        return replace(change, state="maint", address=NO_ADDRESS, port=server.port)
    if (server.address, server.port) == (state.address, state.port):
        return change
    by_hand = _admin(state) == "drain" or (_admin(state) == "maint" and state.address != "")
    change = replace(change, address=server.address, port=server.port)
    return change if by_hand else replace(change, state="ready", afresh=server.checked)


def _admin(state: ServerState) -> Admin:
    """What an operator set: DNS's own maintenance is none."""
    if state.status.startswith("MAINT") and state.status != "MAINT (resolution)":
        return "maint"
    return "drain" if state.status.startswith("DRAIN") else "ready"


def _find(running: RunningHaproxy, change: ServerChange) -> ServerState | None:
    wanted = (change.pool, change.server)
    return next((state for state in running.servers if (state.pool, state.name) == wanted), None)
