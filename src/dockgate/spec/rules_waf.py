"""Rules for values of a web application firewall."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from .rules import Rule, fault, text, whole
from .rules_http import SIZE_SCHEMA, read_size

RULE_IDS = Rule(
    "a rule's id", r"[1-9][0-9]{0,8}(-[1-9][0-9]{0,8})?", 'write it like 942100, or "942100-942199" for all between', 20
)
ARGUMENT = Rule("an argument's name", r"[A-Za-z0-9_.\[\]-]+", "use letters, digits and _ . - [ ]", 64)
MOST_BODY = 1 << 20
LEAST_BODY = 1 << 10


def _ids(value: object) -> str:
    """A single id may stand there as a number."""
    ids = RULE_IDS(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    first, _, last = ids.partition("-")
    if last and int(first) >= int(last):
        raise fault(f"must begin with the smaller id, not {ids}")
    return ids


def _body(value: object) -> int:
    size = read_size(value)
    if not LEAST_BODY <= size <= MOST_BODY:
        raise fault(f"must be between 1KB and 1MB, not {value}", "every connection may need twice as much memory")
    return size


_IDS_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999_999_999}, RULE_IDS.schema()]}
RuleIds: TypeAlias = Annotated[str, BeforeValidator(_ids), WithJsonSchema(_IDS_SCHEMA)]
Argument: TypeAlias = Annotated[str, *text(ARGUMENT)]
BodyLimit: TypeAlias = Annotated[int, BeforeValidator(_body), SIZE_SCHEMA]
Paranoia: TypeAlias = Annotated[int, *whole(1, 4)]
Threshold: TypeAlias = Annotated[int, *whole(1, 10_000)]
Processes: TypeAlias = Annotated[int, *whole(1, 64)]
