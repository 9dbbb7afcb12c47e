"""Whose packets are ours, in each session of a walk. Pure.

A session is known in every namespace by the sequence number of its first packet, which no translation changes; which
session is ours, by our own port, by the mark in the request, or by the words that Docker's proxy passed on unread. A
session that HAProxy had open already has no first packet: there it is the marked packet itself.
"""

from __future__ import annotations

from .evidence import Evidence, Sighting
from .model import Prediction


def packets(prediction: Prediction, evidence: Evidence) -> dict[int, tuple[Sighting, ...]]:
    """The first packet of each session, wherever it was seen."""
    first = _first(prediction, evidence)
    found = {1: first, 2: (), 3: ()}
    if prediction.proxy is not None:
        found[2] = _proxied(prediction, evidence, first)
    if prediction.balancer is not None:
        found[prediction.last] = _to_server(prediction, evidence, _port(prediction, evidence, found[2]))
    return found


def entry_port(prediction: Prediction, evidence: Evidence) -> int:
    """The port by which HAProxy knows its client; 0 when that was not seen."""
    through = _proxied(prediction, evidence, _first(prediction, evidence)) if prediction.proxy is not None else ()
    return _port(prediction, evidence, through)


def _port(prediction: Prediction, evidence: Evidence, through: tuple[Sighting, ...]) -> int:
    if prediction.proxy is None:
        return evidence.port
    return through[0].ends.sport if through else 0


def _first(prediction: Prediction, evidence: Evidence) -> tuple[Sighting, ...]:
    asked = prediction.request
    if asked.mode == "echo":
        return tuple(s for s in evidence.sightings if s.syn and not s.ends.dport and s.seq == evidence.port)
    found = [s for s in evidence.sightings if s.syn and s.ends.sport == evidence.port]
    start = next((s for s in found if (s.ends.address, s.ends.dport) == (asked.address, asked.port)), None)
    return _same(evidence, start or next(iter(found), None))


def _same(evidence: Evidence, first: Sighting | None) -> tuple[Sighting, ...]:
    return tuple(s for s in evidence.sightings if first and s.syn and s.seq == first.seq)


def _proxied(prediction: Prediction, evidence: Evidence, first: tuple[Sighting, ...]) -> tuple[Sighting, ...]:
    """From Docker's proxy to the load balancer. The proxy connects as soon as it is asked, so a connection on which
    nothing was said is the next one after ours."""
    assert prediction.proxy is not None
    key, entry = prediction.proxy.key, prediction.entry
    begun = min((s.at for s in first if s.place == key), default=0)
    leaving = [
        s
        for s in sorted(evidence.sightings, key=lambda s: s.at)
        if s.place == key and s.out and entry and (s.ends.address, s.ends.dport) == (entry.address, entry.dport)
    ]
    said = next((s for s in leaving if s.token and s.ends.sport != evidence.port), None)
    if said is not None:
        return _same(evidence, next((s for s in leaving if s.syn and s.ends == said.ends), None))
    silent = evidence.held is not None or evidence.answer.outcome in ("open", "closed")
    return _same(evidence, next((s for s in leaving if silent and s.syn and begun and s.at >= begun), None))


def _to_server(prediction: Prediction, evidence: Evidence, entry: int) -> tuple[Sighting, ...]:
    """The request's own packet where there was no first one."""
    assert prediction.balancer is not None
    leaving = [s for s in evidence.sightings if s.place == prediction.balancer.key and s.out]
    if evidence.held is not None:
        held = evidence.held
        return _same(evidence, next((s for s in leaving if s.syn and s.ends.sport == held.sport), None))
    marked = next((s for s in leaving if s.token and s.ends.sport not in (evidence.port, entry)), None)
    if marked is None:
        return _same(evidence, _unanswered(leaving, prediction, evidence))
    syn = next((s for s in leaving if s.syn and s.ends == marked.ends), None)
    if syn is None:
        return tuple(s for s in evidence.sightings if s.token and s.seq == marked.seq)
    return _same(evidence, syn)


def _unanswered(leaving: list[Sighting], prediction: Prediction, evidence: Evidence) -> Sighting | None:
    """An attempt of HAProxy at a server that nobody answered: of the server that its log names, if it names one. Before
    our own connection stood there is none."""
    if not evidence.answer.connect_us:
        return None
    named = prediction.server(evidence.log.server, evidence.log.pool) if evidence.log else None
    wanted = {(s.address, s.port) for s in ((named,) if named else prediction.servers)}
    acked = {s.ack - 1 for s in evidence.sightings if s.syn_ack}
    late = [s for s in leaving if s.syn and (s.ends.address, s.ends.dport) in wanted and s.at >= evidence.answer.at]
    return next((s for s in late if s.seq not in acked), None)
