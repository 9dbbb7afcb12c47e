"""Report: a proof as rows that a person reads at a glance, as JSON's plain values, and as JUnit's XML.

Equal rows are told as one, wrong cells one by one with what was expected and which rule decided. Sorted; the same
proof gives the same text but for its time. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from dockgate.firewall.tables import comment_of

from .model import Cell, Job, Proof, Question, Result, Spot, Status
from .ports import CANARIES


@dataclass(frozen=True)
class Row:
    """``expected``: allow, drop, reject or closed. ``count``: of the jobs that this row stands for."""

    source: str
    target: str
    what: str
    expected: str
    status: Status
    count: int


def rows(proof: Proof) -> tuple[Row, ...]:
    """Ordinary cells."""
    return _grouped(result for result in proof.results if not result.job.attack)


def attack_rows(proof: Proof) -> tuple[Row, ...]:
    """Attacks; ``what`` is the attack's name."""
    return _grouped(result for result in proof.results if result.job.attack)


def wrong(proof: Proof) -> tuple[Result, ...]:
    return tuple(result for result in proof.results if result.status != "ok")


def title(job: Job) -> str:
    """``web1 → db tcp 5432 at 10.0.1.5:5432``."""
    attack = f"{job.attack}: " if job.attack else ""
    what = job.what if isinstance(job, Cell) else "tcp"
    return f"{attack}{job.source.name} → {job.target.name} {what} at {job.asked}"


def expected(job: Job) -> str:
    """What had to happen and by whose word: ``drop by dockgate.yaml:12 default deny``."""
    if isinstance(job, Question):
        return f"no answer with {job.betrays.strip()!r}"
    place = f" at {job.expected.place.name}"
    return f"{job.expected.verdict} by {comment_of(job.expected.rule)}{place}"


def summary(proof: Proof) -> str:
    """One sentence."""
    cells = sum(not result.job.attack for result in proof.results)
    attacks = len(proof.results) - cells
    asked = f"{cells} cells and {attacks} attacks asked in {proof.seconds:.1f} s"
    if proof.ok:
        return f"proved: {asked}, all as the file says"
    failed = len(wrong(proof))
    lost = f", {len(proof.missing)} things could not be asked" if proof.missing else ""
    return f"NOT proved: {asked}, {failed} not as the file says{lost}"


def as_json(proof: Proof) -> dict[str, object]:
    return {
        "ok": proof.ok,
        "seconds": round(proof.seconds, 2),
        "missing": list(proof.missing),
        "skipped": list(proof.skipped),
        "cells": [_cell_json(result) for result in proof.results],
    }


def as_junit(proof: Proof) -> str:
    """One test case for each job, and one for each thing that could not be asked."""
    failures = sum(result.status in ("wrong", "not proven") for result in proof.results)
    errors = len(proof.results) - failures - sum(result.status == "ok" for result in proof.results)
    suite = ElementTree.Element(
        "testsuite",
        name="dockgate verify",
        tests=str(len(proof.results) + len(proof.missing)),
        failures=str(failures),
        errors=str(errors + len(proof.missing)),
        time=f"{proof.seconds:.2f}",
    )
    for result in proof.results:
        group = result.job.attack or f"{result.job.source.group} to {result.job.target.group}"
        case = ElementTree.SubElement(suite, "testcase", classname=group, name=title(result.job))
        if result.status != "ok":
            kind = "error" if result.status == "probe failed" else "failure"
            told = ElementTree.SubElement(case, kind, message=f"{result.status}: {result.why}")
            told.text = f"expected: {expected(result.job)}"
    for sentence in proof.missing:
        case = ElementTree.SubElement(suite, "testcase", classname="could not be asked", name=sentence)
        ElementTree.SubElement(case, "error", message=sentence)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _grouped(results: Iterable[Result]) -> tuple[Row, ...]:
    groups: dict[tuple[str, str, str, Status, str], list[Job]] = {}
    for result in results:
        job = result.job
        key = (job.source.group, job.target.group, _verdict(job), result.status, job.attack)
        groups.setdefault(key, []).append(job)
    made = (_row(key, jobs) for key, jobs in groups.items())
    return tuple(sorted(made, key=lambda row: (row.source, row.target, row.what, row.expected, row.status)))


def _row(key: tuple[str, str, str, Status, str], jobs: list[Job]) -> Row:
    source, target, verdict, status, attack = key
    what = attack or _whats([job for job in jobs if isinstance(job, Cell)])
    return Row(
        _one_or(source, (job.source for job in jobs)),
        _one_or(target, (job.target for job in jobs)),
        what,
        verdict,
        status,
        len(jobs),
    )


def _one_or(group: str, spots: Iterable[Spot]) -> str:
    """The name of the only one, else what they have in common."""
    names = {spot.name for spot in spots}
    return names.pop() if len(names) == 1 else group


def _whats(cells: list[Cell]) -> str:
    """``icmp, tcp 80 443 other, udp other``; ``(IPv6 too)`` where both families were asked."""
    ports: dict[str, set[int]] = {}
    for cell in cells:
        ports.setdefault(cell.protocol, set()).add(cell.asked.port)
    told = [f"{protocol} {_ports(found)}".strip() for protocol, found in sorted(ports.items())]
    families = {cell.family for cell in cells}
    return ", ".join(told) + {(4,): "", (6,): " (IPv6)", (4, 6): " (IPv6 too)"}[tuple(sorted(families))]


def _ports(found: set[int]) -> str:
    named = [str(port) for port in sorted(found - {0, *CANARIES})]
    return " ".join([*named, *(["other"] if found & set(CANARIES) else [])])


def _verdict(job: Job) -> str:
    return job.expected.verdict if isinstance(job, Cell) else "closed"


def _cell_json(result: Result) -> dict[str, object]:
    job, measured = result.job, result.measured
    told: dict[str, object] = {
        "from": {"seat": job.source.seat, "name": job.source.name, "address": job.address},
        "to": {"seat": job.target.seat, "name": job.target.name},
        "asked": str(job.asked),
        "protocol": job.protocol if isinstance(job, Cell) else "tcp",
        "attack": job.attack,
        "expected": _verdict(job),
        "expected_by": expected(job),
        "status": result.status,
        "why": result.why,
    }
    if measured is not None:
        told["outcome"] = measured.outcome
        told["error"] = measured.error
        told["seen_as"] = list(measured.seen_as)
        told["decided_by"] = [f"{item.verdict} by {item} at {item.place}" for item in measured.decided]
        told["control"] = measured.control if isinstance(job, Cell) and job.expected.verdict != "allow" else ""
    return told


def wrong_lines(proof: Proof, most: int) -> Iterator[str]:
    """Wrong cells for a person, three lines each, at most so many."""
    found = wrong(proof)
    for result in found[:most]:
        yield f"{result.status.upper()}  {title(result.job)}"
        yield f"  expected: {expected(result.job)}"
        yield f"  found: {result.why}"
    if len(found) > most:
        yield f"and {len(found) - most} more: --output json tells all of them"
