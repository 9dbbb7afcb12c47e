"""Why a request did not arrive: the last place that saw it, what stopped it there, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import replace

from dockgate.haproxy.pools import backend_name

from .evidence import Evidence, Forwarding, LogLine, Verdict
from .legs import Leg, legs
from .model import Place, Stop
from .steps import Step, Walk

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
        for verdict in (*step.verdicts, *(step.back.verdicts if step.back else ())):
            if verdict.verdict == "drop":
                return _dropped(step, verdict)
    if evidence.answer.connect_us and _misunderstood(walk, evidence):
        return _not_spoken(walk, evidence)
    if evidence.log is not None:
        return _by_haproxy(walk, evidence)
    reached = max((step.hop.session for step in walk.steps if step.seen), default=1)
    return _on_the_way(walk, evidence, session=reached)


def _arrived(walk: Walk, evidence: Evidence) -> bool:
    """A server's own answer, whatever its status; HAProxy's own 404 or 503 is none."""
    if walk.prediction.request.mode == "echo":
        return evidence.answer.outcome == "answered"
    if walk.prediction.target:
        last = walk.steps[-1]
        return evidence.answer.outcome == "answered" or (evidence.answer.outcome == "open" and last.back is not None)
    if walk.prediction.request.mode == "tcp":
        return evidence.held is not None and evidence.held.established and walk.chosen is not None
    if evidence.answer.outcome != "answered":
        return False
    log = evidence.log
    if log is not None:
        # A port in mode tcp has no status, and no end of an answer: who closes first is no failure.
        good = log.ending.startswith("--") or not log.status
        return walk.prediction.server(log.server) is not None and good
    return any(step.seen and step.hop.session == walk.prediction.last for step in walk.steps)


def where(step: Step) -> str:
    return _named(step.hop.place)


def _named(place: Place) -> str:
    return place.name if place.name == place.seat or not place.seat else f"{place.name} on {place.seat}"


def _dropped(step: Step, verdict: Verdict) -> Stop:
    chain = f"{verdict.family} {verdict.table} {verdict.chain}"
    what = "it" if verdict.syn else "the answer to it, on its way back"
    hint = _HINTS.get(verdict.whose, f"look at it on {step.hop.place.seat}: nft -a list chain {chain}")
    return Stop(where(step), f"{verdict.whose} dropped {what}: {verdict}", hint)


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
    named = walk.prediction.server(log.server, log.pool) is not None
    if not named and (walk.chosen is None or walk.prediction.wrongly is not None):
        return _by_itself(walk, evidence, log)
    stopped = _on_the_way(walk, evidence, session=walk.prediction.last)
    tries = f"for {log.server} ({log.ending}, {log.retries} retries)"
    if not named:
        tries = f"when {log.retries} retries had every member marked down"
    return Stop(stopped.where, f"HAProxy {_did(log)} {tries}: {stopped.why}", stopped.hint)


def _by_itself(walk: Walk, evidence: Evidence, log: LogLine) -> Stop:
    """No member was asked."""
    at = f"HAProxy, frontend {log.frontend}"
    foretold = walk.prediction.wrongly
    if foretold is not None:
        return Stop(at, f"HAProxy answered {log.status} itself: {foretold.why}", foretold.hint)
    if 300 <= log.status < 400:
        hint = "follow it: trace the URL in its Location"
        return Stop(at, f"HAProxy answered {log.status} itself: it sends the request elsewhere", hint)
    states = ", ".join(f"{s.name} {s.status}" for s in walk.prediction.servers) or "it has none"
    if not log.status:
        why = f"no member of pool {log.pool} is up, so HAProxy closes the connection: {states}"
        return _misled(walk, evidence, why) or Stop(at, why, _UP)
    if log.pool not in ("", backend_name(walk.prediction.pool)):
        return Stop(at, f"HAProxy answered {log.status} itself (backend {log.pool})", "see `routes` and `stats`")
    why = f"no member of pool {log.pool} is up, so HAProxy answers {log.status}: {states}"
    return _misled(walk, evidence, why) or Stop(at, why, _UP)


def _did(log: LogLine) -> str:
    return f"answered {log.status}" if log.status else "closed the connection"


def _on_the_way(walk: Walk, evidence: Evidence, *, session: int) -> Stop:
    steps = [step for step in walk.steps if step.hop.session == session]
    seen = [step for step in steps if step.seen]
    answer = evidence.answer
    far = session == walk.prediction.last or walk.prediction.request.mode == "echo"
    misled = _misled(walk, evidence) if far and not (seen and seen[-1].back) else None
    if misled is not None:
        return misled
    if not seen:
        begin = where(steps[0]) if steps else walk.prediction.request.asker
        return Stop(begin, f"the packet did not leave: {_words(evidence, steps[0] if steps else None)}", _ROUTE)
    last = seen[-1]
    if _reset(evidence, last) or (session == 1 and answer.outcome == "refused"):
        why = f"nothing listens on {last.hop.after.address} port {last.hop.after.dport}: the connection is refused"
        foretold = walk.prediction.stop
        if foretold is not None:
            return Stop(where(last), f"{why}; {foretold.why}", foretold.hint)
        return Stop(where(last), why, "dockgate status")
    if last is steps[-1]:
        return _silent(walk, evidence, last)
    following = steps[steps.index(last) + 1]
    there = _said(evidence, following)
    why = _said(evidence, last) or (f"there, {there}" if there else _words(evidence, None))
    return Stop(where(last), f"it never came to {where(following)}: {why}", _ROUTE)


_ROUTE = "see the link, the route and the neighbour there: ip link; ip route; ip neigh"


def _silent(walk: Walk, evidence: Evidence, last: Step) -> Stop:
    known = walk.prediction.stop
    if known is not None:
        return Stop(where(last), f"it arrived there, but {known.why}", known.hint)
    if walk.prediction.request.mode == "echo":
        said = evidence.answer.error if evidence.answer.outcome == "unreachable" else "nothing came back"
        return Stop(
            where(last), f"it arrived there, and {said}", "see what the rules there say: dockgate firewall show"
        )
    what = "the connection opened, but no answer came" if last.back else "it arrived there, and nothing came back"
    return Stop(where(last), what, "see whether its process runs and is not stuck: docker ps; docker logs")


def _misled(walk: Walk, evidence: Evidence, so: str = "") -> Stop | None:
    """An overlay network's entry for one end of a leg that is missing or leads elsewhere. ``so``: what came of it."""
    prediction = walk.prediction
    candidates = (walk.chosen,) if walk.chosen else prediction.servers
    ways = [prediction.hops, *(server.hops for server in candidates)]
    for leg in (leg for hops in ways for leg in legs(hops)):
        found = next(
            (f for f in evidence.forwarding if (f.place, f.address) == (leg.begin.place.key, leg.address)), None
        )  # fmt: skip
        said = _amiss(leg, found) if found else ""
        if said:
            hint = f"docker restart {leg.end.place.name} announces it anew; dockgate doctor looks at every entry"
            return Stop(_named(leg.begin.place), f"{so}; {said}" if so else said, hint)
    return None


def _amiss(leg: Leg, found: Forwarding) -> str:
    whose = f"{leg.address} ({leg.end.place.name} on {leg.end.place.seat})"
    if not found.mac:
        return f"it has no neighbour entry for {whose}"
    if found.own and found.mac != found.own:
        return f"{whose} is {found.mac} to it, and has {found.own} itself"
    if found.host != leg.host:
        return f"it sends what is for {whose} to {found.host or 'nobody'}, and not to {leg.host}"
    if found.own and found.known_as and found.known_as != found.own:
        return f"{leg.start.place.name} takes {found.known_as} for {whose}, which has {found.own} itself"
    return ""


def _reset(evidence: Evidence, last: Step) -> bool:
    seqs = {s.seq for s in evidence.sightings if s.syn and s.place == last.hop.place.key and s.ends == last.hop.after}
    return any(s.reset and s.place == last.hop.place.key and (s.ack - 1) in seqs for s in evidence.sightings)


def _said(evidence: Evidence, step: Step) -> str:
    """What the kernel there has against the way on, or back."""
    return next((text for place, text in evidence.routes if place == step.hop.place.key), "")


def _words(evidence: Evidence, step: Step | None) -> str:
    said = _said(evidence, step) if step else ""
    return said or evidence.answer.error or "no rule dropped it and no route is missing"
