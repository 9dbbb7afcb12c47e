"""Prediction and evidence held together: the walk as it was, and where it was not as predicted.

Whose packets are whose stands in ``sessions``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dockgate.haproxy.pools import backend_name

from .evidence import Evidence, Sighting, Verdict
from .model import Ends, Hop, Prediction, Server
from .sessions import packets
from .steps import Return, Step, Walk
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
    ours = packets(prediction, evidence)
    second = ours[prediction.last] if prediction.balancer else ()
    chosen = _chosen(prediction, evidence, second)
    steps = tuple(
        _step(hop, evidence, ours[hop.session]) for hop in (*prediction.hops, *(chosen.hops if chosen else ()))
    )
    steps = tuple(_sent(step, prediction, evidence) if number == 0 else step for number, step in enumerate(steps))
    walk = Walk(
        prediction=prediction,
        evidence=evidence,
        steps=steps,
        chosen=chosen,
        why=_why(prediction, evidence, chosen),
        process=_process(steps, prediction, evidence),
        disagreements=tuple(_disagreements(steps, prediction, evidence, chosen)),
        notes=tuple(_notes(evidence, second, prediction)),
    )
    return replace(walk, stop=stop_of(walk))


def _chosen(prediction: Prediction, evidence: Evidence, second: tuple[Sighting, ...]) -> Server | None:
    if evidence.held is not None:
        return prediction.server(evidence.held.server, evidence.held.pool)
    log = evidence.log
    named = prediction.server(log.server, log.pool) if log is not None else None
    if log is not None and (named is not None or not log.retries):
        return named
    # No line yet, or one that names nobody: its tries have had the last member marked down. The walk is a try's.
    ends = second[0].ends if second else None
    return next((s for s in prediction.servers if ends and (s.address, s.port) == (ends.address, ends.dport)), None)


# --- one hop


def _step(hop: Hop, evidence: Evidence, session: tuple[Sighting, ...]) -> Step:
    here = [s for s in session if s.place == hop.place.key and (s.outer is not None) == (hop.outer is not None)]
    here.sort(key=lambda s: s.at)
    ends = (hop.before.source, hop.after.address)
    forwarding = next(
        (each for each in evidence.forwarding if each.place == hop.place.key and each.address in ends), None
    )
    if not here:
        return Step(hop, seen=False, forwarding=forwarding, verdicts=tuple(_held_back(hop, evidence, session)))
    return Step(
        hop=replace(hop, before=here[0].ends, after=here[-1].ends),
        seen=True,
        back=_return(hop, evidence, here[0]) if here[0].syn else None,
        interfaces=_interfaces(here),
        took_us=here[-1].at - here[0].at if len(here) > 1 else None,
        outer=here[0].outer,
        verdicts=tuple(_verdicts(hop, evidence, here[0].seq, syn=True)),
        forwarding=forwarding,
    )


def _return(hop: Hop, evidence: Evidence, first: Sighting) -> Return | None:
    """The answer to the first packet of its session."""
    found = [
        s
        for s in evidence.sightings
        if s.syn_ack
        and s.ack == (first.seq + 1) & 0xFFFFFFFF
        and s.place == hop.place.key
        and (s.outer is None) == (first.outer is None)
    ]
    if not found:
        return None
    found.sort(key=lambda s: s.at)
    verdicts = tuple(_verdicts(hop, evidence, first.seq, syn=False))
    return Return(found[0].ends, found[-1].ends, _interfaces(found), verdicts)


def _interfaces(sightings: list[Sighting]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.interface for s in sightings))


def _sent(step: Step, prediction: Prediction, evidence: Evidence) -> Step:
    """A host translates its own packets before an interface shows them, and what comes back for them after that: they
    are as our socket sent them, and came back as it was told."""
    request, source = prediction.request, evidence.answer.source
    if not step.seen or not source:
        return step
    port = 0 if request.mode == "echo" else evidence.port
    sent = Ends(source, port, request.address, request.port)
    back = replace(step.back, left=sent.turned) if step.back and evidence.answer.connect_us else step.back
    return replace(step, hop=replace(step.hop, before=sent), back=back)


def _held_back(hop: Hop, evidence: Evidence, session: tuple[Sighting, ...]) -> Iterator[Verdict]:
    """What dropped our own first packet before any interface saw it."""
    if hop.session == 1 and not session:
        yield from (
            v for v in evidence.verdicts if v.place == hop.place.key and v.own and v.syn and v.verdict == "drop"
        )


def _verdicts(hop: Hop, evidence: Evidence, seq: int, *, syn: bool) -> Iterator[Verdict]:
    """The rules that accepted or dropped our first packet, or the answer to it. Each once, also when it was sent
    again."""
    told = set()
    for item in evidence.verdicts:
        if item.place == hop.place.key and (item.seq, item.syn) == (seq, syn) and item.verdict in ("accept", "drop"):
            key = (item.family, item.table, item.chain, item.handle)
            if key not in told and (item.handle or item.verdict == "drop"):
                told.add(key)
                yield item


def _process(steps: Iterable[Step], prediction: Prediction, evidence: Evidence) -> str:
    last = next((s for s in reversed(tuple(steps)) if s.seen), None)
    if last is None or last.hop.place.kind != "container":
        return ""
    if last.hop.session != prediction.last and not prediction.target:
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
        if step.back is not None and step.translation and not step.undone:
            came, left = step.hop.before.turned, step.back.left
            yield f"{step.hop.place.name}: the answer should have left it as {came}, seen {left}"
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
        yield f"HAProxy used a connection that it had open: session {prediction.last} has no first packet to see"
    if prediction.proxy and prediction.request.mode == "tcp" and not prediction.request.tls:
        yield "which connection of Docker's proxy carries this one is told by the time of its first packet"
    if evidence.log is None and evidence.answer.outcome == "answered" and prediction.balancer:
        yield "HAProxy's log line was not found: no times of its own"
