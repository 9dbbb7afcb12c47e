"""Render: a rule set → the text that ``nft -f`` takes, which replaces the whole table at once.

``table; delete table; table {…}`` in one transaction: the first line makes the second one succeed on a host that has
no table yet, and no packet ever meets less than one whole rule set. Written for nft 1.0.6 and 1.1: no ``destroy``, no
``flags persist``, one statement a line. The same rule set gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network

from .ruleset import (
    Accept,
    Action,
    Chain,
    Drop,
    Field,
    Goto,
    InSet,
    Is,
    Jump,
    Key,
    Limit,
    Line,
    Log,
    Match,
    NamedMap,
    NamedSet,
    NoSyn,
    Reject,
    Ruleset,
    Span,
    Translated,
    Value,
    Vmap,
)

_FIELDS: dict[Field, str] = {
    "iifname": "iifname",
    "oifname": "oifname",
    "saddr4": "ip saddr",
    "saddr6": "ip6 saddr",
    "daddr4": "ip daddr",
    "daddr6": "ip6 daddr",
    "nfproto": "meta nfproto",
    "l4proto": "meta l4proto",
    "dport": "th dport",
    "orig_daddr4": "ct original ip daddr",
    "orig_daddr6": "ct original ip6 daddr",
    "orig_dport": "ct original proto-dst",
    "icmpv6_type": "icmpv6 type",
    "ct_state": "ct state",
}
_TYPES: dict[Field, str] = {
    "iifname": "ifname",
    "oifname": "ifname",
    "saddr4": "ipv4_addr",
    "saddr6": "ipv6_addr",
    "daddr4": "ipv4_addr",
    "daddr6": "ipv6_addr",
    "nfproto": "nf_proto",
    "l4proto": "inet_proto",
    "dport": "inet_service",
    "orig_daddr4": "ipv4_addr",
    "orig_daddr6": "ipv6_addr",
    "orig_dport": "inet_service",
    "icmpv6_type": "icmpv6_type",
    "ct_state": "ct_state",
}
_QUOTED: frozenset[Field] = frozenset({"iifname", "oifname"})
LONGEST_COMMENT = 120
_LONGEST_PREFIX = 120
_ODD = re.compile(r"[^A-Za-z0-9 _.,:;/@+=()<>*#'-]")


def render(ruleset: Ruleset) -> str:
    """One transaction."""
    table = f"table inet {ruleset.name}"
    lines = [*(f"# {safe(line)}" for line in ruleset.title), table, f"delete {table}", f"{table} {{"]
    blocks = [
        *(_set(item) for item in ruleset.sets),
        *(_map(item) for item in ruleset.maps),
        *(_chain(chain) for chain in ruleset.chains),
    ]
    for index, block in enumerate(blocks):
        lines += ([""] if index else []) + [f"\t{line}" for line in block]
    return "\n".join([*lines, "}", ""])


def safe(text: str, longest: int = 10_000) -> str:
    """Text that can stand in quotes or in a comment: nft knows no escape for a quote."""
    return _ODD.sub("_", text)[:longest]


def _set(item: NamedSet) -> list[str]:
    return _named(
        "set", item.name, _types(item.fields), [_key(item.fields, key) for key in item.elements], item.elements
    )


def _map(item: NamedMap) -> list[str]:
    texts = [f"{_key(item.fields, key)} : {_action(action)}" for key, action in item.elements]
    return _named("map", item.name, f"{_types(item.fields)} : verdict", texts, [key for key, _ in item.elements])


def _named(word: str, name: str, types: str, texts: list[str], keys: Iterable[Key]) -> list[str]:
    flags = ["\tflags interval"] if any(_is_interval(value) for key in keys for value in key) else []
    elements = []
    if texts:
        elements = ["\telements = {", *(f"\t\t{text}," for text in texts), "\t}"]
    return [f"{word} {name} {{", f"\ttype {types}", *flags, *elements, "}"]


def _is_interval(value: Value) -> bool:
    return isinstance(value, Span | IPv4Network | IPv6Network)


def _types(fields: tuple[Field, ...]) -> str:
    return " . ".join(_TYPES[field] for field in fields)


def _fields(fields: tuple[Field, ...]) -> str:
    return " . ".join(_FIELDS[field] for field in fields)


def _key(fields: tuple[Field, ...], key: Key) -> str:
    return " . ".join(_value(field, value) for field, value in zip(fields, key, strict=True))


def _value(field: Field, value: Value) -> str:
    if isinstance(value, Span):
        return f"{value.low}-{value.high}" if value.low != value.high else str(value.low)
    return f'"{value}"' if field in _QUOTED else str(value)


def _chain(chain: Chain) -> list[str]:
    note = [f"# {safe(chain.note)}"] if chain.note else []
    base = []
    if chain.base is not None:
        base = [f"\ttype {chain.base.type} hook {chain.base.hook} priority {chain.base.priority}; policy accept;"]
    return [
        *note,
        f"chain {chain.name} {{",
        *base,
        *(f"\t{text}" for line in chain.lines for text in _lines(line)),
        "}",
    ]


def _lines(line: Line) -> Iterator[str]:
    """A rejection is two rules: a reset for TCP, and a word for everything else."""
    matches = [_match(match) for match in line.matches]
    counter = ["counter"] if line.counter else []
    comment = [f'comment "{safe(line.comment, LONGEST_COMMENT)}"'] if line.comment else []
    if isinstance(line.action, Reject):
        yield " ".join([*matches, *counter, *comment])
        yield " ".join([*matches, "meta l4proto tcp reject with tcp reset"])
        yield " ".join([*matches, "reject with icmpx type admin-prohibited"])
        return
    yield " ".join([*matches, *counter, *_statement(line.action), *comment])


def _statement(action: Action | Vmap | Log | None) -> list[str]:
    match action:
        case None:
            return []
        case Log(prefix):
            return [f'log prefix "{safe(prefix, _LONGEST_PREFIX)}"']
        case Vmap(fields, name, elements):
            inside = ", ".join(f"{_key(fields, key)} : {_action(to)}" for key, to in elements)
            return [f"{_fields(fields)} vmap {f'@{name}' if name else f'{{ {inside} }}'}"]
    return [_action(action)]


def _action(action: Action) -> str:
    match action:
        case Accept():
            return "accept"
        case Drop():
            return "drop"
        case Jump(chain):
            return f"jump {chain}"
        case Goto(chain):
            return f"goto {chain}"
    raise ValueError(f"cannot stand in a map: {action!r}")


def _match(match: Match) -> str:
    match match:
        case Is(field, values, negated):
            texts = [_value(field, value) for value in values]
            if field == "ct_state":
                return f"ct state {'!= ' if negated else ''}{','.join(texts)}"
            wanted = texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"
            return f"{_FIELDS[field]} {'!= ' if negated else ''}{wanted}"
        case InSet(fields, name, negated):
            return f"{_fields(fields)} {'!= ' if negated else ''}@{name}"
        case Translated():
            return "ct status dnat"
        case NoSyn():
            return "tcp flags & (fin | syn | rst | ack) != syn"
        case Limit(per_second):
            return f"limit rate {per_second}/second"
