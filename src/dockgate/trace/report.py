"""A walk told: as lines for a person, and as JSON for a script. Pure; the same walk gives the same bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from .evidence import LogLine, Verdict
from .steps import Step, Walk
from .stop import where

_TITLES = {
    False: ("client to load balancer", "load balancer to server"),
    True: ("client to Docker's proxy", "Docker's proxy to load balancer", "load balancer to server"),
}


def lines(walk: Walk, width: int = 80) -> tuple[tuple[str, str], ...]:
    """Style ("", "bold", "red", "green", "yellow") and text, none longer than ``width``."""
    return tuple(
        (style, part)
        for style, text in _lines(walk)
        for part in (textwrap.wrap(text, width, subsequent_indent=_indent(text), break_long_words=True) or [""])
    )


def _indent(text: str) -> str:
    return " " * min(len(text) - len(text.lstrip()) + 4, 20)


def _lines(walk: Walk) -> Iterator[tuple[str, str]]:
    yield "bold", _head(walk)
    session = 0
    for number, step in enumerate(walk.steps, 1):
        if step.hop.session != session:
            if step.hop.session == walk.prediction.last:
                yield from _haproxy(walk)
            session = step.hop.session
            yield "", ""
            yield "bold", _title(walk, session)
        yield from _step(walk, number, step)
    if session < walk.prediction.last:
        yield from _haproxy(walk)
    if walk.process:
        yield "", f"    answered by {walk.process}"
    yield "", ""
    if any(step.back for step in walk.steps):
        yield from _back(walk)
    for text in walk.prediction.policy:
        yield "", f"policy: {text}"
    for text in walk.disagreements:
        yield "yellow", f"not as predicted: {text}"
    for text in walk.notes:
        yield "", f"note: {text}"
    if walk.stop is not None:
        yield "red", f"stopped at {walk.stop.where}: {walk.stop.why}"
        yield "", f"  next: {walk.stop.hint}"
    yield "bold", count(walk)


def _head(walk: Walk) -> str:
    request = walk.prediction.request
    asked = f"{request.asked} from {request.asker}"
    if walk.evidence is None:
        return f"{asked}: predicted, nothing sent"
    answer = walk.evidence.answer
    said = str(answer.status) if answer.status else f"{answer.outcome}{f' ({answer.error})' if answer.error else ''}"
    return f"{asked}: {said} in {_ms(answer.total_us)}"


def _step(walk: Walk, number: int, step: Step) -> Iterator[tuple[str, str]]:
    place = step.hop.place
    title = (
        f"{number:2}  {place.kind} {where(step)}"
        if place.kind in ("host", "container")
        else f"{number:2}  {where(step)}"
    )
    if walk.evidence is not None and not step.seen:
        yield "yellow", f"{title}: not seen"
        return
    took = f"  {_ms(step.took_us)}" if step.took_us is not None else ""
    through = f": {', '.join(step.interfaces)}" if step.interfaces else ""
    yield "", f"{title}{through}{took}"
    before, after = step.hop.before, step.hop.after
    yield "", f"      {before}"
    if step.translation:
        yield "green", f"      {step.translation} to {after}"
    outer = step.outer or ((*step.hop.outer, 0) if step.hop.outer else None)
    if outer:
        network = f" {outer[2]}" if outer[2] else ""
        yield "", f"      in VXLAN{network}, UDP {walk.prediction.vxlan}, {outer[0]} > {outer[1]}"
    if step.forwarding and place.kind == "overlay" and step.forwarding.mac:
        way = f", at host {step.forwarding.host}" if step.forwarding.host else ""
        yield "", f"      {step.forwarding.address} is {step.forwarding.mac} here{way}"
    yield from _rules(step.verdicts)


def _rules(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, str]]:
    for verdict in verdicts:
        yield ("red" if verdict.verdict == "drop" else ""), f"      {_did(verdict)} {verdict}"


def _title(walk: Walk, session: int) -> str:
    if walk.prediction.request.mode == "echo":
        return f"echo: {walk.prediction.request.asker} to {walk.prediction.request.host}"
    title = _TITLES[walk.prediction.proxy is not None][session - 1]
    return f"session {session}: {title.replace('load balancer', walk.prediction.target or 'load balancer')}"


def _did(verdict: Verdict) -> str:
    if verdict.verdict == "drop":
        return "dropped by"
    return "translated by" if verdict.translates else "let through by"


def _haproxy(walk: Walk) -> Iterator[tuple[str, str]]:
    prediction = walk.prediction
    if not prediction.frontend:
        return
    yield "", ""
    log = walk.evidence.log if walk.evidence else None
    words = "it may pick" if walk.evidence is None else "server"
    pool = log.pool if log else " or by chance ".join((prediction.pool, *prediction.chances))
    yield "bold", f"HAProxy: frontend {prediction.frontend}, pool {pool}, {words} {_server(walk, log)}"
    if walk.evidence is not None and walk.evidence.answer.tls:
        known = dict(prediction.certificates)
        shown = known.get(walk.evidence.answer.shown) or known.get("", "one that is not in the file")
        yield "", f"    opens {walk.evidence.answer.tls}; certificate: {shown}"
    if walk.why:
        yield "", f"    why: {walk.why}"
    if log:
        times = (f"request {_log(log.request_ms)}, queue {_log(log.queue_ms)}, connect {_log(log.connect_ms)}, "
                 f"response {_log(log.response_ms)}, all {_log(log.total_ms)}; retries {log.retries}")  # fmt: skip
        status = f"status {log.status}, " if log.status else ""
        yield "", f"    {times}; {status}ended {log.ending}"
    elif walk.evidence is not None and walk.evidence.answer.outcome == "answered":
        yield "yellow", "    HAProxy's log has no line for it (it gives up lines when it is short of time)"


def _server(walk: Walk, log: LogLine | None) -> str:
    if log and log.server != "<NOSRV>":
        return log.server
    if walk.chosen is None:
        return "none"
    return f"{walk.chosen.name}, and in the end none was left" if log else walk.chosen.name


def _back(walk: Walk) -> Iterator[tuple[str, str]]:
    """The answer to the first packet of each session, hop by hop: the last session's server is the first to answer."""
    yield "bold", "the way back"
    for number, step in reversed(tuple(enumerate(walk.steps, 1))):
        title = f"{number:2}  {where(step)}"
        if step.back is None:
            yield "yellow", f"{title}: {'no answer seen' if step.seen else 'not seen'}"
            continue
        back = step.back
        yield "", f"{title}{f': {chr(44).join(back.interfaces)}' if back.interfaces else ''}  {back.came}"
        if back.left != back.came:
            yield "green", f"      translated back to {back.left}"
        yield from _rules(back.verdicts)
    yield "", ""


def count(walk: Walk) -> str:
    told = [_many(len(walk.told), "hop"), _many(walk.translations, "translation"), _many(walk.sessions, "session")]
    if walk.client_seen:
        server = (
            walk.prediction.target or "the server"
            if walk.prediction.request.mode != "echo"
            else walk.prediction.request.host
        )
        told.append(f"{server} {'sees' if walk.evidence is None else 'saw'} {walk.client_seen} as its client")
    return ", ".join(told)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ms(us: int) -> str:
    return f"{us / 1000:.2f} ms"


def _log(ms: int) -> str:
    return f"{ms} ms" if ms >= 0 else "-"


def as_json(walk: Walk) -> dict[str, Any]:
    evidence = walk.evidence
    return {
        "request": asdict(walk.prediction.request),
        "vip": walk.prediction.vip,
        "arrived": walk.arrived if evidence is not None else None,
        "answer": asdict(evidence.answer) if evidence else None,
        "steps": [_step_json(step) for step in walk.steps],
        "haproxy": {
            "frontend": walk.prediction.frontend,
            "pool": walk.prediction.pool,
            "or_by_chance": list(walk.prediction.chances),
            "server": walk.chosen.name if walk.chosen else None,
            "why": walk.why,
            "log": asdict(evidence.log) if evidence and evidence.log else None,
            "servers": [{"name": s.name, "status": s.status, "up": s.up} for s in walk.prediction.servers],
        },
        "policy": list(walk.prediction.policy),
        "process": walk.process or None,
        "connections": [
            {"host": seat, "there": asdict(there), "back": asdict(back)}
            for seat, there, back in (evidence.connections if evidence else ())
        ],
        "disagreements": list(walk.disagreements),
        "notes": list(walk.notes),
        "stop": asdict(walk.stop) if walk.stop else None,
        "count": {
            "hops": len(walk.told),
            "translations": walk.translations,
            "sessions": walk.sessions,
            "client_seen": walk.client_seen or None,
        },
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "session": step.hop.session,
        "place": asdict(step.hop.place),
        "seen": step.seen,
        "back": _return_json(step),
        "before": asdict(step.hop.before),
        "after": asdict(step.hop.after),
        "translation": step.translation or None,
        "interfaces": list(step.interfaces),
        "took_us": step.took_us,
        "vxlan": list(step.outer or step.hop.outer or ()) or None,
        "forwarding": asdict(step.forwarding) if step.forwarding else None,
        "rules": _rules_json(step.verdicts),
    }


def _return_json(step: Step) -> dict[str, Any] | None:
    if step.back is None:
        return None
    return {
        "came": asdict(step.back.came),
        "left": asdict(step.back.left),
        "translated_back": step.back.left != step.back.came,
        "interfaces": list(step.back.interfaces),
        "rules": _rules_json(step.back.verdicts),
    }


def _rules_json(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    return [
        {"verdict": v.verdict, "whose": v.whose, "family": v.family, "table": v.table, "chain": v.chain,
         "handle": v.handle, "text": str(v)}
        for v in verdicts
    ]  # fmt: skip
