"""`dockgate status`: every VIP and every member: address, health and why, sessions, requests, since when."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, open_session, run, width
from dockgate.cli.status_keeper import keeper_json, keeper_lines, last_entry
from dockgate.cli.status_swarm import service_json, service_lines, service_of
from dockgate.cli.status_view import MemberRow, StatusView, VipRow, status_view

WATCH_S = 1.0


def status(
    file: FileOption = DEFAULT_FILE,
    output: OutputOption = Output.table,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again every second, until Ctrl-C.")] = False,
) -> None:
    """Show every VIP and its members as they are now.

    Exit code: 0 every VIP runs and every pool has a member that is up, 1 otherwise.
    """
    if watch and output is Output.json:
        raise typer.BadParameter("--watch draws for a person; for a script call `status --output json` again and again")
    raise typer.Exit(run(_watch(file) if watch else _once(file, output)))


async def _once(file: Path, output: Output) -> int:
    async with open_session(file) as session:
        observed = await session.observe()
        view, entry = status_view(session.desired, observed), await last_entry(session, observed)
        service = await service_of(session, observed)
    if output is Output.json:
        keeper = {"controller": keeper_json(entry), "service": service_json(service)}
        typer.echo(json.dumps({**view.as_json(), **keeper}, indent=2))
    else:
        said = [*keeper_lines(entry, time.time()), *service_lines(service)]
        Console(width=max(width(), 60), highlight=False).print(render(view, said))
    return 0 if view.well else 1


async def _watch(file: Path) -> int:
    async with open_session(file) as session:
        with Live(console=Console(highlight=False), screen=False, auto_refresh=False) as live:
            while True:
                observed = await session.observe()
                entry = await last_entry(session, observed)
                service = await service_of(session, observed)
                said = [*keeper_lines(entry, time.time()), *service_lines(service)]
                view = render(status_view(session.desired, observed), said)
                live.update(view, refresh=True)
                await asyncio.sleep(WATCH_S)


def render(view: StatusView, keeper: Sequence[str] = ()) -> RenderableType:
    """One table of VIPs, one of members for each load balancer, and below them why something is not well and what the
    controller says."""
    parts: list[RenderableType] = [_vips(view.vips)]
    for place, rows in groupby(view.members, key=lambda row: (row.vip, row.host)):
        several = (Text(f"{place[0]} on {place[1]}", style="bold"),) if view.members[0].several_balancers else ()
        parts += [Text(), *several, _members(tuple(rows))]
    if view.certificates:
        parts += [Text(), *map(Text, map(str, view.certificates))]
    if view.firewalls:
        parts += [Text(), *(Text(line) for row in view.firewalls for line in row.lines())]
    reasons = _reasons(view)
    if reasons:
        parts += [Text(), *map(Text, reasons)]
    if keeper:
        parts += [Text(), *map(Text, keeper)]
    return Group(*parts)


def _reasons(view: StatusView) -> list[str]:
    """What is not well and why, in sentences below the tables, so that no cell of theirs has to wrap."""
    vips = [f"VIP {row.vip} on {row.host}: {row.why}" for row in view.vips if row.why]
    members: dict[str, dict[str, None]] = {}
    for row in view.members:
        if row.why:
            members.setdefault(row.why, {})[f"{row.pool}/{row.member}"] = None
    told = [f"{why}: {', '.join(names)}" for why, names in members.items()]
    return [*view.hosts, *vips, *told, *view.refused]


def _vips(rows: tuple[VipRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("VIP", "HOST", "ADDRESS", "STATE"):
        table.add_column(title, overflow="fold")
    for title in ("UP", "SESSIONS", "REQUESTS"):
        table.add_column(title, justify="right")
    for row in rows:
        up = f"{row.members_up}/{row.members}" if row.runs else "-"
        state = Text(row.state, style="green" if row.well else "red")
        table.add_row(row.vip, row.host, row.listens, state, up, _count(row.sessions), _count(row.requests))
    return table


def _members(rows: tuple[MemberRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("POOL", "MEMBER", "ADDRESS", "HEALTH"):
        table.add_column(title, overflow="fold")
    for title in ("SINCE", "SESS", "REQUESTS"):
        table.add_column(title, justify="right")
    seen = ""
    for row in rows:
        health = Text(row.health, style="green" if row.up else "red")
        address = f"{row.address}:{row.port}" if row.address else "-"
        label = "" if row.pool == seen else row.pool
        table.add_row(label, row.member, address, health, row.since, _count(row.sessions), _count(row.requests))
        seen = row.pool
    return table


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)
