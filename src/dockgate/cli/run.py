"""`dockgate run`: keep the hosts as the file says, until told to end."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.run_swarm import Wish, run_swarm
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, open_session
from dockgate.cli.session import run as run_verb
from dockgate.controller import metrics
from dockgate.controller.keep import Cycle, Keeper
from dockgate.edges.carried import Keys
from dockgate.edges.engine import Engine
from dockgate.edges.files import load_file, read_spec
from dockgate.edges.http import Place, serve
from dockgate.errors import DockgateError
from dockgate.model.desired import Desired

LOOK_S = 1.0
BEAT_S = 2.0
SECRETS_EVERY = 10
"""Looks at the file between two looks at the secrets that it names."""


class LogFormat(StrEnum):
    """How a line of the log is written."""

    text = "text"
    json = "json"


def run(
    file: FileOption = DEFAULT_FILE,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="For a person, or JSON.")] = LogFormat.text,
    listen: Annotated[
        str, typer.Option("--listen", help="ADDRESS:PORT for /healthz and /metrics; default: nothing listens.")
    ] = "",
    alive: Annotated[
        Path | None,
        typer.Option("--alive", envvar="DOCKGATE_ALIVE", help="A file to touch while it lives, for a health check."),
    ] = None,
    swarm: Annotated[bool, typer.Option("--swarm", help="Install it as a Swarm service; returns.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="With --swarm: take the service away.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --swarm: only show what would be done.")] = False,
    image: Annotated[str, typer.Option("--image", help="With --swarm: an image that the managers can pull.")] = "",
    ssh_key: Annotated[
        Path | None, typer.Option("--ssh-key", help="With --swarm: the private key for hosts by ssh://.")
    ] = None,
    known_hosts: Annotated[
        Path | None, typer.Option("--known-hosts", help="With --swarm: default ~/.ssh/known_hosts.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Keep the hosts as the file says, until Ctrl-C or SIGTERM.

    Repairs what differs, follows the file, and takes members out and in over HAProxy's socket as Docker tells of them.
    With --swarm a Swarm does that from now on: one replica, moved to another manager when its node dies.

    Exit code: 0 told to end, or installed; 1 the file cannot be used, or a fault.
    """
    place = Place.parse(listen) if listen else None
    if swarm:
        keys = Keys(ssh_key, known_hosts)
        wish = Wish(output, keys, image, log_format.value, listen, remove=remove, dry_run=dry_run)
        raise typer.Exit(run_verb(run_swarm(file, wish)))
    if remove or dry_run or image or ssh_key or known_hosts or output is Output.json:
        raise typer.BadParameter("--remove, --dry-run, --image, --ssh-key, --known-hosts and --output go with --swarm")
    run_verb(_run(_Kept(file, alive), _Log(log_format), place))


class _Log:
    """One line for each thing said, at once."""

    def __init__(self, form: LogFormat) -> None:
        self._form = form

    def __call__(self, message: str, **fields: object) -> None:
        at = datetime.fromtimestamp(time.time(), UTC)
        if self._form is LogFormat.json:
            typer.echo(json.dumps({"time": at.isoformat(timespec="milliseconds"), "message": message, **fields}))
        else:
            typer.echo(f"{at:%H:%M:%S} {message}")

    def cycle(self, cycle: Cycle) -> None:
        because = ", ".join(cycle.reasons[:2]) + (f" and {len(cycle.reasons) - 2} more" if cycle.reasons[2:] else "")
        self(
            f"{cycle.said} ({because})",
            cycle=cycle.number,
            reasons=list(cycle.reasons),
            well=cycle.well,
            changes=cycle.changes,
            seconds=round(cycle.seconds, 3),
        )


@dataclass(frozen=True)
class _Kept:
    """The file, and the one to touch while we live (None: none)."""

    file: Path
    alive: Path | None


async def _run(kept: _Kept, log: _Log, place: Place | None) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    current: list[Keeper] = []
    async with AsyncExitStack() as stack:
        if place is not None:
            await stack.enter_async_context(serve(place, lambda path: metrics.answer(path, current)))
            log(f"http://{place} answers /healthz and /metrics")
        while not told.is_set():
            await _term(kept, log, told, current)
    log("told to end; load balancers and members go on without a controller")


async def _term(kept: _Kept, log: _Log, told: asyncio.Event, current: list[Keeper]) -> None:
    """Keep the file as it is now, until it is another one that can be used, or we are told to end."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(kept.file))
        for text in session.notes:
            log(f"note: {text}")
        ears = {
            host.name: await stack.enter_async_context(Engine(host.name, host.engine)) for host in session.desired.hosts
        }
        keeper = Keeper(session.desired, session.world, ears, tell=log.cycle, note=log)
        current[:] = [keeper]
        tasks = [
            asyncio.create_task(keeper.run(), name="keep"),
            asyncio.create_task(_changed(kept.file, session.desired, log), name="file"),
            asyncio.create_task(_beat(kept.alive, keeper), name="alive"),
            asyncio.create_task(told.wait(), name="told"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            with suppress(asyncio.CancelledError):
                task.result()


async def _beat(alive: Path | None, keeper: Keeper) -> None:
    """Touch the file from the moment when a host was read. A cycle may take minutes (an image is pulled) and always
    ends, since every call has a limit: so the sign is not tied to cycles."""
    while alive is not None:
        if any(watch.seen_at is not None for watch in keeper.watches):
            try:
                await asyncio.to_thread(alive.touch)
            except OSError as error:
                raise DockgateError(
                    f"{alive} cannot be touched: {error.strerror}", hint="name another file with --alive"
                ) from error
        await asyncio.sleep(BEAT_S)
    await asyncio.Event().wait()


async def _changed(file: Path, now: Desired, log: Callable[[str], None]) -> None:
    """Returns when the file, or a secret that it names, asks for something else; says so while it cannot be used."""
    seen, complaint = read_spec(file), ""
    for look in count():
        await asyncio.sleep(LOOK_S)
        try:
            text = read_spec(file)
            same = text == seen and look % SECRETS_EVERY
            wanted = now if same else await asyncio.to_thread(_load, file)
        except DockgateError as error:
            if str(error) != complaint:
                complaint = str(error)
                log(f"the file cannot be used, so the one before goes on: {complaint}")
            continue
        seen, complaint = text, ""
        if wanted != now:
            log(f"{file} says something else now")
            return


def _load(file: Path) -> Desired:
    return load_file(file).desired
