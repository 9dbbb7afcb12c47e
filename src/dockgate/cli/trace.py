"""`dockgate trace URL`: the walk of one real request, hop by hop, predicted and then seen."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from dockgate.cli.plan import say_notes
from dockgate.cli.session import DEFAULT_FILE, FileOption, Session, open_session, run, width
from dockgate.controller.trace import trace as carry_out
from dockgate.controller.trace_tables import home_of
from dockgate.edges.tracing import own_address, resolve
from dockgate.errors import DockgateError
from dockgate.model.observed import Observed
from dockgate.trace import HERE, Request, Walk, dry, predict
from dockgate.trace.echo import address_of
from dockgate.trace.model import Asks
from dockgate.trace.picture import picture
from dockgate.trace.report import as_json, lines


class TraceOutput(StrEnum):
    """How a walk is printed."""

    text = "text"
    json = "json"


UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="What to ask, e.g. http://docker1.lab.lab/")]
FromOption = Annotated[
    str,
    typer.Option("--from", help="A host or container to ask from; without it, this machine."),
]
PictureOption = Annotated[Path | None, typer.Option("-o", help="Also draw it into this .svg file.", dir_okay=False)]
OutputOption = Annotated[TraceOutput, typer.Option("--output", help="For a person, or JSON for a script.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only predict; send nothing.")]
_SCHEMES = ("http", "https", "tcp", "tls", "icmp")
_EXAMPLE = "for example: dockgate trace http://docker1.lab.lab/"


def trace(
    url: UrlArgument,
    file: FileOption = DEFAULT_FILE,
    picture_file: PictureOption = None,
    output: OutputOption = TraceOutput.text,
    vantage: FromOption = HERE,
    dry_run: DryOption = False,
) -> None:
    """Send a request (http, https), open a connection (tcp, tls) or ping (icmp), and show the walk.

    Each namespace, translation and rule, there and back, and who answered. Changes nothing and leaves nothing behind.
    From this machine it needs root to see its own packets.

    Exit code: 0 it arrived (with --dry-run: nothing known stops it), 1 it did not, or an error.
    """
    walk = run(_trace(url, file, vantage, picture_file, dry_run=dry_run))
    if output is TraceOutput.json:
        typer.echo(json.dumps(as_json(walk), indent=2, ensure_ascii=False))
    else:
        console = Console(width=max(width(), 40), highlight=False)
        for style, text in lines(walk, console.width):
            console.print(text, style=style, markup=False, no_wrap=True)
    raise typer.Exit(0 if walk.arrived else 1)


async def _trace(url: str, file: Path, vantage: str, picture_file: Path | None, *, dry_run: bool) -> Walk:
    if picture_file is not None and picture_file.suffix.lower() != ".svg":
        raise DockgateError(f"{picture_file}: the picture of a walk is an .svg", hint="-o walk.svg")
    walk = await _walk(url, file, vantage, dry_run=dry_run)
    if picture_file is not None:
        _draw(picture_file, walk)
    return walk


def _draw(file: Path, walk: Walk) -> None:
    try:
        file.write_text(picture(walk), encoding="utf-8")
    except OSError as error:
        raise DockgateError(
            f"{file} could not be written: {error.strerror}", hint="-o a file in a folder that is there"
        ) from error
    typer.echo(f"drawn: {file}", err=True)


async def _walk(url: str, file: Path, vantage: str, *, dry_run: bool) -> Walk:
    async with open_session(file) as session:
        asked = _asked(url)
        say_notes(session)
        observed = await session.observe()
        request = await _to(session, observed, _from(session, observed, asked, vantage))
        if dry_run:
            return dry(predict(session.desired, observed, request))
        return await carry_out(session.desired, observed, session.world, request)


def _asked(url: str) -> Request:
    """What the URL says; its address is not known yet."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as error:
        raise DockgateError(f"{url} is not a URL: {error}", hint=_EXAMPLE) from error
    if parts.scheme not in _SCHEMES or not parts.hostname:
        known = ", ".join(f"{each}://" for each in _SCHEMES)
        raise DockgateError(f"{url} cannot be traced: it must begin with {known} and name a host", hint=_EXAMPLE)
    if parts.scheme == "icmp":
        if port or parts.path:
            raise DockgateError(f"{url} cannot be traced: an echo has no port and no path", hint="icmp://HOST")
        return Request(url, parts.hostname, "", 0, mode="echo")
    if not port or (parts.scheme in ("tcp", "tls") and parts.path):
        raise DockgateError(f"{url} cannot be traced: it needs a port and no path", hint=f"{parts.scheme}://HOST:PORT")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    mode: Asks = "tcp" if parts.scheme in ("tcp", "tls") else "http"
    return Request(url, parts.hostname, "", port, path, tls=parts.scheme in ("https", "tls"), mode=mode)


async def _to(session: Session, observed: Observed, request: Request) -> Request:
    """With the address: of a host of the file, for an echo of a container, else as this machine has the name."""
    names = {host.name: host.address for host in session.desired.hosts}
    found = names.get(request.host) or ""
    if not found and request.mode == "echo":
        found = address_of(observed, request, request.host)
    address = found or await resolve(request.host)
    source = own_address(address) if request.vantage == HERE else ""
    home = await home_of(observed, session.world, address) if ":" in address else ""
    return replace(request, address=address, source=source, home=home)


def _from(session: Session, observed: Observed, request: Request, vantage: str) -> Request:
    """A host before a container of the same name."""
    names = [host.name for host in session.desired.hosts]
    if not vantage or vantage in names:
        return replace(request, vantage=vantage)
    homes = [host.name for host in observed.known() if (found := host.container(vantage)) and found.pid]
    if not homes:
        raise DockgateError(
            f"--from {vantage}: no host and no running container of this name", hint=f"hosts: {', '.join(names)}"
        )
    if len(homes) > 1:
        raise DockgateError(
            f"--from {vantage}: containers of this name run on {', '.join(homes)}", hint="ask from one of these hosts"
        )
    return replace(request, vantage=homes[0], container=vantage)
