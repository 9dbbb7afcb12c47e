"""`dockgate plan`: what `up` would do, one line per action with its cause."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, Session, open_session, run
from dockgate.model.plan import Plan, Step
from dockgate.plan import describe
from dockgate.plan import plan as make_plan

CHANGES = 2
"""Exit code of a plan that is not empty."""


def plan(file: FileOption = DEFAULT_FILE, output: OutputOption = Output.table) -> None:
    """Show what `up` would change, and why. Changes nothing.

    Exit code: 0 nothing to do, 2 there is something to do, 1 an error or something the file asks for is blocked.
    """
    result = run(_plan(file))
    typer.echo(json.dumps(plan_json(result), indent=2) if output is Output.json else describe(result), nl=False)
    if result.blocked:
        raise typer.Exit(1)
    if result.steps:
        raise typer.Exit(CHANGES)


async def _plan(file: Path) -> Plan:
    async with open_session(file, to_change=True) as session:
        say_notes(session)
        return make_plan(session.desired, await session.observe())


def say_notes(session: Session) -> None:
    """What the reader of the file wants a person to know, on standard error."""
    for note in session.notes:
        typer.echo(f"note: {note}", err=True)


def plan_json(plan: Plan) -> dict[str, object]:
    """A plan for a script."""
    return {
        "steps": [step_json(step) for step in plan.steps],
        "blocked": [
            {"what": item.what, "why": item.why, "hint": item.hint, "source": str(item.source or "")}
            for item in plan.blocked
        ],
        "notes": list(plan.notes),
    }


def step_json(step: Step) -> dict[str, object]:
    """One step of a plan for a script."""
    return {
        "host": step.action.host,
        "action": type(step.action).__name__,
        "text": str(step.action),
        "cause": step.cause,
        "group": step.group,
    }
