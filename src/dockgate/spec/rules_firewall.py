"""Rules for the firewall's values: prefixes of both families, ports, and the words that zones are written with."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from dockgate.model.policy import PortRange

from .problems import quote
from .rules import Rule, describe, fault, text

ZONE = Rule(
    "a zone",
    r"[A-Za-z0-9][A-Za-z0-9_.-]*(:[A-Za-z0-9_./-]+(=[A-Za-z0-9_./:@+-]*)?)?",
    "write host, lan, world, a network, a set of 'zones', network:NAME, container:NAME, label:KEY=VALUE or vip:NAME",
    200,
)
MOST_PORTS = 1000

_PREFIX_FIX = "write it like 192.0.2.0/24 or 2001:db8::/32"
_PORT_FIX = 'write 80, [80, 443] or "8000-8100"'


def _prefix(value: object) -> str:
    if not isinstance(value, str) or len(value) > 60 or "%" in value:
        raise fault(f"must be an address or a prefix, not {describe(value)}", _PREFIX_FIX)
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise fault(f"must be an address or a prefix, not {quote(value)}", _prefix_hint(value)) from None


def _prefix_hint(value: str) -> str:
    try:
        return f"did you mean {ipaddress.ip_network(value, strict=False)}?"
    except ValueError:
        return _PREFIX_FIX


def ports(value: object) -> tuple[PortRange, ...]:
    """One port, several, or ranges of them, as disjoint ranges in order."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise fault("must not be empty", "leave it out for all ports")
    if len(items) > MOST_PORTS:
        raise fault(f"has {len(items)} entries, more than {MOST_PORTS}", 'write ranges: "8000-8100"')
    return merged([_port_range(item) for item in items])


def merged(ranges: list[PortRange]) -> tuple[PortRange, ...]:
    """Ranges that touch or overlap become one."""
    made: list[PortRange] = []
    for low, high in sorted(ranges):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return tuple(made)


def _port_range(value: object) -> PortRange:
    if isinstance(value, int) and not isinstance(value, bool):
        low = high = value
    else:
        match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", value) if isinstance(value, str) else None
        if not match:
            raise fault(f"must be a port or a range of ports, not {describe(value)}", _PORT_FIX)
        low, high = int(match[1]), int(match[2])
    if not 1 <= low <= 65535 or not 1 <= high <= 65535:
        raise fault(f"must be between 1 and 65535, not {describe(value)}")
    if low > high:
        raise fault(f"ends before it begins ({quote(str(value))})", f'write "{high}-{low}"')
    return low, high


_ONE_PORT: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 1, "maximum": 65535},
    {"type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,5}$"},
]

ZoneText: TypeAlias = Annotated[str, *text(ZONE)]
Prefix: TypeAlias = Annotated[str, BeforeValidator(_prefix), WithJsonSchema({"type": "string", "maxLength": 60})]
Ports: TypeAlias = Annotated[
    tuple[PortRange, ...],
    BeforeValidator(ports),
    WithJsonSchema({"anyOf": [*_ONE_PORT, {"type": "array", "minItems": 1, "items": {"anyOf": _ONE_PORT}}]}),
]
