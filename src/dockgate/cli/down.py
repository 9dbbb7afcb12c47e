"""`dockgate down`: take away what carries the project's mark, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.plan import plan_json
from dockgate.cli.progress import StepPrinter
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, open_session, run
from dockgate.cli.up import step_json
from dockgate.controller.execute import execute
from dockgate.controller.swarm import swarm_state
from dockgate.model.observed import Unknown
from dockgate.model.plan import Plan
from dockgate.plan import describe, plan_down
from dockgate.plan.swarm import not_known, plan_removal


def down(
    file: FileOption = DEFAULT_FILE,
    output: OutputOption = Output.table,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    """Remove this project's load balancers, node containers, addresses and networks,
    and its controller in a Swarm. Members and foreign networks stay.

    Exit code: 0 all gone, or only networks that somebody else still uses remain; 1 something failed.
    """
    raise typer.Exit(run(_down(file, output, dry_run=dry_run)))


async def _down(file: Path, output: Output, *, dry_run: bool) -> int:
    say: Callable[[str], None] = (lambda _: None) if output is Output.json else typer.echo
    async with open_session(file) as session:
        observed, project = await session.observe(), session.desired.project
        manager, swarm = await swarm_state(session.world.engines, observed, project)
        plan = plan_down(project, observed)
        if isinstance(swarm, Unknown):
            plan = replace(plan, blocked=(*plan.blocked, not_known(swarm)))
        else:
            # The controller first: it would make everything anew.
            plan = replace(plan, steps=(*plan_removal(manager, swarm, "down was asked for").steps, *plan.steps))
        if dry_run:
            typer.echo(json.dumps(plan_json(plan), indent=2) if output is Output.json else describe(plan), nl=False)
            return 0
        report = await execute(plan, session.world, on_event=StepPrinter(say))
    if output is Output.json:
        document = {"plan": plan_json(plan), "steps": [step_json(item) for item in report.steps]}
        typer.echo(json.dumps(document, indent=2))
    for line in describe(Plan(blocked=plan.blocked, notes=plan.notes)).splitlines():
        if line != "nothing to do":
            say(line)
    done = sum(item.status == "done" for item in report.steps)
    say(f"removed: {done} of {len(report.steps)} steps done" if plan.steps else "nothing to remove")
    return 0 if report.ok and not plan.blocked else 1
