"""What every verb begins with: the file read, the engines opened, the world observed.

Invariant: engines are closed whatever happens; an error that a person can do something about ends as two lines on
standard error and exit code 1, never as a traceback.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from dockgate.controller.observe import observe
from dockgate.controller.world import World
from dockgate.edges.archives import read_archives
from dockgate.edges.engine import Engine
from dockgate.edges.files import load_file
from dockgate.edges.key_files import KeyFiles
from dockgate.errors import DockgateError
from dockgate.lab.paths import cache_dir
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed

T = TypeVar("T")

DEFAULT_FILE = Path("dockgate.yaml")
RECIPES = Path(__file__).resolve().parents[3] / "images"


class Output(StrEnum):
    """How a result is printed."""

    table = "table"
    json = "json"


FileOption = Annotated[
    Path,
    typer.Option("--file", "-f", help="The file that says what is exposed.", envvar="DOCKGATE_FILE", show_default=True),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="For a person, or JSON for a script.")]


@dataclass(frozen=True)
class Session:
    """One run of a verb. ``notes``: what the file's reader wants a person to know."""

    desired: Desired
    notes: tuple[str, ...]
    world: World

    async def observe(self) -> Observed:
        return await observe(self.world.engines, self.desired.project, frozenset(self.world.archives))


@asynccontextmanager
async def open_session(file: Path, *, to_change: bool = False) -> AsyncIterator[Session]:
    """Read the file and open an engine for each of its hosts. Nothing is asked of them yet. ``to_change``: then nothing
    in the file may be outdated; who only looks, or keeps what is there, is told of it in a note."""
    loaded = load_file(file)
    if to_change:
        loaded.current()
    async with AsyncExitStack() as stack:
        engines: Mapping[str, Engine] = {
            host.name: await stack.enter_async_context(Engine(host.name, host.engine)) for host in loaded.desired.hosts
        }
        world = World(
            project=loaded.desired.project,
            engines=engines,
            archives=read_archives(cache_dir() / "images"),
            recipes=RECIPES if RECIPES.is_dir() else None,
            key_content=KeyFiles.beside(file).content,
        )
        yield Session(loaded.desired, tuple(map(str, (*loaded.outdated, *loaded.notes))), world)


def run(verb: Coroutine[Any, Any, T]) -> T:
    """Run a verb to its end; what a person can act on is told, not thrown."""
    try:
        return asyncio.run(verb)
    except DockgateError as error:
        typer.echo(f"dockgate: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("dockgate: interrupted; run the same command again to go on", err=True)
        raise typer.Exit(130) from error


def width() -> int:
    """Columns to print in: the terminal's, else 80."""
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80
