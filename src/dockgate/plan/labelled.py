"""Where members by label are: containers that carry ``dockgate.pool``, at their address on the pool's network. Pure.

A container says which pool it is for; the file says whether that pool takes members so, and on which network. Each gets
a slot of the pool and keeps it for as long as a running load balancer has it there, so that nobody is moved because
somebody else came or went. Who is refused is told with the reason, in plan, status and log.

Invariant: while a host is unknown, slots that no other host accounts for keep what they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockgate.haproxy.build import ResolvedServer, backend_name
from dockgate.haproxy.pools import slot_names
from dockgate.model.desired import ByLabel, Desired, Pool
from dockgate.model.observed import Container, LoadBalancer, Observed, RunningHaproxy

LABEL_POOL, LABEL_PORT, LABEL_WEIGHT = "dockgate.pool", "dockgate.port", "dockgate.weight"
MOST_WEIGHT = 256


@dataclass(frozen=True)
class Labelled:
    """One that asks for a place. ``refused``: why it gets none, "" when it may have one."""

    host: str
    container: Container
    pool: str
    address: str = ""
    port: int = 0
    weight: int = 100
    refused: str = ""

    @property
    def who(self) -> str:
        return f"{self.container.name} on {self.host}"


def read_label(desired: Desired, host: str, container: Container) -> Labelled | None:
    """What a container's labels ask for; None when they ask for nothing."""
    wanted = container.labels.get(LABEL_POOL)
    if wanted is None:
        return None
    pool = next((each for each in desired.pools if each.name == wanted), None)
    if pool is None:
        return _refused(host, container, wanted, f"the file has no pool {wanted!r}")
    if not isinstance(pool.membership, ByLabel):
        return _refused(host, container, wanted, f"pool {wanted} does not take members by label (labels: true)")
    place = next((each for each in container.attachments if each.network == pool.network), None)
    if place is None:
        return _refused(host, container, wanted, f"it is not on network {pool.network}, on which that pool is reached")
    port, weight = container.labels.get(LABEL_PORT) or str(pool.port), container.labels.get(LABEL_WEIGHT) or "100"
    if not port.isdigit() or not 0 < int(port) < 65536:
        return _refused(host, container, wanted, f"its {LABEL_PORT} is {port!r}, which is no port")
    if not weight.isdigit() or int(weight) > MOST_WEIGHT:
        return _refused(host, container, wanted, f"its {LABEL_WEIGHT} is {weight!r} and not 0 to {MOST_WEIGHT}")
    return Labelled(host, container, wanted, place.address, int(port), int(weight))


def asking(desired: Desired, observed: Observed) -> tuple[Labelled, ...]:
    """Everybody who carries the label and runs, by host and name."""
    found = (
        read_label(desired, host.name, container)
        for host in observed.known()
        for container in host.containers
        if container.state == "running"
    )
    return tuple(each for each in found if each is not None)


def seat_labelled(
    desired: Desired, pool: Pool, observed: Observed, balancer: LoadBalancer | None
) -> tuple[ResolvedServer, ...]:
    """The slots of a pool with who is in them. ``balancer``: the one that has the pool now."""
    there = {
        (each.address, each.port): each
        for each in asking(desired, observed)
        if each.pool == pool.name and not each.refused and each.address
    }
    slots = slot_names(pool)
    before = _seated(pool, balancer)
    kept = {slot: place for slot, place in before.items() if slot in slots and place in there}
    absent = {slot: place for slot, place in before.items() if slot in slots and place not in there}
    taken: dict[str, ResolvedServer] = {
        slot: ResolvedServer(slot, *place, there[place].weight) for slot, place in kept.items()
    }
    if observed.unknown():
        taken |= {slot: ResolvedServer(slot, *place) for slot, place in absent.items()}
    waiting = [place for place in there if place not in kept.values()]
    for slot in slots:
        if slot not in taken and waiting:
            place = waiting.pop(0)
            taken[slot] = ResolvedServer(slot, *place, there[place].weight)
    return tuple(taken.get(slot) or ResolvedServer(slot, None, pool.port) for slot in slots)


def refusals(desired: Desired, observed: Observed) -> Iterator[str]:
    """One sentence for each that asks and gets nothing."""
    everybody = asking(desired, observed)
    for each in everybody:
        if each.refused:
            yield f"{each.who} asks to join pool {each.pool} by label and is refused: {each.refused}"
    for pool in desired.pools:
        if isinstance(pool.membership, ByLabel):
            fit = [each for each in everybody if each.pool == pool.name and not each.refused]
            if len(fit) > pool.membership.maximum:
                yield (
                    f"{len(fit)} containers ask to join pool {pool.name} by label and it has room for"
                    f" {pool.membership.maximum}: raise its maximum"
                )


def _refused(host: str, container: Container, pool: str, why: str) -> Labelled:
    return Labelled(host, container, pool, refused=why)


def _seated(pool: Pool, balancer: LoadBalancer | None) -> Mapping[str, tuple[str, int]]:
    if balancer is None or not isinstance(balancer.running, RunningHaproxy):
        return {}
    return {
        server.name: (server.address, server.port)
        for server in balancer.running.servers
        if server.pool == backend_name(pool.name) and server.address
    }
