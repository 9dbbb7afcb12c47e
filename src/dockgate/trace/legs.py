"""The legs of a way that overlay networks carry between hosts, each seen from the host that sends. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .model import Hop


@dataclass(frozen=True)
class Leg:
    """One direction. ``begin``: the network on the host that sends; ``start``, ``end``: the containers; ``source``,
    ``address``: their addresses; ``host``: the address of the host that it must be sent to."""

    begin: Hop
    start: Hop
    end: Hop
    source: str
    address: str
    host: str


def legs(hops: Sequence[Hop]) -> Iterator[Leg]:
    """There and back of each: container, overlay, host, host, overlay, container."""
    for at in range(1, len(hops) - 4):
        start, near, out, _, far, end = hops[at - 1 : at + 5]
        if near.place.kind == far.place.kind == "overlay" and out.outer:
            ends = near.after
            yield Leg(near, start, end, ends.source, ends.address, out.outer[1])
            yield Leg(far, end, start, ends.address, ends.source, out.outer[0])
