"""`dockgate verify`: who can reach whom, measured with real packets and held against the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockgate.cli.plan import say_notes
from dockgate.cli.progress import Late
from dockgate.cli.session import DEFAULT_FILE, RECIPES, FileOption, Output, OutputOption, open_session, run, width
from dockgate.controller.verify import verify as prove
from dockgate.errors import DockgateError
from dockgate.verify import Proof
from dockgate.verify.report import Row, as_json, as_junit, attack_rows, rows, summary, wrong_lines

MOST_WRONG = 20


def verify(
    file: FileOption = DEFAULT_FILE,
    output: OutputOption = Output.table,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write the result as JUnit XML.")] = None,
    client: Annotated[
        bool, typer.Option("--client", help="Ask from this machine too, as a client of the LAN (as root).")
    ] = False,
) -> None:
    """Prove with real packets that everybody reaches what the file allows, and nothing else.

    Changes nothing. Exit code: 0 all is as the file says, 1 something is not, or could not be asked.
    """
    proof = run(_verify(file, client, lambda text: typer.echo(text, err=True)))
    if junit is not None:
        _write(junit, as_junit(proof))
    if output is Output.json:
        typer.echo(json.dumps(as_json(proof), indent=2, ensure_ascii=False))
    else:
        _print(proof)
    raise typer.Exit(0 if proof.ok else 1)


async def _verify(file: Path, client: bool, say: Callable[[str], None]) -> Proof:
    program = RECIPES / "node" / "dockgate_reach.py"
    if client and not program.is_file():
        raise DockgateError(
            "the probe program is not here, so this machine cannot be a client",
            hint="run it from a checkout of dockgate, or leave --client out",
        )
    async with open_session(file) as session:
        say_notes(session)
        late = Late(say)
        try:
            observed = await session.observe()
            return await prove(
                session.desired, observed, session.world, client=program if client else None, say=late.phase
            )
        finally:
            late.end()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        typer.echo(f"dockgate: could not write {path}: {error.strerror}\n  next: choose another --junit", err=True)
        raise typer.Exit(1) from error


def _print(proof: Proof) -> None:
    console = Console(width=max(width(), 80), highlight=False, soft_wrap=False)
    if proof.results:
        console.print(_table(rows(proof), "WHAT"))
        console.print()
        console.print(_table(attack_rows(proof), "ATTACK"))
        console.print()
    for line in wrong_lines(proof, MOST_WRONG):
        console.print(line, style="red" if not line.startswith(" ") else "", markup=False)
    for sentence in proof.missing:
        console.print(f"NOT ASKED  {sentence}", style="red", markup=False)
    for sentence in proof.skipped:
        console.print(f"note: {sentence}", markup=False)
    console.print(summary(proof), markup=False, style="" if proof.ok else "bold red")


def _table(found: tuple[Row, ...], what: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("FROM", "TO", what, "EXPECTED", "RESULT"):
        table.add_column(title, overflow="fold")
    table.add_column("CELLS", justify="right")
    for row in found:
        result = Text(row.status, style="green" if row.status == "ok" else "bold red")
        table.add_row(row.source, row.target, row.what, row.expected, result, str(row.count))
    return table
