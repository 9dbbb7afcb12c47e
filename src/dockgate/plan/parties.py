"""Parties: seats and leavers that depend on each other, because one waits for what the other holds.

Who stands in whose way is decided here, once. Invariant: a leaver is in exactly one party, and whoever waits for its
port or address, or takes over its VIP, is in the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockgate.plan.seats import ALIVE, Leaver, Seat, Seating, overlap


@dataclass(frozen=True)
class Party:
    """Seats and leavers that depend on each other, planned as one group."""

    seats: tuple[Seat, ...]
    leavers: tuple[Leaver, ...]

    @property
    def name(self) -> str:
        seats = ", ".join(f"VIP {seat.target.label}" for seat in self.seats)
        leavers = ", ".join(dict.fromkeys(f"VIP {leaver.vip} on {leaver.host}" for leaver in self.leavers))
        return seats or f"removal of {leavers}"

    def blocking(self, fresh: list[Seat]) -> list[Leaver]:
        """Leavers that must stop before a seat that does not run yet can start."""
        return [leaver for leaver in self.leavers if any(in_the_way(seat, leaver) for seat in fresh)]


def parties_of(seating: Seating) -> list[Party]:
    groups: list[tuple[list[Seat], list[Leaver]]] = [([seat], []) for seat in seating.seats]
    for leaver in seating.leavers:
        tied = [group for group in groups if any(_tied(seat, leaver) for seat in group[0])]
        merged: tuple[list[Seat], list[Leaver]] = ([], [leaver])
        for group in tied:
            merged[0].extend(group[0])
            merged[1].extend(group[1])
            groups.remove(group)
        groups.append(merged)
    order = {seat.target.label: index for index, seat in enumerate(seating.seats)}
    parties = [
        Party(
            tuple(sorted(seats, key=lambda seat: order[seat.target.label])),
            tuple(sorted(leavers, key=lambda leaver: (leaver.host, leaver.container.name))),
        )
        for seats, leavers in groups
    ]
    return sorted(parties, key=lambda party: (not party.seats, party.name))


def _tied(seat: Seat, leaver: Leaver) -> bool:
    return seat.target.vip.name == leaver.vip or in_the_way(seat, leaver)


def in_the_way(seat: Seat, leaver: Leaver) -> bool:
    """The leaver runs and holds a port or an address that the seat must have before it can start."""
    if leaver.container.state not in ALIVE or is_up(seat):
        return False
    address = seat.target.vip.address
    if address is not None and any(port.host_address == address for port in leaver.container.wanted_ports):
        return leaver.host != seat.host.name or bool(overlap(seat.target.spec.publish, leaver.container.wanted_ports))
    return leaver.host == seat.host.name and bool(overlap(seat.target.spec.publish, leaver.container.wanted_ports))


def succeeds_somebody(seat: Seat, party: Party) -> bool:
    """An interrupted run may have started it and not have asked it: nobody leaves before that."""
    return any(leaver.vip == seat.target.vip.name for leaver in party.leavers)


def is_up(seat: Seat) -> bool:
    return seat.current is not None and seat.current.state == "running"
