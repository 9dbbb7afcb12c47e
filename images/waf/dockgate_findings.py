"""What ModSecurity says of a request, read for people: which rule, its message, the score, which part matched.

Must not: pass on anything that the request holds but the name of a part of it. ModSecurity's own line quotes values and
the address; of those nothing is kept. Invariant: for any text, reading gives a finding or None and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

JUDGES = frozenset({949110, 949111, 959100, 959101})
"""The rules that compare the score with the threshold and refuse."""
_POINTS = {"0": 5, "1": 5, "2": 5, "3": 4, "4": 3, "5": 2}
_REPORTS = range(980000, 981000)
_SHOWN_VALUE = 100
_WITH_NAME = ("ARGS", "ARGS_GET", "ARGS_POST", "REQUEST_HEADERS", "REQUEST_COOKIES", "TX")
_PLACE = re.compile(r' ?\[file "(?P<file>[^"]*)"\] \[line "(?P<line>\d+)"\] \[id "(?P<id>\d+)"\]')
_VALUE_ENDS = re.compile(r"(?: \(\d+ characters omitted\))?' \)(?= \[file \")")
_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_SCORE = re.compile(r"Score: (\d+)")


@dataclass(frozen=True)
class Finding:
    """``part``: e.g. ARGS:q, REQUEST_URI; "" where the rule matched nothing that has a name."""

    rule: int
    message: str
    part: str
    severity: str = ""


def read(text: str) -> Finding | None:
    """From one line of ModSecurity's log."""
    part, rest = _part(text)
    place = _PLACE.search(rest)
    if place is None:
        return None
    told = rest[place.end() :]
    message = _field(told, "msg")
    # The message comes before what was matched, the severity after it: the last one is not the request's.
    severity = re.findall(r'\[severity "(\d)"\]', told)
    return Finding(int(place["id"]), message, part, severity[-1] if severity else "")


def score(findings: Iterable[Finding]) -> int:
    """The rule set's own sum where it says one, else the sum of what the rules weigh."""
    listed = list(findings)
    said = [found for each in listed if each.rule in JUDGES for found in _SCORE.findall(each.message)]
    if said:
        return int(said[-1])
    return sum(_POINTS.get(each.severity, 0) for each in listed if each.rule not in _REPORTS)


def would_refuse(findings: Iterable[Finding]) -> bool:
    return any(each.rule in JUDGES for each in findings)


def _part(text: str) -> tuple[str, str]:
    """The matched part's name, and the text behind the value that ModSecurity quotes."""
    _, said, rest = text.partition("against variable `")
    if not said:
        return "", text
    name, _, rest = rest.partition("' (Value: `")
    ends = [each for each in _VALUE_ENDS.finditer(rest) if each.start() <= _SHOWN_VALUE]
    return _shown(name), rest[ends[-1].end() :] if ends else rest


def _shown(name: str) -> str:
    """A name in a request is the client's own words: only of parts that have one, and only a plain one."""
    part, _, own = name.partition(":")
    if not re.fullmatch(r"[A-Z_]{1,40}", part):
        return ""
    plain = _NAME.match(own)
    return f"{part}:{plain[0]}" if part in _WITH_NAME and plain else part


def _field(text: str, name: str) -> str:
    found = re.match(rf'(?: \[rev "[^"]*"\])? \[{name} "((?:[^"\\]|\\.)*)"\]', text)
    return "".join(char if char.isprintable() else "?" for char in found[1])[:160] if found else ""
