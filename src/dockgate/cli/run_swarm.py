"""`dockgate run --swarm`: the controller as a Swarm service that moves to another manager when its node dies."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from dockgate.cli.plan import plan_json
from dockgate.cli.progress import StepPrinter
from dockgate.cli.session import RECIPES, Output, Session, open_session
from dockgate.cli.up import step_json
from dockgate.controller.execute import execute
from dockgate.controller.swarm import swarm_state
from dockgate.edges.archives import read_archives
from dockgate.edges.carried import Carried, Keys, carry, content_mark
from dockgate.edges.controller_image import NAME, controller_tag, stage
from dockgate.errors import DockgateError
from dockgate.lab.controller import FOLDER
from dockgate.lab.paths import cache_dir
from dockgate.model.observed import Observed, Unknown
from dockgate.model.plan import Plan
from dockgate.model.swarm import Installation, SwarmState
from dockgate.plan import describe
from dockgate.plan.swarm import no_manager, not_known, plan_installation, plan_removal


@dataclass(frozen=True)
class Wish:
    """How `run --swarm` was called. ``image``: "" is the one that holds this dockgate."""

    output: Output
    keys: Keys
    image: str = ""
    log_format: str = "text"
    listen: str = ""
    remove: bool = False
    dry_run: bool = False


async def run_swarm(file: Path, wish: Wish) -> int:
    """Install, bring up to date, or remove; the exit code."""
    carried = None if wish.remove else carry(file, wish.keys)
    async with open_session(file, to_change=not wish.remove) as session:
        session = _with_images(session, carried)
        observed = await session.observe()
        manager, swarm = await swarm_state(session.world.engines, observed, session.desired.project)
        plan = _plan(session, observed, carried, Place(manager, swarm), wish)
        if wish.dry_run:
            as_json = wish.output is Output.json
            typer.echo(json.dumps(plan_json(plan), indent=2) if as_json else describe(plan), nl=False)
            return 1 if plan.blocked else 0
        return await _carry_out(session, plan, wish)


@dataclass(frozen=True)
class Place:
    """The manager that was asked ("" for none), and what it told."""

    manager: str
    swarm: SwarmState | Unknown


def _plan(session: Session, observed: Observed, carried: Carried | None, place: Place, wish: Wish) -> Plan:
    if not place.manager:
        return Plan(blocked=(no_manager(observed),))
    if isinstance(place.swarm, Unknown):
        return Plan(blocked=(not_known(place.swarm),))
    if carried is None:
        return plan_removal(place.manager, place.swarm, "its removal was asked for")
    before = place.swarm.service.content if place.swarm.service else ""
    wanted = Installation(
        project=session.desired.project,
        image=wish.image or _own_image(),
        content=content_mark(carried.files, before=before, fresh=secrets.token_hex(4)),
        files=tuple((kind, target) for target, (kind, _) in sorted(carried.files.items())),
        arguments=_arguments(carried, wish),
        environment=carried.environment,
        manager=place.manager,
    )
    return plan_installation(wanted, observed, place.swarm)


def _arguments(carried: Carried, wish: Wish) -> tuple[str, ...]:
    listen = ("--listen", wish.listen) if wish.listen else ()
    return ("run", "--file", carried.spec, "--log-format", wish.log_format, *listen)


def _own_image() -> str:
    if not RECIPES.is_dir():
        raise DockgateError(
            "this dockgate has no recipe of the controller's image at hand",
            hint="run it from a checkout, or name an image that the managers can pull: --image REPOSITORY:TAG",
        )
    return controller_tag(RECIPES)


def _with_images(session: Session, carried: Carried | None) -> Session:
    """The lab's archive of the controller's image stands beside those of the others."""
    archives: Mapping[str, Path] = {**session.world.archives, **read_archives(cache_dir() / FOLDER)}
    contents = carried.contents if carried is not None else {}
    return replace(session, world=replace(session.world, archives=archives, carried=contents))


@asynccontextmanager
async def _staged(session: Session, plan: Plan) -> AsyncIterator[Session]:
    """With the folder that the image is built from, where the plan builds it."""
    if not any(getattr(step.action, "origin", "") == "build" for step in plan.steps):
        yield session
        return
    with tempfile.TemporaryDirectory(prefix="dockgate-") as folder:
        stage(RECIPES, Path(folder) / NAME)
        yield replace(session, world=replace(session.world, recipes=Path(folder)))


async def _carry_out(session: Session, plan: Plan, wish: Wish) -> int:
    as_json = wish.output is Output.json
    say: Callable[[str], None] = (lambda _: None) if as_json else typer.echo
    async with AsyncExitStack() as stack:
        staged = await stack.enter_async_context(_staged(session, plan))
        report = await execute(plan, staged.world, on_event=StepPrinter(say))
    for line in describe(Plan(blocked=plan.blocked, notes=plan.notes)).splitlines():
        if line != "nothing to do":
            say(line)
    if as_json:
        typer.echo(json.dumps({"plan": plan_json(plan), "steps": [step_json(item) for item in report.steps]}, indent=2))
    done = sum(item.status == "done" for item in report.steps)
    say(f"{done} of {len(report.steps)} steps done" if plan.steps else "nothing to do")
    return 0 if report.ok and not plan.blocked else 1
