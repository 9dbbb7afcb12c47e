"""`dockgate replace`: a member, or every member of a pool, made anew from another image under a load of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.plan import plan_json
from dockgate.cli.progress import StepPrinter
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, Session, open_session
from dockgate.cli.session import run as run_verb
from dockgate.cli.up import step_json
from dockgate.controller.execute import execute
from dockgate.controller.report import Report
from dockgate.controller.world import World
from dockgate.edges.small_load import SmallLoad, Tally, small_load
from dockgate.model.observed import Observed
from dockgate.model.plan import Plan
from dockgate.model.proof import ProofRequest
from dockgate.plan import describe
from dockgate.plan.replace import Order, plan_replace, requests_of


def replace(
    name: Annotated[str, typer.Argument(help="A container that is a member, or a pool: then all of its members.")],
    image: Annotated[str, typer.Option("--image", help="The image to make it from.")],
    file: FileOption = DEFAULT_FILE,
    output: OutputOption = Output.table,
    host: Annotated[str, typer.Option("--host", help="Where, if several hosts have a container of that name.")] = "",
    max_unavailable: Annotated[int, typer.Option("--max-unavailable", min=1, help="Members of a pool at a time.")] = 1,
    healthy: Annotated[int, typer.Option("--healthy", min=1, help="Seconds until the new one must be healthy.")] = 60,
    drain: Annotated[int, typer.Option("--drain", min=0, help="Seconds for requests and sessions to end.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps only.")] = False,
) -> None:
    """Replace a member under load, without a request lost.

    The new one runs beside the old one and takes its part before the old one goes. If it does not become healthy, or
    the load through the VIP sees a failure, everything is taken back.

    Exit code: 0 replaced and no request failed; 1 not so, and then the old one serves.
    """
    order = Order(name, image, host, max_unavailable=max_unavailable, healthy_s=healthy, drain_s=drain)
    raise typer.Exit(run_verb(_replace(file, order, output, dry_run=dry_run)))


async def _replace(file: Path, order: Order, output: Output, *, dry_run: bool) -> int:
    say: Callable[[str], None] = (lambda _: None) if output is Output.json else typer.echo
    async with open_session(file) as session:
        observed = await session.observe()
        plan = plan_replace(session.desired, observed, order)
        if plan.blocked or dry_run:
            typer.echo(json.dumps(plan_json(plan), indent=2) if output is Output.json else describe(plan), nl=False)
            return 1 if plan.blocked else 0
        report, tally = await _under_load(session, observed, plan, order, say)
    if output is Output.json:
        steps = [step_json(step) for step in report.steps]
        typer.echo(json.dumps({"steps": steps, "sent": tally.sent, "failed": tally.failed}, indent=2))
    say(_verdict(report, order))
    say(str(tally))
    return 0 if report.ok and not tally.failed else 1


async def _under_load(
    session: Session, observed: Observed, plan: Plan, order: Order, say: Callable[[str], None]
) -> tuple[Report, Tally]:
    requests = requests_of(session.desired, observed, order)
    async with AsyncExitStack() as stack:
        load = await _start(stack, session.world, requests, observed)
        world = with_fields(session.world, load=load.tally)
        report = await execute(plan, world, on_event=StepPrinter(say))
        return report, await load.tally()


async def _start(
    stack: AsyncExitStack, world: World, requests: tuple[ProofRequest, ...], observed: Observed
) -> SmallLoad:
    """From the last host by name, which rather is not the load balancer's own."""
    vantage = [host.name for host in observed.known()][-1]
    node = await world.node(vantage)
    return await stack.enter_async_context(small_load(world.engine(vantage), node.id, requests))


def _verdict(report: Report, order: Order) -> str:
    if report.ok:
        return f"replaced: {order.name} runs {order.image}"
    left = [str(item.error) for item in report.left_over]
    back = "could not all be taken back" if left else "was taken back, and the old one serves"
    return "\n".join([f"not replaced: {order.name}; what was begun {back}", *left])
