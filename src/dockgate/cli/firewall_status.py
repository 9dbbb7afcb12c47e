"""`dockgate firewall status`: what is in force on every host, and how long it was missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockgate.cli.firewall_view import FirewallRow, firewall_rows
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, open_session, run, width


def status(file: FileOption = DEFAULT_FILE, output: OutputOption = Output.table) -> None:
    """Show what is in force on every host, what it does not cover, and how long rules were missing.

    Exit code: 0 in force everywhere as the file asks, 1 otherwise.
    """
    rows = run(_status(file))
    if output is Output.json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _print(rows)
    raise typer.Exit(0 if all(row.well for row in rows) else 1)


async def _status(file: Path) -> tuple[FirewallRow, ...]:
    async with open_session(file) as session:
        return firewall_rows(session.desired, await session.observe())


def _print(rows: tuple[FirewallRow, ...]) -> None:
    console = Console(width=max(width(), 60), highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("HOST", "RULES", "FIREWALL"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.host, row.rules or "-", Text(row.state, style="green" if row.well else "red"))
    console.print(table)
    for row in rows:
        for sentence in row.told:
            console.print(Text(f"{row.host}: {sentence}"))
