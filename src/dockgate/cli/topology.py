"""`dockgate topology`: hosts, networks, VIPs and members as a picture, text or JSON; as they are or as planned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.plan import say_notes
from dockgate.cli.progress import SLOW_S
from dockgate.cli.session import DEFAULT_FILE, FileOption, Session, open_session, run
from dockgate.edges.files import load_file
from dockgate.edges.png import png_of
from dockgate.errors import DockgateError
from dockgate.topology import Difference, Graph, compare, from_json, graph_of, picture, text_of, to_json
from dockgate.topology.style import FONT


class TopologyOutput(StrEnum):
    """How the topology is printed."""

    text = "text"
    json = "json"


PictureOption = Annotated[Path | None, typer.Option("-o", help="Draw into this file: .svg or .png.", dir_okay=False)]
OutputOption = Annotated[TopologyOutput, typer.Option("--output", help="For a person, or JSON for a script or --diff.")]
DiffOption = Annotated[
    Path | None, typer.Option("--diff", help="Mark what is different from this state, an earlier `--output json`.")
]
DesiredOption = Annotated[bool, typer.Option("--desired", help="Draw the file before it is applied; ask no host.")]


def topology(
    file: FileOption = DEFAULT_FILE,
    picture_file: PictureOption = None,
    output: OutputOption = TopologyOutput.text,
    diff: DiffOption = None,
    desired: DesiredOption = False,
) -> None:
    """Draw hosts, networks, VIPs and members as they are: what is published, where NAT is, what is down.

    Exit code: 0 drawn (also when hosts could not be read: they are drawn as unknown), 1 an error.
    """
    run(_topology(file, picture_file, output, diff, desired=desired))


async def _topology(
    file: Path, picture_file: Path | None, output: TopologyOutput, diff: Path | None, *, desired: bool
) -> None:
    if picture_file is not None and picture_file.suffix.lower() not in (".svg", ".png"):
        raise DockgateError(f"{picture_file}: a picture is an .svg or a .png", hint="-o topology.svg")
    old = from_json(_read(diff), str(diff)) if diff is not None else None
    graph = graph_of(load_file(file).desired, None) if desired else await _live(file)
    difference = compare(old, graph) if old is not None else None
    if picture_file is not None:
        _write(picture_file, graph, difference)
    if picture_file is None or output is TopologyOutput.json:
        typer.echo(to_json(graph) if output is TopologyOutput.json else text_of(graph, difference), nl=False)


async def _live(file: Path) -> Graph:
    async with open_session(file) as session, _patience(session):
        say_notes(session)
        return graph_of(session.desired, await session.observe())


@asynccontextmanager
async def _patience(session: Session) -> AsyncIterator[None]:
    """Say what is waited for when it takes long."""
    names = ", ".join(host.name for host in session.desired.hosts)
    late = asyncio.get_running_loop().call_later(SLOW_S, lambda: typer.echo(f"reading {names} …", err=True))
    try:
        yield
    finally:
        late.cancel()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DockgateError(
            f"{file} could not be read: {error}", hint="--diff takes an earlier `--output json`"
        ) from error


def _write(file: Path, graph: Graph, difference: Difference | None) -> None:
    svg = picture(graph, difference)
    data = png_of(svg, fonts=FONT) if file.suffix.lower() == ".png" else svg.encode()
    try:
        file.write_bytes(data)
    except OSError as error:
        raise DockgateError(
            f"{file} could not be written: {error}", hint="-o a file in a folder that is there"
        ) from error
    typer.echo(f"drawn: {file}", err=True)
