"""The command line: one verb a file. Verbs read and print; what is decided is decided in the packages below."""

from __future__ import annotations

from typing import Annotated

import typer

from dockgate import __version__
from dockgate.cli import firewall, lab
from dockgate.cli.check import check
from dockgate.cli.config import config
from dockgate.cli.doctor import doctor
from dockgate.cli.down import down
from dockgate.cli.plan import plan
from dockgate.cli.replace import replace
from dockgate.cli.run import run
from dockgate.cli.status import status
from dockgate.cli.topology import topology
from dockgate.cli.trace import trace
from dockgate.cli.up import up
from dockgate.cli.verify import verify

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
for verb in (check, plan, up, run, replace, status, verify, trace, doctor, config, topology, down):
    app.command()(verb)
app.add_typer(firewall.app, name="firewall")
app.add_typer(lab.app, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dockgate {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Container services behind load-balanced virtual IPs on plain Docker hosts: planned, proved, explained."""


def main() -> None:
    """Run the command line."""
    app()
