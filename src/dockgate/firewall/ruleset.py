"""Ruleset: one nftables table as a typed tree, with the few words that the compiler needs and no others.

Values are addresses, prefixes, ranges, interface names and numbers; nothing here is text that nft would parse.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, TypeAlias

Field: TypeAlias = Literal[
    "iifname",
    "oifname",
    "saddr4",
    "saddr6",
    "daddr4",
    "daddr6",
    "nfproto",
    "l4proto",
    "dport",
    "orig_daddr4",
    "orig_daddr6",
    "orig_dport",
    "icmpv6_type",
    "ct_state",
]


@dataclass(frozen=True)
class Span:
    """From ``low`` to ``high``, both included: ports or addresses of one family."""

    low: int | IPv4Address | IPv6Address
    high: int | IPv4Address | IPv6Address


Value: TypeAlias = str | int | IPv4Address | IPv6Address | IPv4Network | IPv6Network | Span
Key: TypeAlias = tuple[Value, ...]
"""One value for each field of a set or map."""


@dataclass(frozen=True)
class Accept:
    """Done with this hook of ours; others still decide."""


@dataclass(frozen=True)
class Drop:
    """Final."""


@dataclass(frozen=True)
class Reject:
    """Final, with an answer: a reset for TCP, ``administratively prohibited`` for everything else."""


@dataclass(frozen=True)
class Jump:
    """Come back if the chain does not decide."""

    chain: str


@dataclass(frozen=True)
class Goto:
    """Do not come back."""

    chain: str


Action: TypeAlias = Accept | Drop | Reject | Jump | Goto


@dataclass(frozen=True)
class Is:
    """A field has one of the values (``negated``: none of them)."""

    field: Field
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True)
class InSet:
    """The fields together are in a named set (``negated``: are not)."""

    fields: tuple[Field, ...]
    name: str
    negated: bool = False


@dataclass(frozen=True)
class Translated:
    """The connection's destination was translated (``ct status dnat``)."""


@dataclass(frozen=True)
class NoSyn:
    """TCP flags other than a plain SYN."""


@dataclass(frozen=True)
class Limit:
    """At most so many a second."""

    per_second: int


Match: TypeAlias = Is | InSet | Translated | NoSyn | Limit


@dataclass(frozen=True)
class Vmap:
    """Look the fields up in a named map, or in the elements given here, and do what stands there."""

    fields: tuple[Field, ...]
    name: str = ""
    elements: tuple[tuple[Key, Action], ...] = ()


@dataclass(frozen=True)
class Log:
    """A line in the kernel's log."""

    prefix: str


@dataclass(frozen=True)
class Line:
    """One rule: all matches, then a counter, then what is done. ``comment``: the rule of the policy that it is."""

    matches: tuple[Match, ...] = ()
    action: Action | Vmap | Log | None = None
    counter: bool = False
    comment: str = ""


@dataclass(frozen=True)
class NamedSet:
    name: str
    fields: tuple[Field, ...]
    elements: tuple[Key, ...]


@dataclass(frozen=True)
class NamedMap:
    """Key → action. Intervals where an element is a span or a prefix."""

    name: str
    fields: tuple[Field, ...]
    elements: tuple[tuple[Key, Action], ...]


Hook: TypeAlias = Literal["prerouting", "input", "forward", "output"]


@dataclass(frozen=True)
class Base:
    """Where the kernel enters a chain. Its policy is always accept."""

    hook: Hook
    priority: int
    type: Literal["filter", "nat"] = "filter"


@dataclass(frozen=True)
class Chain:
    """``note``: what it is for, in a comment of the text."""

    name: str
    lines: tuple[Line, ...]
    base: Base | None = None
    note: str = ""


@dataclass(frozen=True)
class Ruleset:
    """A whole table ``inet NAME``. ``title``: comment lines at the top of the text."""

    title: tuple[str, ...]
    sets: tuple[NamedSet, ...]
    maps: tuple[NamedMap, ...]
    chains: tuple[Chain, ...]
    name: str = "dockgate"

    def chain(self, name: str) -> Chain:
        return next(chain for chain in self.chains if chain.name == name)
