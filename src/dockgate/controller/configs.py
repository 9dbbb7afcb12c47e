"""Carrying a configuration to a load balancer: write, judge, activate, go back, reload, set servers.

All of it happens inside the container's own volume: by exec as root while it runs, by a helper container beside it
while it does not. Invariant: the active file is only ever replaced whole, by a rename, and the one before it stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges import haproxy_socket
from dockgate.edges.api import ROOT, ExecResult, HelperSpec
from dockgate.errors import ActionFailed, ConfigRefused
from dockgate.haproxy.messages import explain
from dockgate.model.actions import ActivateConfig, ReloadConfig, RestoreConfig, SetServers, ValidateConfig, WriteConfig
from dockgate.model.objects import (
    ACTIVE_CONFIG,
    CANDIDATE_CONFIG,
    CONFIG_DIR,
    HAPROXY_UID,
    PREVIOUS_CONFIG,
    REFUSED_CONFIG,
    UNPROVED_MARK,
    labels_for,
)
from dockgate.model.observed import Container, RunningHaproxy

RELOAD_S = 10.0

_DESCRIPTION = re.compile(r"^\s*description\s+.*?(\w+)['\"]?\s*$", re.MULTILINE)

_CANDIDATE = f"{CONFIG_DIR}/{CANDIDATE_CONFIG}"
_ACTIVE = f"{CONFIG_DIR}/{ACTIVE_CONFIG}"
_PREVIOUS = f"{CONFIG_DIR}/{PREVIOUS_CONFIG}"
_REFUSED = f"{CONFIG_DIR}/{REFUSED_CONFIG}"
_UNPROVED = f"{CONFIG_DIR}/{UNPROVED_MARK}"

# A hard link keeps owner and mode without the right to change them, which root without capabilities does not have.
# What is not proved yet never becomes the previous one.
_ACTIVATE = (
    f"set -e; test -e {_CANDIDATE};"
    f" if [ -e {_ACTIVE} ] && ! [ -e {_UNPROVED} ]; then ln -f {_ACTIVE} {_PREVIOUS}; fi;"
    f" printf '%s\\n' \"$@\" > {_UNPROVED}.new; mv -f {_UNPROVED}.new {_UNPROVED}; mv -f {_CANDIDATE} {_ACTIVE}"
)
_RESTORE = f"set -e; ln -f {_PREVIOUS} {_PREVIOUS}.back; mv -f {_PREVIOUS}.back {_ACTIVE}; rm -f {_UNPROVED}"

_PROVED = (
    f'rm -f {_UNPROVED}; cd {CONFIG_DIR}; for file in waf-*.spoe; do [ -e "$file" ] || continue;'
    f' grep -qs "$file" {ACTIVE_CONFIG} {PREVIOUS_CONFIG} {CANDIDATE_CONFIG} || rm -f "$file"; done'
)


async def write(world: World, action: WriteConfig) -> str:
    container = await world.ours(action.host, action.container, "lb")
    files = {CANDIDATE_CONFIG: action.config.text.encode()}
    files |= {name: text.encode() for name, text in action.config.beside}
    await world.engine(action.host).put_files(container.id, CONFIG_DIR, files)
    return ""


async def validate(world: World, action: ValidateConfig) -> str:
    container = await world.ours(action.host, action.container, "lb")
    # As HAProxy's own user: keys are readable by nobody else, also not by root without capabilities.
    argv = ["haproxy", "-c", "-f", _CANDIDATE]
    verdict = await in_volume(world, action.host, container, argv, user=f"{HAPROXY_UID}:{HAPROXY_UID}")
    if verdict.code == 0:
        return ""
    await in_volume(world, action.host, container, ["mv", "-f", _CANDIDATE, _REFUSED])
    raise ConfigRefused(
        f"{action.host}: HAProxy refuses the configuration {action.config.structure} for {action.container};"
        " nothing was changed",
        messages=explain(verdict.output, action.config) or tuple(verdict.output.splitlines()),
        hint=f"correct the file; what was refused is {_REFUSED} in the volume of {action.container}",
    )


async def activate(world: World, action: ActivateConfig) -> str:
    script = ("sh", "-c", _ACTIVATE, "sh", *action.must_serve)
    return await _rename(world, action, script, "make the new configuration the active one")


async def proved(world: World, host: str, container: Container) -> None:
    """Take the mark away that ``activate`` set, and the filters' files that neither this configuration nor the one
    before it names."""
    await in_volume(world, host, container, ["sh", "-c", _PROVED])


async def restore(world: World, action: RestoreConfig) -> str:
    return await _rename(world, action, ("sh", "-c", _RESTORE), "make the previous configuration the active one")


async def reload(world: World, action: ReloadConfig) -> str:
    """Done when the running process has loaded what is on disk now."""
    engine = world.engine(action.host)
    container = await world.ours(action.host, action.container, "lb")
    config = (await engine.get_file(container.id, _ACTIVE)).decode(errors="replace")
    wanted = structure_of(config)
    await haproxy_socket.save_state(engine, container.id, config=config)
    await haproxy_socket.reload(engine, container.id)

    async def loaded() -> RunningHaproxy | None:
        now = await haproxy_socket.running(engine, container.id)
        return now if now.structure == wanted else None

    if await until(loaded, limit_s=RELOAD_S) is None:
        raise ActionFailed(
            f"{action.host}: {action.container} was reloaded, but {RELOAD_S:g} s later it still does not run"
            f" configuration {wanted}",
            hint=f"docker logs {action.container}",
        )
    return ""


async def set_servers(world: World, action: SetServers) -> str:
    container = await world.ours(action.host, action.container, "lb")
    await haproxy_socket.set_servers(world.engine(action.host), container.id, action.changes)
    return ""


def structure_of(config: str) -> str:
    """The structure hash that a configuration of ours carries: the last word of its description; "" when none does."""
    found = _DESCRIPTION.search(config)
    return found[1] if found else ""


async def _rename(world: World, action: ActivateConfig | RestoreConfig, script: Sequence[str], what: str) -> str:
    container = await world.ours(action.host, action.container, "lb")
    done = await in_volume(world, action.host, container, script)
    if done.code != 0:
        raise ActionFailed(
            f"{action.host}: could not {what} in {action.container}: {done.output}",
            hint=f"look at {CONFIG_DIR} in the volume of {action.container}",
        )
    return ""


async def in_volume(
    world: World, host: str, container: Container, argv: Sequence[str], *, user: str = ROOT
) -> ExecResult:
    """Run a command where the container's volume is: in there while it runs, else in a helper beside it."""
    engine = world.engine(host)
    if container.state == "running":
        return await engine.exec(container.id, argv, user=user, timeout_s=30.0)
    labels = labels_for(world.project, "helper", container.name)
    return await engine.run_helper(
        HelperSpec(image=container.image, volumes_of=container.id, argv=tuple(argv), labels=labels, user=user)
    )
