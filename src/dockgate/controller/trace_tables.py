"""What the kernels' tables say once the packets are through: connections, routes, forwarding of overlay networks.

Asked of the programs that still watch. Decides nothing: who reads it is ``dockgate.trace``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dockgate.controller.world import World
from dockgate.edges import tracing
from dockgate.edges.tracing import Watcher
from dockgate.model.observed import Observed
from dockgate.trace import Prediction, Walk
from dockgate.trace.evidence import Forwarding
from dockgate.trace.legs import legs
from dockgate.trace.model import Ends, Place

MOST_LEGS = 32
"""Of a pool with more members only the first ones' entries are looked at."""


async def home_of(observed: Observed, world: World, address: str) -> str:
    """The host that has an IPv6 address: engines do not tell theirs, so each is asked. "" when none has it."""

    async def has(host: str) -> bool:
        node = (await world.node(host)).id
        return address in await tracing.own_addresses(world.engine(host), node)

    names = [host.name for host in observed.known()]
    found = await asyncio.gather(*(has(name) for name in names))
    return next((name for name, here in zip(names, found, strict=True) if here), "")


async def connections(walk: Walk, watchers: Mapping[str, Watcher]) -> tuple[tuple[str, Ends, Ends], ...]:
    """Conntrack's word on all sessions, from each host that translates."""
    assert walk.evidence is not None
    ports = {walk.evidence.port, *(step.hop.before.sport for step in walk.steps if step.seen)} - {0}
    seats = sorted({step.hop.place.seat for step in walk.steps if step.translation and step.seen} & set(watchers))
    said = await asyncio.gather(*(watchers[seat].ask("connections", sorted(ports)) for seat in seats))
    return tuple(item for seat, each in zip(seats, said, strict=True) for item in tracing.connections(seat, each or []))


async def routes(walk: Walk, watchers: Mapping[str, Watcher]) -> tuple[tuple[tuple[str, str], str], ...]:
    """The kernel's word on the way on from each place and back, where it has something against it."""
    found = []
    for step in walk.steps:
        place, ends = step.hop.place, step.hop.before
        there = step.hop.outer[1] if step.hop.outer else step.hop.after.address
        back = ends.source or walk.steps[0].hop.before.source
        if place.seat in watchers and place.kind != "overlay":
            asked = [place.namespace, [address for address in (there, back) if address]]
            said = await watchers[place.seat].ask("ways", asked)
            found += [(place.key, tracing.route(each)) for each in said or []]
    return tuple((key, text) for key, text in found if text)


async def forwarding(prediction: Prediction, watchers: Mapping[str, Watcher]) -> tuple[Forwarding, ...]:
    """Of every leg that an overlay network carries between hosts, both ways, where both hosts can be asked."""
    ways = [prediction.hops, *(server.hops for server in prediction.servers)]
    wanted = {(leg.begin.place.key, leg.address): leg for hops in ways for leg in legs(hops)}
    known = [leg for leg in wanted.values() if {leg.begin.place.seat, leg.end.place.seat} <= set(watchers)][:MOST_LEGS]
    sends = [(leg.begin.place, (leg.address,)) for leg in known]
    starts = [(leg.start.place, (leg.source, leg.address)) for leg in known]
    ends = [(leg.end.place, (leg.address, "")) for leg in known]
    said = await _each(watchers, "forwarding", sends)
    stations = await _each(watchers, "stations", [*starts, *ends])
    told = zip(known, said, stations[: len(known)], stations[len(known) :], strict=True)
    return tuple(found for each in told if (found := tracing.forwarding(*each)) is not None)


async def _each(
    watchers: Mapping[str, Watcher], what: str, asked: Sequence[tuple[Place, tuple[str, ...]]]
) -> list[Any]:
    """Each host's answers to its part, in the order in which they were asked for."""
    parts: dict[str, list[int]] = {}
    for number, (place, _) in enumerate(asked):
        parts.setdefault(place.seat, []).append(number)
    questions = {seat: [[asked[n][0].namespace, *asked[n][1]] for n in numbers] for seat, numbers in parts.items()}
    said = await asyncio.gather(*(watchers[seat].ask(what, each) for seat, each in questions.items()))
    found: list[Any] = [None] * len(asked)
    for numbers, answers in zip(parts.values(), said, strict=True):
        for number, answer in zip(numbers, answers or [None] * len(numbers), strict=True):
            found[number] = answer
    return found
