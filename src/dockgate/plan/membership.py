"""Membership: whether a server of a pool should get traffic now, by what engines say of the containers behind it. Pure.

It says *state* only. Where a member by name is, Docker's DNS tells HAProxy, and whether it answers, HAProxy's checks
find out: this module is about what both learn too late. Invariant: a server whose containers are not known is left
alone, because unknown is not gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from dockgate.haproxy.build import ResolvedServer, backend_name
from dockgate.haproxy.words import name
from dockgate.model.desired import ByLabel, ByName, ByService, Desired, Pool, Published
from dockgate.model.observed import Container, ObservedHost, ServerState
from dockgate.plan.labelled import LABEL_POOL
from dockgate.plan.published import place_on

Verdict: TypeAlias = Literal["in", "held", "gone"]
"""Gets traffic if its checks are good; finishes what it has and gets nothing new; is not there."""

SERVICE_LABEL = "com.docker.swarm.service.name"


@dataclass(frozen=True)
class ServerRef:
    """A server as HAProxy names it. ``server`` is "" for one that is only known by its ``address``. ``sticky``: there
    may be clients that stick to it."""

    pool: str
    server: str
    address: str = ""
    checked: bool = True
    slot: bool = False
    sticky: bool = False

    def fits(self, state: ServerState) -> bool:
        known_as = state.name == self.server if self.server else state.address == self.address
        return state.pool == self.pool and known_as


@dataclass(frozen=True)
class Sighting:
    """A container on a host. ``told_at``: when it was told to stop, by a monotonic clock, 0 when it was not."""

    host: str
    container: Container
    told_at: float = 0.0

    @property
    def verdict(self) -> Verdict:
        if self.container.state != "running":
            return "gone"
        return "held" if self.told_at or self.container.health in ("starting", "unhealthy") else "in"


class Index:
    """Which servers a container is, found by its names and labels, however many pools there are."""

    def __init__(self, desired: Desired) -> None:
        self._named: dict[str, list[Pool]] = {}
        self._labelled = {pool.name: pool for pool in desired.pools if isinstance(pool.membership, ByLabel)}
        for pool in desired.pools:
            for each in _names_in(pool):
                self._named.setdefault(each, []).append(pool)

    def servers_of(self, container: Container) -> tuple[ServerRef, ...]:
        """Every server that this container is, or is one of the containers of."""
        called = {container.name, container.labels.get(SERVICE_LABEL) or ""}
        called |= {alias for place in container.attachments for alias in place.aliases}
        pools = {pool.name: pool for each in sorted(called) for pool in self._named.get(each, ())}
        labelled = self._labelled.get(container.labels.get(LABEL_POOL) or "")
        if labelled is not None:
            pools[labelled.name] = labelled
        found = (ref for pool in pools.values() for ref in _in_pool(pool, container))
        return tuple(sorted(found, key=lambda ref: (ref.pool, ref.server, ref.address)))


def servers_of(desired: Desired, container: Container) -> tuple[ServerRef, ...]:
    """``Index``, for who asks once."""
    return Index(desired).servers_of(container)


def _names_in(pool: Pool) -> tuple[str, ...]:
    match pool.membership:
        case ByName(members) | Published(members):
            return tuple(member.name for member in members)
        case ByService(service):
            return (service,)
    return ()


def judge(sightings: Iterable[Sighting]) -> Verdict | None:
    """For a server with these containers behind it: the best that can be said of one; None when none is known."""
    said = {each.verdict for each in sightings}
    order: tuple[Verdict, ...] = ("in", "held", "gone")
    return next((verdict for verdict in order if verdict in said), None)


def slot_place(
    desired: Desired, ref: ServerRef, sightings: Iterable[Sighting], hosts: dict[str, str]
) -> ResolvedServer | None:
    """Where a slot's member is now; None unless exactly one runs. ``hosts``: their addresses in the Swarm."""
    running = [each for each in sightings if each.container.state == "running"]
    pool = next((each for each in desired.pools if backend_name(each.name) == ref.pool), None)
    if len(running) != 1 or pool is None or not isinstance(pool.membership, Published):
        return None
    member = next((each for each in pool.membership.members if name(each.name) == ref.server), None)
    if member is None:
        return None
    (sighting,) = running
    host = ObservedHost(sighting.host, "", node_address=hosts.get(sighting.host, ""))
    place = place_on(desired, pool, member, host, sighting.container).servers[0]
    return place if place.address else None


def _in_pool(pool: Pool, container: Container) -> Iterable[ServerRef]:
    found = _found_in(pool, container)
    return [replace(ref, sticky=True) for ref in found] if pool.sticky else found


def _found_in(pool: Pool, container: Container) -> Iterable[ServerRef]:
    checked = pool.check is not None
    backend = backend_name(pool.name)
    match pool.membership:
        case ByName(members):
            called = _names(container, pool.network)
            return [ServerRef(backend, name(each.name), checked=checked) for each in members if each.name in called]
        case ByLabel():
            places = [each for each in container.attachments if each.network == pool.network and each.address]
            ours = container.labels.get(LABEL_POOL) == pool.name
            return [ServerRef(backend, "", each.address, checked) for each in places] if ours else []
        case ByService(service):
            places = [each for each in container.attachments if each.network == pool.network and each.address]
            ours = service in _names(container, pool.network) or container.labels.get(SERVICE_LABEL) == service
            return [ServerRef(backend, "", each.address, checked) for each in places] if ours else []
        case Published(members):
            return [
                ServerRef(backend, name(each.name), checked=checked, slot=True)
                for each in members
                if each.name == container.name
            ]
    return []


def _names(container: Container, network: str | None) -> set[str]:
    """What Docker's DNS calls it there; nothing when it is not on that network."""
    place = next((each for each in container.attachments if each.network == network), None)
    return {container.name, *place.aliases} if place is not None else set()
