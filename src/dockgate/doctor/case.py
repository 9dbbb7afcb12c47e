"""The case: what the file wants, what was observed, what was looked up; and troubles before they are folded.

A check yields troubles and says of each what could explain it. Only ``fold`` decides what is told on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dockgate.doctor.model import Facts, Finding, HostFacts
from dockgate.model.desired import Desired
from dockgate.model.observed import Container, Observed, ObservedHost


@dataclass(frozen=True)
class Trouble:
    """``root``: the name under which it explains others, "" when it explains none. ``because``: roots that would
    explain it, the likeliest first."""

    finding: Finding
    root: str = ""
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    desired: Desired
    observed: Observed
    facts: Facts

    def host(self, name: str) -> ObservedHost | None:
        state = self.observed.host(name)
        return state if isinstance(state, ObservedHost) else None

    def looked(self, name: str) -> HostFacts | None:
        found = self.facts.hosts.get(name)
        return found if isinstance(found, HostFacts) else None

    def named(self, container: str) -> tuple[tuple[str, Container], ...]:
        """(host, container) of everybody with this name, those that run first."""
        found = [
            (host.name, item) for host in self.observed.known() for item in host.containers if item.name == container
        ]
        return tuple(sorted(found, key=lambda pair: (pair[1].state != "running", pair[0])))

    def overlays(self) -> frozenset[str]:
        """Names of the overlay networks that pools are reached on."""
        used = {pool.network for pool in self.desired.pools if pool.network}
        kinds = {network.name: network.driver for host in self.observed.known() for network in host.networks}
        kinds |= {network.name: network.driver for network in self.desired.networks}
        return frozenset(name for name in used if kinds.get(name) == "overlay")


def host_root(host: str) -> str:
    return f"host {host}"


def conntrack_root(host: str) -> str:
    return f"conntrack {host}"


def pair_root(one: str, other: str) -> str:
    return "between " + " and ".join(sorted((one, other)))


def neighbour_root(host: str, address: str) -> str:
    return f"neighbour {address} of {host}"


def balancer_root(host: str, vip: str) -> str:
    return f"load balancer of {vip} on {host}"


def fold(troubles: Iterable[Trouble]) -> tuple[Finding, ...]:
    """Those that nothing else explains, each with what it explains; in the order of the checks. What two load balancers
    see alike is told once."""
    found = list(troubles)
    roots = {trouble.root: number for number, trouble in reversed(list(enumerate(found))) if trouble.root}
    told: dict[int, list[str]] = {}
    for number, trouble in enumerate(found):
        owner = _owner(found, roots, number)
        told.setdefault(owner, [])
        if owner != number:
            told[owner].append(trouble.finding.where)
    once: dict[tuple[str, str], Finding] = {}
    for number in sorted(told):
        finding = _with(found[number].finding, told[number])
        once.setdefault((finding.cause, finding.where), finding)
    return tuple(once.values())


def _owner(found: list[Trouble], roots: dict[str, int], number: int) -> int:
    """Follows the explanations to the one that has none."""
    seen = {number}
    while True:
        reasons = (roots[root] for root in found[number].because if root in roots)
        owner = next((each for each in reasons if each not in seen), None)
        if owner is None:
            return number
        seen.add(owner)
        number = owner


def _with(finding: Finding, affected: Iterable[str]) -> Finding:
    names = dict.fromkeys(name for name in affected if name != finding.where)
    return replace(finding, affects=tuple(names))


def pairs_of(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    ordered = sorted(names)
    return ((one, other) for number, one in enumerate(ordered) for other in ordered[number + 1 :])
