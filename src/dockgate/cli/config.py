"""`dockgate config VIP`: the haproxy.cfg in use, the one before it, or the one that HAProxy refused."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.session import DEFAULT_FILE, FileOption, Session, open_session, run
from dockgate.errors import DockgateError, NotFound
from dockgate.model.objects import (
    ACTIVE_CONFIG,
    CONFIG_DIR,
    PREVIOUS_CONFIG,
    REFUSED_CONFIG,
    balancer_of,
)
from dockgate.model.observed import Container
from dockgate.plan import desired_config


class Which(StrEnum):
    """Which configuration to show."""

    active = "active"
    previous = "previous"
    refused = "refused"
    desired = "desired"


_FILES = {Which.active: ACTIVE_CONFIG, Which.previous: PREVIOUS_CONFIG, Which.refused: REFUSED_CONFIG}


def config(
    vip: Annotated[str, typer.Argument(help="A VIP of the file, by name.")],
    file: FileOption = DEFAULT_FILE,
    host: Annotated[str, typer.Option("--host", help="On which of its hosts; default: the first.")] = "",
    which: Annotated[
        Which,
        typer.Option("--which", help="In use, the one before, the one HAProxy refused, or what the file asks for."),
    ] = Which.active,
) -> None:
    """Show the HAProxy configuration of a VIP."""
    typer.echo(run(_config(file, vip, host, which)), nl=False)


async def _config(file: Path, vip: str, host: str, which: Which) -> str:
    async with open_session(file) as session:
        host = _choose_host(session, vip, host)
        if which is Which.desired:
            return desired_config(session.desired, await session.observe(), vip, host) or _blocked(vip, host)
        container = await _find(session, vip, host)
        path = f"{CONFIG_DIR}/{_FILES[which]}"
        try:
            return (await session.world.engine(host).get_file(container.id, path)).decode(errors="replace")
        except NotFound as error:
            raise DockgateError(f"VIP {vip} on {host} has no {which.value} configuration") from error


def _blocked(vip: str, host: str) -> str:
    raise DockgateError(
        f"the configuration of VIP {vip} on {host} cannot be made as things are", hint="`dockgate plan` says why"
    )


def _choose_host(session: Session, vip: str, host: str) -> str:
    found = next((item for item in session.desired.vips if item.name == vip), None)
    if found is None:
        names = ", ".join(item.name for item in session.desired.vips)
        raise DockgateError(f"the file has no VIP {vip!r}", hint=f"its VIPs are: {names}")
    if host and host not in found.hosts:
        raise DockgateError(f"VIP {vip} has no load balancer on {host!r}", hint=f"it has on: {', '.join(found.hosts)}")
    return host or found.hosts[0]


async def _find(session: Session, vip: str, host: str) -> Container:
    containers = await session.world.engine(host).ours(session.desired.project, "lb")
    found = balancer_of(containers, session.desired.project, vip)
    if found is None:
        raise DockgateError(f"VIP {vip} has no load balancer on {host} yet", hint="dockgate up")
    return found
