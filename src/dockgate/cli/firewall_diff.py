"""`dockgate firewall diff`: what `up` would change in the rules of each host."""

from __future__ import annotations

import asyncio
import difflib
import json
from pathlib import Path

import typer

from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, Session, open_session, run
from dockgate.edges.firewall import read_rules
from dockgate.errors import DockgateError
from dockgate.firewall.host_rules import TableText, host_rules, is_wanted
from dockgate.model.observed import Observed, Unknown

CHANGES = 2
"""Exit code when there is a difference."""


def diff(file: FileOption = DEFAULT_FILE, output: OutputOption = Output.table) -> None:
    """Compare the rules that are kept on each host with those of the file and its containers. Changes nothing.

    Exit code: 0 no difference, 2 there is one, 1 an error.
    """
    found = run(_diff(file))
    if output is Output.json:
        typer.echo(json.dumps([{"place": place, "diff": text} for place, text in found], indent=2))
    else:
        typer.echo("".join(text for _, text in found) or "no difference\n", nl=False)
    raise typer.Exit(CHANGES if found else 0)


async def _diff(file: Path) -> list[tuple[str, str]]:
    async with open_session(file) as session:
        observed = await session.observe()
        hosts = [host.name for host in session.desired.hosts]
        kept = await asyncio.gather(*(_kept(session, observed, name) for name in hosts))
        return [
            pair
            for name, tables in zip(hosts, kept, strict=True)
            for pair in _differences(name, tables, _wanted(session, observed, name))
        ]


async def _kept(session: Session, observed: Observed, host: str) -> tuple[TableText, ...]:
    state = observed.host(host)
    if isinstance(state, Unknown):
        raise DockgateError(f"{host} could not be read: {state.reason}", hint="make its engine reachable")
    if isinstance(state.firewall, Unknown):
        return ()
    return await read_rules(session.world.engine(host), (await session.world.node(host)).id)


def _wanted(session: Session, observed: Observed, host: str) -> tuple[TableText, ...]:
    rules = host_rules(session.desired, observed, host)
    if isinstance(rules, Unknown):
        raise DockgateError(f"{host}: {rules.reason}", hint="make every host answer")
    return rules.tables if is_wanted(session.desired) else ()


def _differences(host: str, old: tuple[TableText, ...], new: tuple[TableText, ...]) -> list[tuple[str, str]]:
    before, after = ({table.place: table.text for table in tables} for tables in (old, new))
    found = []
    for place in sorted({*before, *after}):
        name = f"{host}/{place}"
        lines = difflib.unified_diff(
            before.get(place, "").splitlines(keepends=True),
            after.get(place, "").splitlines(keepends=True),
            f"{name} in force",
            f"{name} in the file",
        )
        text = "".join(lines)
        if text:
            found.append((name, text))
    return found
