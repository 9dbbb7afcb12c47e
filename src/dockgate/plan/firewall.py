"""The firewall's part of a plan: whether it must be applied, in which order it is proved and kept, and when it goes.

Rules name containers by their addresses, which change when a container starts. So they are applied anew at the end of
every plan that touches containers, and also right after a load balancer has started, before it is asked. All hosts are
one group: a proof that fails on one takes the rules back on all. Invariant: while a host is unknown nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dockgate.firewall.engine import mismatch
from dockgate.firewall.host_rules import host_rules, is_wanted
from dockgate.model import actions as a
from dockgate.model.desired import Desired
from dockgate.model.observed import FirewallState, Observed, ObservedHost, Unknown
from dockgate.model.plan import Blocked, Step
from dockgate.model.policy import Firewall
from dockgate.model.rules_actions import ApplyRules, KeepRules, ProveRules, RemoveRules, RevertRules
from dockgate.plan import names
from dockgate.plan.published import host_address
from dockgate.plan.seats import Seating
from dockgate.plan.target import proof_requests

GROUP = "firewall"
TRIAL_S = 120
"""How long rules may be on trial: the host takes them back by itself if we die before we have proved and kept them."""
_MOVES = (
    a.CreateContainer,
    a.StartContainer,
    a.StopContainer,
    a.RemoveContainer,
    a.ConnectNetwork,
    a.DisconnectNetwork,
    a.CreateNetwork,
    a.RemoveNetwork,
)


@dataclass(frozen=True)
class FirewallPart:
    steps: tuple[Step, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()


def plan_firewall(
    desired: Desired, observed: Observed, seating: Seating, before: tuple[Step, ...], *, confirm_s: int
) -> FirewallPart:
    """``before``: the steps that come first. ``confirm_s``: how long the operator has to confirm; 0: proofs decide."""
    if not is_wanted(desired):
        return FirewallPart(tuple(_remove(observed)), notes=tuple(_not_ours(desired, observed)))
    if observed.unknown():
        return FirewallPart(blocked=(_unknown(desired, observed),))
    blocked = tuple(_mismatched(desired, observed))
    if blocked:
        return FirewallPart(blocked=blocked)
    cause = _cause(desired, observed, before)
    notes = tuple(_notes(desired, observed))
    if cause is None:
        return FirewallPart(notes=notes)
    steps = _steps(desired, observed, seating, cause, confirm_s)
    return FirewallPart(tuple(steps), notes=notes)


def with_new_balancers(desired: Desired, observed: Observed, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps, with the rules brought up to date right after each load balancer that starts: its address is new."""
    if not is_wanted(desired) or observed.unknown():
        return steps
    networks = {
        (host.name, item.name): item.networks()
        for host in observed.known()
        for item in host.containers
        if host.loadbalancer(item.name) is not None
    }
    networks |= {
        (step.action.host, step.action.spec.name): step.action.spec.networks
        for step in steps
        if isinstance(step.action, a.CreateContainer) and step.action.spec.kind == "lb"
    }
    made: list[Step] = []
    for step in steps:
        made.append(step)
        if isinstance(step.action, a.StartContainer):
            on = networks.get((step.action.host, step.action.container), ())
            made += _let_in(desired, observed, step, on) if on else []
    return tuple(made)


def _let_in(desired: Desired, observed: Observed, start: Step, on: tuple[str, ...]) -> list[Step]:
    """Where the load balancer's address counts: on its own host, and everywhere if it is on an overlay."""
    overlays = {network.name for network in desired.networks if network.driver == "overlay"}
    everywhere = bool(overlays & set(on))
    hosts = [host.name for host in observed.known() if everywhere or host.name == start.action.host]
    cause = "the load balancer that just started has an address that the rules do not know"
    needs = tuple(names.node_group(host) for host in hosts)
    return [
        Step(ApplyRules(host, desired, TRIAL_S), cause, start.group, needs=needs, beside=start.beside) for host in hosts
    ]


def _unknown(desired: Desired, observed: Observed) -> Blocked:
    assert desired.firewall is not None
    who = ", ".join(name for name, _ in observed.unknown())
    return Blocked(
        "the firewall",
        f"{who} could not be read, and rules made without it would cut its containers off; what is in force stays",
        "make every host answer, then run it again",
        desired.firewall.source,
    )


def _mismatched(desired: Desired, observed: Observed) -> Iterable[Blocked]:
    """Hosts whose engine does what the file leaves to us; and others on which ours could not work."""
    assert desired.firewall is not None
    for host in observed.known():
        wrong = mismatch(desired, host)
        if wrong is not None and wrong.stops:
            yield Blocked("the firewall", f"{wrong.what}; what is in force stays", wrong.hint, desired.firewall.source)


def _not_ours(desired: Desired, observed: Observed) -> Iterable[str]:
    """Engines that write no rules while the file leaves them to Docker."""
    for host in observed.known():
        wrong = mismatch(desired, host)
        if wrong is not None and not wrong.stops:
            yield str(wrong)


def _remove(observed: Observed) -> Iterable[Step]:
    for host in observed.known():
        state = host.firewall
        if isinstance(state, FirewallState) and (state.kept or state.trial):
            cause = "the file asks for no firewall"
            yield Step(RemoveRules(host.name), cause, f"{GROUP} on {host.name}", needs=(names.node_group(host.name),))


def _cause(desired: Desired, observed: Observed, before: tuple[Step, ...]) -> str | None:
    """Why rules must be applied, on all hosts; None if they are in force everywhere."""
    assert desired.firewall is not None
    for host in observed.known():
        why = _stale(desired, observed, host)
        if why is not None:
            return f"{why} ({desired.firewall.source})"
    if any(isinstance(step.action, _MOVES) for step in before):
        return "containers and networks of this plan are not in the rules yet"
    return None


def _stale(desired: Desired, observed: Observed, host: ObservedHost) -> str | None:
    state, wanted = host.firewall, host_rules(desired, observed, host.name)
    if isinstance(state, Unknown):
        return f"what is in force on {host.name} is not known"
    if isinstance(wanted, Unknown):
        return wanted.reason
    if not state.kept and not state.trial:
        return f"{host.name} has no rules of ours"
    if state.trial and not (state.confirm and state.trial == wanted.hash):
        return f"the rules on {host.name} are on trial, by a run that did not end"
    if not state.trial and state.kept != wanted.hash:
        return f"the rules on {host.name} are not those of the file and its containers"
    return None if state.in_force else f"the rules on {host.name} were changed or removed by somebody"


def _notes(desired: Desired, observed: Observed) -> Iterable[str]:
    yield from _not_ours(desired, observed)
    for host in observed.known():
        state, rules = host.firewall, host_rules(desired, observed, host.name)
        if isinstance(state, Unknown) or isinstance(rules, Unknown):
            continue
        yield from (f"firewall gap: {gap}" for gap in rules.gaps)
        if state.legacy:
            tables = ", ".join(state.legacy)
            yield f"{host.name} has rules of iptables-legacy ({tables}), which nothing here sees: iptables-legacy -S"
        if state.confirm:
            yield (
                f"the firewall on {host.name} waits to be confirmed, {state.left_s:.0f} s are left:"
                " dockgate firewall confirm"
            )


def _steps(desired: Desired, observed: Observed, seating: Seating, cause: str, confirm_s: int) -> Iterable[Step]:
    hosts = observed.known()
    needs = tuple(names.node_group(host.name) for host in hosts)
    limit_s = confirm_s or TRIAL_S
    for host in hosts:
        action = ApplyRules(host.name, desired, limit_s, confirm=bool(confirm_s))
        undo = (RevertRules(host.name),)
        yield Step(action, cause, GROUP, undo=undo, needs=needs, undo_if_failed=True)
    for host in hosts:
        yield Step(_proof(desired, observed, seating, host), "nobody may be locked out", GROUP, needs=needs)
    if not confirm_s:
        for host in hosts:
            yield Step(KeepRules(host.name), "they stood their proof", GROUP, needs=needs)


def _proof(desired: Desired, observed: Observed, seating: Seating, host: ObservedHost) -> ProveRules:
    firewall = desired.firewall or Firewall()
    vantage = next((other.name for other in observed.known() if other.name != host.name), "")
    address = host_address(desired, host) or desired.host(host.name).address or ""
    seats = [seat for seat in seating.seats if seat.host.name == host.name]
    requests = [
        request
        for seat in seats
        if (where := seat.target.vip.address or address)
        for request in proof_requests(desired, seat.target.vip, where)
    ]
    served = {pool for seat in seats for pool in seat.served}
    return ProveRules(
        host.name, desired, vantage, address, firewall.failsafe, tuple(dict.fromkeys(requests)), tuple(sorted(served))
    )
