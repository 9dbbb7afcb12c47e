"""`dockgate lab`: three real Docker hosts on one Linux machine, to try dockgate and to break things on."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dockgate.cli.session import Output, OutputOption
from dockgate.lab.address import CLIENT, DEFAULT_NAME, plan_lab
from dockgate.lab.cache import Cache
from dockgate.lab.controller import controller_image
from dockgate.lab.errors import LabError
from dockgate.lab.faults import KINDS, named_fault
from dockgate.lab.kind import ENGINES, USUAL_ENGINE, Kind, kinds_of
from dockgate.lab.lab import Lab
from dockgate.lab.paths import cache_dir
from dockgate.lab.progress import Progress
from dockgate.lab.status import HostStatus, lab_status

app = typer.Typer(no_args_is_help=True, help="Real Docker hosts on one machine, to try dockgate and to test on.")


Name = Annotated[str, typer.Option("--name", help="The lab's name; labs of different names run side by side.")]


_ENGINE = f"Docker's version, on every host or on one: {', '.join(ENGINES)}; usually {USUAL_ENGINE}. Repeatable."


class Switched(StrEnum):
    """Something that is on or off."""

    on = "on"
    off = "off"


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LabError as error:
        typer.echo(f"dockgate: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("dockgate: interrupted; run the same command again to go on", err=True)
        raise typer.Exit(130) from error


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    hosts: Annotated[int, typer.Option("--hosts", help="How many Docker hosts.")] = 3,
    engine: Annotated[list[str] | None, typer.Option("--engine", help=_ENGINE, metavar="[HOST=]VERSION")] = None,
    docker_iptables: Annotated[
        Switched, typer.Option("--docker-iptables", help="off: the engines write no rules (iptables: false).")
    ] = Switched.on,
    firewalld: Annotated[bool, typer.Option("--firewalld", help="Run firewalld on the hosts.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """Bring the lab up: the first time it downloads and builds, later it takes seconds."""
    began = time.monotonic()
    signal.signal(signal.SIGINT, _interrupted)
    with _errors():
        common = Kind(iptables=docker_iptables is Switched.on, firewalld=firewalld)
        names = [one.name for one in plan_lab(name, hosts).hosts]
        lab = Lab.up(name, hosts=hosts, kinds=kinds_of(names, engine or (), common), progress=Progress())
        status = lab_status(lab)
    if output is Output.table:
        typer.echo(f"The lab {name} is up ({time.monotonic() - began:.1f} s).")
    _print_status(lab, status, output)


@app.command()
def down(name: Name = DEFAULT_NAME, output: OutputOption = Output.table) -> None:
    """Remove everything the lab made; what an interrupted run left too."""
    with _errors():
        removed = Lab.remove(name, progress=Progress())
    if output is Output.json:
        typer.echo(json.dumps({"lab": name, "removed": removed}))
    else:
        typer.echo(f"The lab {name} is removed." if removed else f"There is no lab {name}; nothing to remove.")


@app.command()
def status(name: Name = DEFAULT_NAME, output: OutputOption = Output.table) -> None:
    """Show the lab's hosts as they are now."""
    with _errors():
        lab = Lab.open(name)
        _print_status(lab, lab_status(lab), output)


@app.command()
def controller(output: OutputOption = Output.table) -> None:
    """Build the image that `dockgate run --swarm` brings to the hosts, from this dockgate; it is kept in the cache."""
    with _errors():
        tag = controller_image(Cache(cache_dir()), Progress())
    typer.echo(json.dumps({"image": tag}) if output is Output.json else f"{tag} is ready.")


@app.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec_(
    host: Annotated[str, typer.Argument(help="docker1, docker2, … or client.")],
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.", metavar="-- CMD")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Run a command in a host, or in the client with this machine's own files and tools. Its exit code is ours."""
    with _errors():
        argv = Lab.open(name).command(host, command[1:] if command[0] == "--" else command)
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except FileNotFoundError as error:
        typer.echo(f"dockgate: {argv[0]} is missing: apt-get install util-linux", err=True)
        raise typer.Exit(127) from error


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Go at once: what was started ends with us, what is half-made is removed by the next run."""
    console = Console(stderr=True)
    console.show_cursor(True)
    console.print("dockgate: interrupted; run the same command again to go on", highlight=False)
    sys.stderr.flush()
    os._exit(130)


class Switch(StrEnum):
    """The state of a link."""

    up = "up"
    down = "down"


HostArgument = Annotated[str, typer.Argument(help="docker1, docker2, …")]


@app.command()
def fault(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS))],
    target: Annotated[str, typer.Argument(help="HOST/CONTAINER (docker2/web1) or HOST (docker2).")],
    name: Name = DEFAULT_NAME,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0, help="Undo it after so many seconds; else at Ctrl-C.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Make something fail, and undo it: after --for seconds, at Ctrl-C, or when anything goes wrong."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    with _errors():
        lab = Lab.open(name)
        try:
            with named_fault(lab, kind, target):
                _say(output, f"{kind} {target}: done; undone " + (f"in {seconds:g} s" if seconds else "at Ctrl-C"))
                threading.Event().wait(seconds)
        except KeyboardInterrupt:
            pass
    _say(output, f"{kind} {target}: undone")
    if output is Output.json:
        typer.echo(json.dumps({"fault": kind, "target": target, "seconds": round(time.monotonic() - began, 3)}))


@app.command(name="power-off")
def power_off(host: HostArgument, name: Name = DEFAULT_NAME, output: OutputOption = Output.table) -> None:
    """Cut a host's power: everything on it ends at once, its disk stays."""
    with _errors():
        Lab.open(name).power_off(host)
    _done(output, host, "off")


@app.command(name="power-on")
def power_on(host: HostArgument, name: Name = DEFAULT_NAME, output: OutputOption = Output.table) -> None:
    """Power a host on; containers with a restart policy come back."""
    with _errors():
        Lab.open(name).power_on(host, progress=Progress())
    _done(output, host, "on")


@app.command()
def link(
    host: Annotated[str, typer.Argument(help="docker1, docker2, … or client.")],
    state: Switch,
    name: Name = DEFAULT_NAME,
    output: OutputOption = Output.table,
) -> None:
    """Cut (down) or heal (up) the link of a host."""
    with _errors():
        Lab.open(name).set_link(host, up=state is Switch.up)
    _done(output, host, f"link {state.value}")


def _say(output: Output, text: str) -> None:
    typer.echo(text, err=output is Output.json)


def _done(output: Output, host: str, state: str) -> None:
    typer.echo(json.dumps({"host": host, "state": state}) if output is Output.json else f"{host}: {state}")


def _print_status(lab: Lab, hosts: list[HostStatus], output: Output) -> None:
    if output is Output.json:
        rows = [{**dataclasses.asdict(one), "socket": str(one.socket)} for one in hosts]
        typer.echo(json.dumps({"lab": lab.name, "client": CLIENT, "hosts": rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("HOST", "ADDRESS", "STATE", "ENGINE", "SWARM"):
        table.add_column(title, no_wrap=True)
    for one in hosts:
        table.add_row(one.name, one.address, _state(one), one.version or "-", one.role or "-")
    Console(highlight=False).print(table)
    typer.echo(f"Docker sockets: {lab.paths.run}/HOST/docker.sock")


def _state(one: HostStatus) -> str:
    if not one.powered:
        return "off"
    if not one.linked:
        return "cut off"
    return "up" if one.engine else "no engine"
