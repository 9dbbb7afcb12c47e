"""`dockgate firewall`: the policy as a person reads it, as an nftables rule set, or as iptables commands.

The sub-verbs that ask hosts what is in force stand in files of their own; it is `up` that brings rules into force.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockgate.cli.firewall_confirm import confirm
from dockgate.cli.firewall_diff import diff
from dockgate.cli.firewall_status import status
from dockgate.cli.plan import say_notes
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, Session, open_session, run, width
from dockgate.errors import DockgateError
from dockgate.firewall import HostFacts, complete, host_facts, overlay_facts
from dockgate.firewall.host_rules import gaps_of, iptables_text, table_text
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, Unknown
from dockgate.model.policy import Policy, Rule

app = typer.Typer(no_args_is_help=True, help="Who may reach whom: shown, compared, confirmed.")
for verb in (confirm, diff, status):
    app.command()(verb)


class As(StrEnum):
    """How the policy is shown."""

    text = "text"
    nft = "nft"
    iptables = "iptables"


@app.callback()
def root() -> None:
    """Who may reach whom: shown, compared, confirmed. It is `up` that brings it into force."""


@app.command()
def show(
    file: FileOption = DEFAULT_FILE,
    host: Annotated[str, typer.Option("--host", help="Only this host; default: every host.")] = "",
    form: Annotated[As, typer.Option("--as", help="For a person, or the equivalent rules.")] = As.text,
    output: OutputOption = Output.table,
) -> None:
    """Show every rule that would hold, also those that VIPs and pools need. Changes nothing.

    Exit code: 0 shown, 1 the file cannot be used or has no such host.
    """
    text = run(_show(file, host, form, output))
    if output is Output.table and form is As.text:
        console = Console(width=max(width(), 100), highlight=False)
        console.print(text)
    else:
        typer.echo(text, nl=False)


async def _show(file: Path, host: str, form: As, output: Output) -> str | Table:
    async with open_session(file) as session:
        say_notes(session)
        policy = complete(session.desired)
        hosts = _chosen(session, host)
        if form is As.text:
            return _policy_json(session.desired, policy) if output is Output.json else policy_table(policy)
        observed = await session.observe()
    policy = complete(session.desired, vxlan_port=observed.vxlan_port)
    places = dict(_places(session.desired, observed, hosts))
    if output is Output.json:
        return _places_json(_Shown(session.desired, observed, policy, form), places)
    shown = _Shown(session.desired, observed, policy, form)
    return "".join(shown.place(name, facts) for name, facts in places.items())


def _chosen(session: Session, host: str) -> tuple[str, ...]:
    names = tuple(item.name for item in session.desired.hosts)
    if host and host not in names:
        raise DockgateError(f"the file has no host {host!r}", hint=f"its hosts are: {', '.join(names)}")
    return (host,) if host else names


def _places(desired: Desired, observed: Observed, hosts: tuple[str, ...]) -> Iterator[tuple[str, HostFacts | Unknown]]:
    """The hosts, and then the overlays' namespaces, which are the same on all of them."""
    for name in hosts:
        yield f"host {name}", host_facts(desired, observed, name)
    for network in desired.networks:
        if network.driver == "overlay":
            yield f"overlay {network.name}", overlay_facts(desired, observed, network.name)


@dataclass(frozen=True)
class _Shown:
    """What rule sets are made from, and in which form they are wanted."""

    desired: Desired
    observed: Observed
    policy: Policy
    form: As

    def text(self, facts: HostFacts) -> str:
        write = table_text if self.form is As.nft else iptables_text
        return write(self.desired, self.observed, self.policy, facts)

    def gaps(self, facts: HostFacts) -> list[str]:
        return list(gaps_of(self.desired, self.observed, facts))

    def place(self, name: str, facts: HostFacts | Unknown) -> str:
        head = f"# {name}\n"
        if isinstance(facts, Unknown):
            return f"{head}# could not be read: {facts.reason}\n\n"
        return f"{head}{self.text(facts)}\n"


def policy_table(policy: Policy) -> Table:
    """One line a rule, in the order in which they are asked."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = (
        f"the first match decides; default: {policy.firewall.default}; * derived, the others are the file's own"
    )
    for title in ("FROM", "TO", "WHAT", "VERDICT"):
        table.add_column(title, no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for rule in policy.rules:
        verdict = Text(rule.verdict, style="green" if rule.verdict == "allow" else "red")
        style = "dim" if rule.origin == "derived" else ""
        table.add_row(str(rule.client), str(rule.server), rule.what, verdict, why(rule), style=style)
    return table


def why(rule: Rule) -> str:
    """``line 34: name``; for a derived rule ``* name: its reason``."""
    return f"* {rule.name}: {rule.reason}" if rule.origin == "derived" else f"line {rule.source.line}: {rule.name}"


def _policy_json(desired: Desired, policy: Policy) -> str:
    document = {
        "project": desired.project,
        "default": policy.firewall.default,
        "failsafe": list(policy.firewall.failsafe),
        "rules": [_rule_json(index, rule) for index, rule in enumerate(policy.rules)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule_json(index: int, rule: Rule) -> dict[str, object]:
    return {
        "index": index,
        "name": rule.name,
        "from": str(rule.client),
        "to": str(rule.server),
        "protocol": rule.protocol,
        "ports": [list(span) for span in rule.ports],
        "verdict": rule.verdict,
        "log": rule.log,
        "kind": rule.kind,
        "origin": rule.origin,
        "reason": rule.reason,
        "source": {"file": rule.source.file, "line": rule.source.line, "column": rule.source.column},
    }


def _places_json(shown: _Shown, places: dict[str, HostFacts | Unknown]) -> str:
    found = [
        {"place": name, "text": "", "unknown": facts.reason, "gaps": []}
        if isinstance(facts, Unknown)
        else {"place": name, "text": shown.text(facts), "unknown": "", "gaps": shown.gaps(facts)}
        for name, facts in places.items()
    ]
    return json.dumps({"as": shown.form.value, "places": found}, indent=2, ensure_ascii=False) + "\n"
