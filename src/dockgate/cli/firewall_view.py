"""The firewall as it is on the hosts, as values: before it becomes a table, JSON or a line of ``status``. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.firewall.engine import mismatch
from dockgate.firewall.host_rules import host_rules, is_wanted
from dockgate.model.desired import Desired
from dockgate.model.observed import FirewallState, Observed, ObservedHost, Unknown


@dataclass(frozen=True)
class FirewallRow:
    """One host. ``rules``: the hash of what holds, "" for none. ``told``: what a person should know, in sentences."""

    host: str
    state: str
    well: bool
    rules: str
    told: tuple[str, ...] = ()


def firewall_rows(desired: Desired, observed: Observed) -> tuple[FirewallRow, ...]:
    """Every host of the file, in its order."""
    return tuple(_row(desired, observed, host.name) for host in desired.hosts)


def firewall_problems(desired: Desired, observed: Observed) -> Iterator[str]:
    """One sentence for each host whose firewall is not as it should be; unreadable hosts are told of elsewhere."""
    for row in firewall_rows(desired, observed):
        if not row.well and isinstance(observed.host(row.host), ObservedHost):
            yield f"firewall on {row.host}: {row.state}"


def _row(desired: Desired, observed: Observed, name: str) -> FirewallRow:
    host = observed.host(name)
    if isinstance(host, Unknown):
        return FirewallRow(name, "not known", False, "", (host.reason,))
    state = host.firewall
    if isinstance(state, Unknown):
        wanted = is_wanted(desired)
        return FirewallRow(name, "not known" if wanted else "off", not wanted, "", (state.reason,) if wanted else ())
    word, well = _judged(desired, observed, host, state)
    return FirewallRow(name, word, well, state.trial or state.kept, tuple(_told(desired, observed, host, state)))


def _judged(desired: Desired, observed: Observed, host: ObservedHost, state: FirewallState) -> tuple[str, bool]:
    rules = host_rules(desired, observed, host.name)
    if not is_wanted(desired):
        held = bool(state.kept or state.trial)
        return ("in force, but the file asks for none", False) if held else ("off", True)
    if state.foreign:
        return "a table of its name is there that this project did not load", False
    if (wrong := mismatch(desired, host)) is not None and wrong.stops:
        return "the engine does what the file leaves to dockgate", False
    if not state.kept and not state.trial:
        return "not in force yet", False
    if not state.in_force:
        return "changed or removed by somebody", False
    if state.trial:
        who = "waits for dockgate firewall confirm" if state.confirm else "on trial"
        return f"{who}, {state.left_s:.0f} s left", state.confirm
    if isinstance(rules, Unknown):
        return "in force, perhaps not up to date", True
    return ("in force", True) if rules.hash == state.kept else ("in force, but not up to date", False)


def _told(desired: Desired, observed: Observed, host: ObservedHost, state: FirewallState) -> Iterator[str]:
    rules = host_rules(desired, observed, host.name)
    if is_wanted(desired) and not isinstance(rules, Unknown):
        yield from (f"gap: {gap}" for gap in rules.gaps)
    if (wrong := mismatch(desired, host)) is not None:
        yield str(wrong)
    if state.legacy:
        yield f"iptables-legacy has tables ({', '.join(state.legacy)}), which nothing here sees: iptables-legacy -S"
    for absence in state.absences[-3:]:
        yield f"{absence.place}: not in force for {absence.seconds:.1f} s: {absence.why}"
