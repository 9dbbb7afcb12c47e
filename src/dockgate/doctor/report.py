"""Findings as lines for a person and as JSON for a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from textwrap import wrap

from dockgate.doctor.model import Finding

MOST_NAMED = 6


def lines(findings: Sequence[Finding], width: int) -> list[tuple[str, bool]]:
    """Each line with whether it is a finding's first. Below that: the evidence, what else it explains, what to do."""
    told: list[tuple[str, bool]] = []
    for finding in findings:
        head = _wrapped(f"{finding.severity.upper():<8}", f"{finding.where}: {finding.what}", width)
        told += [(line, not number) for number, line in enumerate(head)]
        told += [(line, False) for line in _wrapped("  seen    ", finding.evidence, width)] if finding.evidence else []
        if finding.affects:
            told += [(line, False) for line in _wrapped("  so also ", _named(finding.affects), width)]
        told += [(line, False) for line in _wrapped("  do      ", finding.advice, width)] if finding.advice else []
    return told


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False) or [head]


def summary(findings: Sequence[Finding], hosts: int, seconds: float) -> str:
    took = f"({hosts} host{'s' * (hosts != 1)}, {seconds:.1f} s)"
    if not findings:
        return f"nothing is wrong {took}"
    return f"{len(findings)} finding{'s' * (len(findings) != 1)} {took}"


def as_json(findings: Sequence[Finding], hosts: int, seconds: float) -> dict[str, object]:
    return {
        "schema": "dockgate.doctor/1",
        "well": not findings,
        "hosts": hosts,
        "seconds": round(seconds, 3),
        "findings": [asdict(finding) for finding in findings],
    }
