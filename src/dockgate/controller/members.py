"""Members: which containers stand behind which server, kept up to date by events, read anew after every gap.

A register without I/O and without a clock of its own; the verdicts are ``plan.membership``'s. One event costs what its
own container costs, however large the world is. Invariant: after ``replace_host`` nothing of that host is remembered
that was not in the reading, but that a container which still runs was told to stop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dockgate.haproxy.build import ResolvedServer
from dockgate.model.desired import Desired
from dockgate.model.observed import Container
from dockgate.plan.membership import Index, ServerRef, Sighting, Verdict, judge, slot_place

_STOP = (2, 3, 9, 15)
"""SIGINT, SIGQUIT, SIGKILL, SIGTERM."""


@dataclass
class Members:
    """``seen``: by host and id. ``behind``: for each server the keys of ``seen`` that stand behind it."""

    desired: Desired
    seen: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    behind: dict[ServerRef, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    node_addresses: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = Index(self.desired)

    def replace_host(self, host: str, containers: Iterable[Container]) -> set[ServerRef]:
        """The host was read; the servers that this is about."""
        told = {key: each.told_at for key, each in self.seen.items() if key[0] == host}
        touched = {ref for key in told for ref in self._forget(key)}
        for container in containers:
            at = told.get((host, container.id), 0.0) if container.state == "running" else 0.0
            touched |= self.see(Sighting(host, container, at))
        return touched

    def see(self, sighting: Sighting) -> set[ServerRef]:
        """A container is so now. One that does not run keeps its place in here, so that it is known to be gone."""
        key = (sighting.host, sighting.container.id)
        refs = set(self._index.servers_of(sighting.container))
        touched = self._forget(key) | refs
        if refs:
            self.seen[key] = sighting
            for ref in refs:
                self.behind[ref].add(key)
        return touched

    def tell_to_stop(self, host: str, container: str, *, signal: int, now: float) -> set[ServerRef]:
        """Docker sent it a signal; most are orders to stop, others mean something to the program."""
        sighting = self.seen.get((host, container))
        if sighting is None or signal not in (*_STOP, sighting.container.stop_signal):
            return set()
        return self.see(replace(sighting, told_at=now))

    def forgive(self, *, before: float) -> set[ServerRef]:
        """Who was told to stop so long ago and still runs, goes on."""
        stubborn = [each for each in self.seen.values() if 0 < each.told_at < before]
        return {ref for each in stubborn for ref in self.see(replace(each, told_at=0.0))}

    def end(self, host: str, container: str) -> set[ServerRef]:
        """It died; nothing has to be asked to know that."""
        sighting = self.seen.get((host, container))
        if sighting is None:
            return set()
        return self.see(Sighting(host, replace(sighting.container, state="exited")))

    def remove(self, host: str, container: str) -> set[ServerRef]:
        return self._forget((host, container))

    def verdict(self, ref: ServerRef) -> Verdict | None:
        return judge(self._sightings(ref))

    def place(self, ref: ServerRef) -> ResolvedServer | None:
        """Where a slot's member is, by its engine's word."""
        return slot_place(self.desired, ref, self._sightings(ref), self.node_addresses)

    def servers(self, pools: Iterable[str]) -> set[ServerRef]:
        """Every server of these backends that a container is known for."""
        wanted = set(pools)
        return {ref for ref, keys in self.behind.items() if keys and ref.pool in wanted}

    def _sightings(self, ref: ServerRef) -> list[Sighting]:
        return [self.seen[key] for key in sorted(self.behind.get(ref, ()))]

    def _forget(self, key: tuple[str, str]) -> set[ServerRef]:
        gone = self.seen.pop(key, None)
        if gone is None:
            return set()
        refs = set(self._index.servers_of(gone.container))
        for ref in refs:
            self.behind[ref].discard(key)
            if not self.behind[ref]:
                del self.behind[ref]
        return refs
