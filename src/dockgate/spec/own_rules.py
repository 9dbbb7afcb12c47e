"""Rules of the user's own, looked at before any host is asked: what is plainly wrong, with its line.

Not the engine's own reading: that judges the whole set before it is used. Must not: refuse what the engine would take,
but for what has no place in a file of rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_DIRECTIVES = {
    "SecRule": 2,
    "SecAction": 1,
    "SecMarker": 1,
    "SecDefaultAction": 1,
    "SecRuleRemoveById": 1,
    "SecRuleRemoveByTag": 1,
    "SecRuleRemoveByMsg": 1,
    "SecRuleUpdateTargetById": 2,
    "SecRuleUpdateTargetByTag": 2,
    "SecRuleUpdateTargetByMsg": 2,
    "SecRuleUpdateActionById": 2,
}
"""What a file of rules may hold, and how many words each needs."""
_OPERATORS = frozenset(
    [
        "beginswith",
        "contains",
        "containsword",
        "detectsqli",
        "detectxss",
        "endswith",
        "eq",
        "fuzzyhash",
        "ge",
        "geolookup",
        "gt",
        "inspectfile",
        "ipmatch",
        "ipmatchf",
        "ipmatchfromfile",
        "le",
        "lt",
        "nomatch",
        "pm",
        "pmf",
        "pmfromfile",
        "rbl",
        "rsub",
        "rx",
        "rxglobal",
        "streq",
        "strmatch",
        "unconditionalmatch",
        "validatebyterange",
        "validatedtd",
        "validatehash",
        "validateschema",
        "validateurlencoding",
        "validateutf8encoding",
        "verifycc",
        "verifycpf",
        "verifyssn",
        "verifysvnr",
        "within",
    ]
)
"""Any other the engine takes for a regular expression, and a broken one for one that never matches, without a word."""
_UNBALANCED = ("missing ), unterminated subpattern", "unterminated character set", "unbalanced parenthesis")
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_ID = re.compile(r"""(?:^|[\s,"])id:'?(\d+)""")
_TAKEN = (range(200_000, 201_000), range(900_000, 1_000_000))


def faults(text: str) -> Iterator[tuple[int, str]]:
    """Line, from 1, and what is wrong there."""
    seen: dict[str, int] = {}
    chained = False
    for number, line in _joined(text):
        wrong = _fault(line)
        if wrong:
            yield number, wrong
        elif line.split()[0] in ("SecRule", "SecAction"):
            found = _ID.search(line)
            if found is None and not chained:
                yield number, "the rule has no id"
            elif found is not None:
                yield from _number(number, found[1], seen)
            chained = bool(re.search(r"[\s,\"]chain[\s,\"]", line))


def _number(line: int, rule: str, seen: dict[str, int]) -> Iterator[tuple[int, str]]:
    if rule in seen:
        yield line, f"the id {rule} is that of the rule in line {seen[rule]}"
    elif any(int(rule) in taken for taken in _TAKEN):
        yield line, f"the id {rule} belongs to the rule set; use one from 1 to 99999"
    seen.setdefault(rule, line)


def _fault(line: str) -> str:
    directive = line.split()[0]
    if directive not in _DIRECTIVES:
        known = ", ".join(_DIRECTIVES)
        return f"{directive[:40]!r} has no place in a file of rules, which may hold {known}"
    rest = line[len(directive) :]
    if re.sub(r'"(?:[^"\\]|\\.)*"', "", rest).count('"'):
        return "a quote is opened and never closed"
    words = _WORD.findall(rest)
    if len(words) < _DIRECTIVES[directive]:
        return f"{directive} needs more than this"
    return _operator_fault(words[1].strip('"')) if directive == "SecRule" else ""


def _operator_fault(text: str) -> str:
    name, _, argument = text.removeprefix("!").partition(" ")
    if name.startswith("@") and name[1:].lower() not in _OPERATORS:
        return f"there is no operator {name[:40]}"
    if name.lower() not in ("@rx", "@rxglobal"):
        argument = "" if name.startswith("@") else text.removeprefix("!")
    try:
        re.compile("" if "\\Q" in argument else argument.replace('\\"', '"'))
    except re.error as error:
        # Much that PCRE knows is an error here; what is not closed is one for both.
        return f"the expression is broken: {error.msg}" if error.msg in _UNBALANCED else ""
    return ""


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them, each with the number of its first; without comments."""
    begun, parts = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not parts and (not line.strip() or line.lstrip().startswith("#")):
            continue
        begun = begun if parts else number
        if line.rstrip().endswith("\\"):
            parts += line.rstrip()[:-1] + " "
            continue
        yield begun, (parts + line).strip()
        parts = ""
    if parts.strip():
        yield begun, parts.strip()
