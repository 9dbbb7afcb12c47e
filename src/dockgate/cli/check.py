"""`dockgate check`: the file alone, every problem at once. Asks no host, changes nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import typer

from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption
from dockgate.edges.files import load_file, read_spec
from dockgate.model.desired import Desired
from dockgate.model.source import Source
from dockgate.spec import Loaded, Note, Problem, SpecError

_MAY_HOLD_A_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)
_WIDEST = 120


def check(file: FileOption = DEFAULT_FILE, output: OutputOption = Output.table) -> None:
    """Check the file: every problem at once, each with its line and what would be right.

    Exit code: 0 the file can be used, 1 it cannot.
    """
    try:
        loaded = load_file(file).current()
    except SpecError as error:
        lines = _lines(file) if sys.stdout.isatty() else []
        typer.echo(_as_json(file, error) if output is Output.json else failure(error, lines), nl=False)
        raise typer.Exit(1) from error
    typer.echo(_as_json(file, loaded) if output is Output.json else success(file, loaded), nl=False)


def failure(error: SpecError, lines: list[str]) -> str:
    """All problems; with ``lines`` (the file's), each with its line and a caret."""
    hidden = {problem.source.line for problem in error.problems if problem.confidential}
    text = ""
    for problem in error.problems:
        text += f"{problem}\n"
        if problem.source.line not in hidden:
            text += _excerpt(problem.source, lines)
    more = f"… and {error.omitted} more\n" if error.omitted else ""
    return f"{text}{more}{error.what}\n"


def success(file: Path, loaded: Loaded) -> str:
    """The notes, and one line that says what the file asks for."""
    notes = "".join(f"note: {note}\n" for note in loaded.notes)
    return f"{notes}{file} is fine: {summary(loaded.desired)}\n"


def summary(desired: Desired) -> str:
    """``project shop: 3 hosts, 1 network, 2 VIPs, 2 pools``."""
    counts = (
        ("host", len(desired.hosts)),
        ("network", len(desired.networks)),
        ("VIP", len(desired.vips)),
        ("pool", len(desired.pools)),
    )
    return f"project {desired.project}: " + ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts)


def _lines(file: Path) -> list[str]:
    """The file's lines, for showing; none if it cannot be read (which is then the problem that is reported)."""
    try:
        return re.split("\r\n|\r|\n", read_spec(file).decode("utf-8-sig"))
    except (SpecError, UnicodeDecodeError):
        return []


def _excerpt(source: Source, lines: list[str]) -> str:
    """The line with a caret under the place. Never a line that may hold a secret, nor what could drive a terminal."""
    if source.line > len(lines):
        return ""
    line = lines[source.line - 1].replace("\t", " ")
    if len(line) > _WIDEST or not line.isprintable() or not line.strip() or _MAY_HOLD_A_SECRET.search(line):
        return ""
    return f"    {line}\n    {' ' * (source.column - 1)}^\n"


def _as_json(file: Path, result: Loaded | SpecError) -> str:
    """``{ok, file, summary, problems: [{file, line, column, what, fix}], omitted, notes: [{…, text}]}``."""
    document = {
        "ok": isinstance(result, Loaded),
        "file": str(file),
        "summary": result.what if isinstance(result, SpecError) else summary(result.desired),
        "problems": [_problem_json(problem) for problem in result.problems] if isinstance(result, SpecError) else [],
        "omitted": result.omitted if isinstance(result, SpecError) else 0,
        "notes": _notes_json(result.notes) if isinstance(result, Loaded) else [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _problem_json(problem: Problem) -> dict[str, object]:
    return {**_place_json(problem.source), "what": problem.what, "fix": problem.fix}


def _notes_json(notes: Iterable[Note]) -> list[dict[str, object]]:
    return [{**_place_json(note.source), "text": note.text} for note in notes]


def _place_json(source: Source) -> dict[str, object]:
    return {"file": source.file, "line": source.line, "column": source.column}
