"""`dockgate doctor`: what is broken, how that was seen, what to do; causes first, with what they explain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

from dockgate.cli.plan import say_notes
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, open_session, run, width
from dockgate.controller.doctor import Round, examine
from dockgate.doctor.report import as_json, lines, summary

SLOW_S = 2.0
_STYLES = {"ERROR": "bold red", "WARNING": "yellow", "UNKNOWN": "magenta"}


def doctor(file: FileOption = DEFAULT_FILE, output: OutputOption = Output.table) -> None:
    """Find what is broken: compare Docker, DNS and HAProxy, and try what passes between the hosts.

    Changes nothing. Exit code: 0 nothing is wrong, 1 something is, or could not be looked at.
    """
    found = run(_doctor(file, lambda text: typer.echo(text, err=True)))
    if output is Output.json:
        typer.echo(json.dumps(as_json(found.findings, found.hosts, found.seconds), indent=2, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(1 if found.findings else 0)


async def _doctor(file: Path, say: Callable[[str], None]) -> Round:
    async with open_session(file) as session:
        say_notes(session)
        slow = _Slow(say)
        try:
            return await examine(session.desired, session.world, say=slow.phase)
        finally:
            slow.end()


class _Slow:
    """Tells what is going on once the whole takes longer than a person waits without a word."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._phase = say, ""
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(SLOW_S, self._tell)

    def phase(self, text: str) -> None:
        self._phase = text
        if self._timer is None:
            self._tell()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        self._say(f"{self._phase} …")


def _print(found: Round) -> None:
    console = Console(width=max(width(), 80), highlight=False, soft_wrap=True)
    for line, first in lines(found.findings, console.width):
        console.print(line, style=_STYLES[line.split()[0]] if first else "", markup=False)
    text = summary(found.findings, found.hosts, found.seconds)
    console.print(text, style="bold red" if found.findings else "", markup=False)
