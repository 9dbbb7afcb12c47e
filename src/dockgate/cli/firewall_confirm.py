"""`dockgate firewall confirm`: keep the rules that `up --confirm` put on trial."""

from __future__ import annotations

from pathlib import Path

import typer

from dockgate.cli.progress import StepPrinter
from dockgate.cli.session import DEFAULT_FILE, FileOption, open_session, run
from dockgate.controller.execute import execute
from dockgate.model.observed import FirewallState, Observed
from dockgate.model.plan import Plan, Step
from dockgate.model.rules_actions import KeepRules


def confirm(file: FileOption = DEFAULT_FILE) -> None:
    """Keep the rules that `up --confirm` brought; without it the old ones come back by themselves.

    Exit code: 0 kept on every host that waited; 1 none waited, or one could not be asked.
    """
    raise typer.Exit(run(_confirm(file)))


async def _confirm(file: Path) -> int:
    async with open_session(file) as session:
        observed = await session.observe()
        plan = Plan(tuple(_steps(observed)))
        for name, state in observed.unknown():
            typer.echo(f"{name} could not be read: {state.reason}", err=True)
        if not plan.steps:
            typer.echo("no host has rules that wait: none were put on trial, or their time was over")
            return 1
        report = await execute(plan, session.world, on_event=StepPrinter(typer.echo))
    return 0 if report.ok and not observed.unknown() else 1


def _steps(observed: Observed) -> list[Step]:
    waiting = [
        host.name for host in observed.known() if isinstance(host.firewall, FirewallState) and host.firewall.confirm
    ]
    return [Step(KeepRules(name), "the operator confirms", f"firewall on {name}") for name in waiting]
