"""Jobs: everything that one proof asks, and what the answering side must have ready for it. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .attacks import attacks
from .matrix import matrix
from .model import Cell, Decided, End, Job, Measured, Outcome, Place, Question, Spot
from .scene import Scene


@dataclass(frozen=True, order=True)
class Responder:
    """Somebody who answers at an address while the proof runs, unless one does already."""

    namespace: str
    protocol: str
    end: tuple[str, int]


@dataclass(frozen=True)
class Control:
    """The same question asked by the target itself: a refusal says nothing if nobody is there."""

    spot: Spot
    protocol: str
    end: End


@dataclass(frozen=True)
class Seen:
    """The answering side's word: this packet of ours arrived, from that address."""

    namespace: str
    protocol: str
    source: str
    sport: int
    address: str
    port: int


@dataclass(frozen=True)
class Traced:
    """The kernel's word on a packet of ours, at a place of a host."""

    protocol: str
    source: str
    sport: int
    decided: Decided


@dataclass(frozen=True)
class Sent:
    """A job's packet as it left: by this source port (ICMP: identifier)."""

    job: Job
    sport: int
    outcome: Outcome
    error: str = ""
    text: str = ""


@dataclass(frozen=True)
class Controlled:
    """A control as it was sent, and its outcome."""

    control: Control
    sport: int
    outcome: Outcome


EndKey: TypeAlias = tuple[str, str, str, int, int]
"""Seat, namespace, protocol, source port and port of a packet that arrived."""


def all_jobs(scene: Scene) -> tuple[Job, ...]:
    """Without rules in the file nothing is promised about packets, and only questions are left."""
    if not scene.promises:
        return tuple(job for job in attacks(scene) if isinstance(job, Question))
    return (*matrix(scene), *attacks(scene))


def touching(jobs: Iterable[Job], hosts: Container[str]) -> tuple[Job, ...]:
    """Those that a change of these hosts' rules can decide otherwise: judged there, or ending there."""
    return tuple(
        job
        for job in jobs
        if job.target.seat in hosts or (isinstance(job, Cell) and any(hop.place.host in hosts for hop in job.hops))
    )


def responders(jobs: Iterable[Job]) -> dict[str, set[Responder]]:
    """By seat. ICMP is answered by the kernel."""
    found: dict[str, set[Responder]] = {}
    for job in jobs:
        if isinstance(job, Cell) and job.protocol != "icmp":
            wanted = Responder(job.target.namespace, job.protocol, (job.ends.address, job.ends.port))
            found.setdefault(job.target.seat, set()).add(wanted)
    return found


def controls(jobs: Iterable[Job]) -> tuple[Control, ...]:
    """One for each place that somebody must be kept from."""
    refused = (job for job in jobs if isinstance(job, Cell) and job.expected.verdict != "allow")
    return tuple(dict.fromkeys(control_of(job) for job in refused))


def control_of(job: Cell) -> Control:
    return Control(job.target, job.protocol, job.ends)


def places(scene: Scene) -> dict[str, tuple[Place, ...]]:
    """By host: where the kernel is asked what it does."""
    every = (*scene.hosts.values(), *scene.overlays.values())
    return {host: tuple(place for place in every if place.host == host) for host in scene.hosts}


def measure(
    sent: Sequence[Sent], seen: dict[str, list[Seen]], traced: list[Traced], controls: Iterable[Controlled]
) -> tuple[Measured, ...]:
    """Join what was sent, who saw it and who decided, by source address and port. ``seen``: by seat."""
    by_flow: dict[tuple[str, str, int], list[Decided]] = {}
    for item in traced:
        by_flow.setdefault((item.protocol, item.source, item.sport), []).append(item.decided)
    by_end: dict[EndKey, dict[str, None]] = {}
    for seat, items in seen.items():
        for each in items:
            key = (seat, each.namespace, each.protocol, each.sport, each.port)
            by_end.setdefault(key, {})[each.source] = None
    control = {item.control: _controlled(item, by_end) for item in controls}
    return tuple(_joined(item, by_flow, by_end, control) for item in sent)


def _controlled(item: Controlled, by_end: Mapping[EndKey, dict[str, None]]) -> Outcome:
    """A service over UDP that does not answer our word is there all the same: nobody there would have refused."""
    asked = item.control
    key = (asked.spot.seat, asked.spot.namespace, asked.protocol, item.sport, asked.end.port)
    silent = asked.protocol == "udp" and item.outcome == "dropped"
    return "open" if silent and by_end.get(key) else item.outcome


def _joined(
    sent: Sent,
    by_flow: dict[tuple[str, str, int], list[Decided]],
    by_end: Mapping[EndKey, dict[str, None]],
    control: dict[Control, Outcome],
) -> Measured:
    job = sent.job
    if isinstance(job, Question):
        return Measured(sent.outcome, sent.error, sent.text)
    key = (job.target.seat, job.target.namespace, job.protocol, sent.sport, job.ends.port)
    whom = tuple(by_end.get(key, ()))
    return Measured(
        outcome=sent.outcome,
        error=sent.error,
        seen_as=(job.shown_as,) if job.shown_as in whom else whom if sent.outcome == "open" else (),
        decided=tuple(dict.fromkeys(_decided(sent, job, by_flow))),
        control=control.get(control_of(job), "probe failed"),
    )


def _decided(sent: Sent, job: Cell, by_flow: dict[tuple[str, str, int], list[Decided]]) -> Iterator[Decided]:
    """Also where the packet came by behind another address, masqueraded."""
    yield from by_flow.get((job.protocol, job.address, sent.sport), ())
    for hop in job.hops:
        if str(hop.flow.source) != job.address:
            found = by_flow.get((job.protocol, str(hop.flow.source), sent.sport), ())
            yield from (item for item in found if item.place == hop.place.name)
