"""Prediction and evidence held together: the walk as it was, and where it was not as predicted.

A session is recognised in every namespace by the sequence number of its first packet, which no translation changes;
one that HAProxy had open already, by the mark in the request's head. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dockgate.haproxy.pools import backend_name

from .model import Ends, Evidence, Hop, Prediction, Server, Sighting, Step, Verdict, Walk
from .stop import stop_of


def dry(prediction: Prediction) -> Walk:
    """The prediction alone, by the first server that HAProxy may pick."""
    server = next(iter(prediction.expected()), None)
    hops = (*prediction.hops, *(server.hops if server and prediction.stop is None else ()))
    return Walk(
        prediction=prediction,
        evidence=None,
        steps=tuple(Step(hop, seen=False) for hop in hops),
        chosen=server if prediction.stop is None else None,
        why=_may(prediction),
        stop=prediction.stop,
    )


def join(prediction: Prediction, evidence: Evidence) -> Walk:
    first = _first(prediction, evidence)
    second = _second(prediction, evidence)
    chosen = _chosen(prediction, evidence, second)
    steps = tuple(
        _step(hop, evidence, first if hop.session == 1 else second)
        for hop in (*prediction.hops, *(chosen.hops if chosen else ()))
    )
    steps = tuple(_sent(step, prediction, evidence) if number == 0 else step for number, step in enumerate(steps))
    walk = Walk(
        prediction=prediction,
        evidence=evidence,
        steps=steps,
        chosen=chosen,
        why=_why(prediction, evidence, chosen),
        process=_process(steps, evidence),
        disagreements=tuple(_disagreements(steps, prediction, evidence, chosen)),
        notes=tuple(_notes(evidence, second, prediction)),
    )
    return replace(walk, stop=stop_of(walk))


# --- whose packets are ours


def _first(prediction: Prediction, evidence: Evidence) -> tuple[Sighting, ...]:
    """The first packet of session 1, wherever it was seen."""
    asked = prediction.request
    found = [s for s in evidence.sightings if s.syn and s.ends.sport == evidence.port]
    start = next((s for s in found if (s.ends.address, s.ends.dport) == (asked.address, asked.port)), None)
    start = start or next(iter(found), None)
    return tuple(s for s in evidence.sightings if start and s.syn and s.seq == start.seq)


def _second(prediction: Prediction, evidence: Evidence) -> tuple[Sighting, ...]:
    """The first packet of session 2, wherever it was seen, or the request's own where there was none."""
    if prediction.balancer is None:
        return ()
    leaving = [s for s in evidence.sightings if s.place == prediction.balancer.key and s.out]
    if evidence.held is not None:
        ours = next((s for s in leaving if s.syn and s.ends.sport == evidence.held.sport), None)
        return tuple(s for s in evidence.sightings if ours and s.syn and s.seq == ours.seq)
    marked = next((s for s in leaving if s.token and s.ends.sport != evidence.port), None)
    if marked is not None:
        syn = next((s for s in leaving if s.syn and s.ends == marked.ends), None)
        if syn is None:
            return tuple(s for s in evidence.sightings if s.token and s.seq == marked.seq)
    else:
        syn = _unanswered(leaving, prediction, evidence)
    return tuple(s for s in evidence.sightings if syn and s.syn and s.seq == syn.seq)


def _unanswered(leaving: list[Sighting], prediction: Prediction, evidence: Evidence) -> Sighting | None:
    """An attempt of HAProxy at a server that nobody answered: of the server that its log names, if it names one."""
    named = prediction.server(evidence.log.server, evidence.log.pool) if evidence.log else None
    wanted = {(s.address, s.port) for s in ((named,) if named else prediction.servers)}
    acked = {s.ack - 1 for s in evidence.sightings if s.syn_ack}
    late = [s for s in leaving if s.syn and (s.ends.address, s.ends.dport) in wanted and s.at >= evidence.answer.at]
    return next((s for s in late if s.seq not in acked), None)


def _chosen(prediction: Prediction, evidence: Evidence, second: tuple[Sighting, ...]) -> Server | None:
    if evidence.held is not None:
        return prediction.server(evidence.held.server, evidence.held.pool)
    if evidence.log is not None:
        return prediction.server(evidence.log.server, evidence.log.pool)
    ends = second[0].ends if second else None
    return next((s for s in prediction.servers if ends and (s.address, s.port) == (ends.address, ends.dport)), None)


# --- one hop


def _step(hop: Hop, evidence: Evidence, session: tuple[Sighting, ...]) -> Step:
    here = [s for s in session if s.place == hop.place.key and (s.outer is not None) == (hop.outer is not None)]
    here.sort(key=lambda s: s.at)
    if not here:
        return Step(hop, seen=False)
    seq = here[0].seq
    back = [s for s in evidence.sightings if s.syn_ack and s.ack == _next(seq) and s.place == hop.place.key]
    came = here[0].ends
    mirrored = Ends(came.address, came.dport, came.source, came.sport)
    return Step(
        hop=replace(hop, before=here[0].ends, after=here[-1].ends),
        seen=True,
        back=bool(back) or not here[0].syn,
        undone=any(s.ends == mirrored for s in back),
        interfaces=tuple(dict.fromkeys(s.interface for s in here)),
        took_us=here[-1].at - here[0].at if len(here) > 1 else None,
        outer=here[0].outer,
        verdicts=tuple(_verdicts(hop, evidence, seq)),
    )


def _sent(step: Step, prediction: Prediction, evidence: Evidence) -> Step:
    """A host translates its own packets before an interface shows them: they began as our socket sent them."""
    request, source = prediction.request, evidence.answer.source
    if not step.seen or not source:
        return step
    return replace(step, hop=replace(step.hop, before=Ends(source, evidence.port, request.address, request.port)))


def _next(seq: int) -> int:
    return (seq + 1) & 0xFFFFFFFF


def _verdicts(hop: Hop, evidence: Evidence, seq: int) -> Iterator[Verdict]:
    """The rules that accepted or dropped our first packet. Each once, also when it was sent again."""
    told = set()
    for item in evidence.verdicts:
        if item.place == hop.place.key and item.seq == seq and item.syn and item.verdict in ("accept", "drop"):
            key = (item.family, item.table, item.chain, item.handle)
            if key not in told and (item.handle or item.verdict == "drop"):
                told.add(key)
                yield item


def _process(steps: Iterable[Step], evidence: Evidence) -> str:
    last = next((s for s in reversed(tuple(steps)) if s.seen), None)
    if last is None or last.hop.session != 2 or last.hop.place.kind != "container":
        return ""
    for place, port, pid, command in evidence.listeners:
        if place == last.hop.place.key and port == last.hop.after.dport:
            return f"{command} (pid {pid})" if pid else f"{command} (the container's first process)"
    return ""


# --- in words


def _may(prediction: Prediction) -> str:
    names = [server.name for server in prediction.expected()]
    return f"{prediction.balance} over {', '.join(names)}" if names else ""


def _why(prediction: Prediction, evidence: Evidence, chosen: Server | None) -> str:
    if chosen is None:
        return ""
    out = [f"{s.name} {s.status}" for s in prediction.servers if not s.up]
    again = f"; after {evidence.log.retries} retries" if evidence.log and evidence.log.retries else ""
    return f"{_may(prediction)}{f'; out: {chr(44).join(out)}' if out else ''}{again}"


def _disagreements(
    steps: tuple[Step, ...], prediction: Prediction, evidence: Evidence, chosen: Server | None
) -> Iterator[str]:
    blind = dict(evidence.blind)
    hops = (*prediction.hops, *(chosen.hops if chosen else ()))
    for number, (step, hop) in enumerate(zip(steps, hops, strict=True)):
        place = hop.place
        later = any(s.seen and s.hop.session == hop.session for s in steps[number + 1 :])
        if not step.seen and later and place.key not in blind:
            yield f"predicted through {place.name} ({place.seat or 'here'}), but nothing was seen there"
        if step.seen and not (hop.before.agrees(step.hop.before) and hop.after.agrees(step.hop.after)):
            seen = _change(step.hop.before, step.hop.after)
            yield f"{place.name}: predicted {_change(hop.before, hop.after)}, seen {seen}"
        if step.seen and hop.outer and step.outer and step.outer[:2] != hop.outer:
            yield f"{place.name}: predicted VXLAN {' > '.join(hop.outer)}, seen {' > '.join(step.outer[:2])}"
    for step in steps:
        yield from _conntrack(step, evidence)
    if chosen is not None and not chosen.up:
        yield f"{chosen.name} was {chosen.status} when it was looked at, and HAProxy chose it"
    answer = evidence.answer
    known = dict(prediction.certificates)
    if answer.shown and known and "" not in known and answer.shown not in known:
        yield f"the certificate shown ({answer.shown[:16]}…) is none that the file has for this port"
    possible = {backend_name(pool) for pool in (prediction.pool, *prediction.chances)}
    if evidence.log is not None and prediction.pool and evidence.log.pool not in possible:
        yield f"predicted pool {prediction.pool}, HAProxy used {evidence.log.pool}"


def _conntrack(step: Step, evidence: Evidence) -> Iterator[str]:
    """Its answer must come back by the very ends that our packet left with."""
    before, after = step.hop.before, step.hop.after
    for seat, there, back in evidence.connections:
        if seat == step.hop.place.seat and step.translation and there == before:
            left = Ends(back.address, back.dport, back.source, back.sport)
            if left != after:
                yield f"{seat}: conntrack has {there} to {left}, the packet left as {after}"


def _change(before: Ends, after: Ends) -> str:
    return str(before) if before == after else f"{before} to {after}"


def _notes(evidence: Evidence, second: tuple[Sighting, ...], prediction: Prediction) -> Iterator[str]:
    names = {place.key: f"{place.name} ({place.seat or 'here'})" for place in prediction.places()}
    for key, why in evidence.blind:
        yield f"{names.get(key, key[1])} could not be watched: {why}"
    if prediction.sealed and not second and evidence.log is not None:
        yield "members are spoken to by TLS: which of HAProxy's connections carried this request cannot be seen"
    if second and not second[0].syn:
        yield "HAProxy used a connection that it had open: session 2 has no first packet to see"
    if evidence.log is None and evidence.answer.outcome == "answered":
        yield "HAProxy's log line was not found: no times of its own"
