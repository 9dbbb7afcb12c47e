"""Why a request did not arrive: the last place that saw it, what stopped it there, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import replace

from dockgate.haproxy.pools import backend_name

from .model import Evidence, Step, Stop, Verdict, Walk

_HINTS = {
    "our rule": "allow it in the file's `firewall`, then `dockgate up`; `dockgate firewall show` lists the rules",
    "Docker's rule": "see which network or published port it belongs to: docker network inspect",
}
_UP = "start a member, or see why its check fails: dockgate status"


def stop_of(walk: Walk) -> Stop | None:
    """None when it arrived."""
    evidence = walk.evidence
    assert evidence is not None
    if _arrived(walk, evidence):
        return None
    for step in walk.steps:
        for verdict in step.verdicts:
            if verdict.verdict == "drop":
                return _dropped(step, verdict)
    if evidence.answer.connect_us and _misunderstood(walk, evidence):
        return _not_spoken(walk, evidence)
    if evidence.log is not None:
        return _by_haproxy(walk, evidence)
    return _on_the_way(walk, evidence)


def _arrived(walk: Walk, evidence: Evidence) -> bool:
    """A server's own answer, whatever its status; HAProxy's own 404 or 503 is none."""
    if walk.prediction.request.mode == "tcp":
        return evidence.held is not None and evidence.held.established and walk.chosen is not None
    if evidence.answer.outcome != "answered":
        return False
    log = evidence.log
    if log is not None:
        # A port in mode tcp has no status, and no end of an answer: who closes first is no failure.
        good = log.ending.startswith("--") or not log.status
        return walk.prediction.server(log.server) is not None and good
    return any(step.seen and step.hop.session == 2 for step in walk.steps)


def where(step: Step) -> str:
    place = step.hop.place
    return place.name if place.name == place.seat or not place.seat else f"{place.name} on {place.seat}"


def _dropped(step: Step, verdict: Verdict) -> Stop:
    chain = f"{verdict.family} {verdict.table} {verdict.chain}"
    hint = _HINTS.get(verdict.whose, f"look at it on {step.hop.place.seat}: nft -a list chain {chain}")
    return Stop(where(step), f"{verdict.whose} dropped it: {verdict}", hint)


def _misunderstood(walk: Walk, evidence: Evidence) -> bool:
    """The connection stood, and nothing came of it that HAProxy could answer. In TLS 1.3 a refusal may come after the
    handshake, with the first answer."""
    if not walk.prediction.request.tls:
        return walk.prediction.wrongly is not None and evidence.log is None
    return not evidence.answer.tls or evidence.answer.error.startswith("TLS:")


def _not_spoken(walk: Walk, evidence: Evidence) -> Stop:
    foretold, said = walk.prediction.wrongly, evidence.answer.error or evidence.answer.outcome
    if foretold is not None:
        return replace(foretold, why=f"{foretold.why}: {said}")
    hint = "a port may ask for a client's certificate, which a trace has not"
    return Stop(f"HAProxy, frontend {walk.prediction.frontend}", f"there was no TLS session: {said}", hint)


def _by_haproxy(walk: Walk, evidence: Evidence) -> Stop:
    log = evidence.log
    assert log is not None
    at = f"HAProxy, frontend {log.frontend}"
    if walk.prediction.server(log.server, log.pool) is None and walk.prediction.wrongly is not None:
        foretold = walk.prediction.wrongly
        return Stop(at, f"HAProxy answered {log.status} itself: {foretold.why}", foretold.hint)
    if walk.prediction.server(log.server, log.pool) is None and 300 <= log.status < 400:
        hint = "follow it: trace the URL in its Location"
        return Stop(at, f"HAProxy answered {log.status} itself: it sends the request elsewhere", hint)
    if walk.prediction.server(log.server, log.pool) is None:
        states = ", ".join(f"{s.name} {s.status}" for s in walk.prediction.servers) or "it has none"
        if not log.status:
            return Stop(at, f"no member of pool {log.pool} is up, so HAProxy closes the connection: {states}", _UP)
        if log.pool not in ("", backend_name(walk.prediction.pool)):
            return Stop(at, f"HAProxy answered {log.status} itself (backend {log.pool})", "see `routes` and `stats`")
        why = f"no member of pool {log.pool} is up, so HAProxy answers {log.status}: {states}"
        return Stop(at, why, _UP)
    stopped = _on_the_way(walk, evidence, session=2)
    did = f"answered {log.status}" if log.status else "closed the connection"
    tried = f"HAProxy {did} for {log.server} ({log.ending}, {log.retries} retries)"
    return Stop(stopped.where, f"{tried}: {stopped.why}", stopped.hint)


def _on_the_way(walk: Walk, evidence: Evidence, session: int = 1) -> Stop:
    steps = [step for step in walk.steps if step.hop.session == session]
    seen = [step for step in steps if step.seen]
    answer = evidence.answer
    if not seen:
        begin = where(steps[0]) if steps else walk.prediction.request.asker
        return Stop(begin, f"the packet did not leave: {_words(evidence, steps[0] if steps else None)}", _ROUTE)
    last = seen[-1]
    if _reset(evidence, last) or (session == 1 and answer.outcome == "refused"):
        why = f"nothing listens on {last.hop.after.address} port {last.hop.after.dport}: the connection is refused"
        return Stop(where(last), why, walk.prediction.stop.hint if walk.prediction.stop else "dockgate status")
    if last is steps[-1]:
        return _silent(walk, last)
    following = steps[steps.index(last) + 1]
    there = _said(evidence, following)
    why = _said(evidence, last) or (f"there, {there}" if there else _words(evidence, None))
    return Stop(where(last), f"it never came to {where(following)}: {why}", _ROUTE)


_ROUTE = "see the link, the route and the neighbour there: ip link; ip route; ip neigh"


def _silent(walk: Walk, last: Step) -> Stop:
    known = walk.prediction.stop
    if known is not None:
        return Stop(where(last), f"it arrived there, but {known.why}", known.hint)
    what = "the connection opened, but no answer came" if last.back else "it arrived there, and nothing came back"
    return Stop(where(last), what, "see whether its process runs and is not stuck: docker ps; docker logs")


def _reset(evidence: Evidence, last: Step) -> bool:
    seqs = {s.seq for s in evidence.sightings if s.syn and s.place == last.hop.place.key and s.ends == last.hop.after}
    return any(s.reset and s.place == last.hop.place.key and (s.ack - 1) in seqs for s in evidence.sightings)


def _said(evidence: Evidence, step: Step) -> str:
    """What the kernel there has against the way on, or back."""
    return next((text for place, text in evidence.routes if place == step.hop.place.key), "")


def _words(evidence: Evidence, step: Step | None) -> str:
    said = _said(evidence, step) if step else ""
    return said or evidence.answer.error or "no rule dropped it and no route is missing"
