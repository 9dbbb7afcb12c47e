"""The firewall while members are replaced: each new container is let in before it is asked, the gone ones are let go.

Rules name containers by address, and a stand-in or a successor has one that no rule knows. The policy is the same
throughout, so what is applied is kept at once. Without a firewall in the file nothing is added. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dockgate.firewall.host_rules import is_wanted
from dockgate.model.actions import Action
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed
from dockgate.model.plan import Step
from dockgate.model.replacing import RemoveMember, StartMember, StopMember
from dockgate.model.rules_actions import ApplyRules, KeepRules

TRIAL_S = 120


def with_rules(desired: Desired, observed: Observed, steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps of a replacement, with the rules brought up to date where containers come and go."""
    told = tuple(steps)
    if not is_wanted(desired):
        return told
    last = {step.group: step for step in told if isinstance(step.action, RemoveMember)}
    return tuple(each for step in told for each in _around(desired, observed, step, last))


def _around(desired: Desired, observed: Observed, step: Step, last: dict[str, Step]) -> Iterator[Step]:
    if isinstance(step.action, StopMember):
        # Started again on the way back, it may have another address.
        step = replace(step, undo=(*step.undo, *_actions(desired, observed)))
    yield step
    if isinstance(step.action, StartMember):
        yield from _applied(desired, observed, step, "the one that just started has an address that no rule knows")
    if last.get(step.group) is step:
        yield from _applied(desired, observed, step, "the addresses of those that are gone are let in no longer")


def _applied(desired: Desired, observed: Observed, step: Step, cause: str) -> Iterator[Step]:
    for action in _actions(desired, observed):
        yield Step(action, cause, step.group, needs=step.needs, beside=step.beside)


def _actions(desired: Desired, observed: Observed) -> list[Action]:
    hosts = [host.name for host in observed.known()]
    return [*(ApplyRules(host, desired, TRIAL_S) for host in hosts), *(KeepRules(host) for host in hosts)]
