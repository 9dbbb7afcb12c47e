"""A firewall as people are told of it: whether it works, what it counted, what it refused and why. Pure.

Invariant: one that could not be asked, or let an attack pass, is never told as one that works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dockgate.model.desired import Desired, Vip
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import Observed, ObservedHost, Unknown
from dockgate.model.waf import Refusal, WafState
from dockgate.waf.files import rule_set

SHOWN = 5
RULES_SHOWN = 3
_COUNTING = frozenset({949110, 949111, 980130, 980140, 980170})


@dataclass(frozen=True)
class WafRow:
    """The firewall of a VIP on one host. ``state``: None when it is not there or does not answer."""

    vip: str
    host: str
    mode: str
    works: bool
    why: str
    rule_set: str
    paranoia: int
    threshold: int
    state: WafState | None

    def __str__(self) -> str:
        where = f"firewall of {self.vip} on {self.host}"
        if self.state is None or not self.works:
            return f"{where} DOES NOT WORK: {self.why}"
        of = self.state
        seen = f"{of.passed} passed, {of.refused} refused" + (f", {of.would_refuse} noticed" if of.would_refuse else "")
        told = f"{of.rules} rules, {self.rule_set}, paranoia {self.paranoia}, threshold {self.threshold}"
        return f"{where}: {self.mode}, an attack was refused just now; {seen}; {told}"

    def lines(self) -> Iterator[str]:
        """It and its latest refusals."""
        yield str(self)
        for refusal in (self.state.last if self.state else ())[-SHOWN:]:
            yield f"  {told(refusal)}"


def waf_rows(desired: Desired, observed: Observed) -> tuple[WafRow, ...]:
    """In the order of VIPs and hosts; none for a VIP without a firewall."""
    return tuple(_row(desired, observed, vip, host) for vip in desired.vips if vip.waf for host in vip.hosts)


def told(refusal: Refusal) -> str:
    """One refusal in a line: when, what, who, why."""
    at = f"{datetime.fromtimestamp(refusal.at, UTC):%Y-%m-%d %H:%M:%S}"
    what = "refused" if refusal.status else "noticed"
    rules = [rule for rule in refusal.rules if rule[0] not in _COUNTING] or list(refusal.rules)
    why = "; ".join(f"{rule} {message}{f' ({part})' if part else ''}" for rule, message, part in rules[:RULES_SHOWN])
    more = f"; {len(rules) - RULES_SHOWN} more" if len(rules) > RULES_SHOWN else ""
    who = f"{refusal.method} {refusal.path} of {refusal.client}"
    return f"{at} {what} {who}, score {refusal.score}, id {refusal.request_id}: {why or 'no rule is told'}{more}"


def troubles(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """A sentence for each firewall that cannot be relied on."""
    return tuple(str(row) for row in waf_rows(desired, observed) if not row.works)


def _row(desired: Desired, observed: Observed, vip: Vip, host_name: str) -> WafRow:
    waf = vip.waf
    assert waf is not None
    state, why = _state(desired, observed, vip.name, host_name)
    trouble = why or (state.trouble if state else "")
    known = state.rule_set if state else rule_set(waf)
    return WafRow(vip.name, host_name, _mode(vip), not trouble, trouble, known, waf.paranoia, waf.threshold, state)


def _mode(vip: Vip) -> str:
    mode = vip.waf.mode if vip.waf else "off"
    others = sorted({route.waf for route in vip.routes if route.waf} - {mode})
    return f"{mode} (on some routes {', '.join(others)})" if others else mode


def _state(desired: Desired, observed: Observed, vip: str, host_name: str) -> tuple[WafState | None, str]:
    host = observed.host(host_name)
    if not isinstance(host, ObservedHost):
        return None, f"{host_name} could not be read"
    names = [
        container.name
        for container in host.containers
        if is_ours(container.labels, desired.project, "waf") and container.labels.get(LABEL_NAME) == vip
    ]
    answers = {name: state for name, state in host.wafs if name in names}
    known = [state for state in answers.values() if isinstance(state, WafState)]
    if known:
        return known[-1], ""
    unknown = [state.reason for state in answers.values() if isinstance(state, Unknown)]
    return None, unknown[0] if unknown else "its container does not run" if names else "it is not there: dockgate up"
