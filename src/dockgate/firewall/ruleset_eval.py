"""Ruleset evaluation: what a compiled rule set does with a packet, as the kernel would, by the tree alone.

Knows nothing of policies. Raises ``UnknownRule`` on anything it does not understand, on a chain that is not there and
on a packet that never ends, so that a new kind of rule cannot pass a test by being overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, TypeAlias

from .evaluate import Flow
from .facts import Address
from .ruleset import (
    Accept,
    Action,
    Chain,
    Drop,
    Field,
    Goto,
    Hook,
    InSet,
    Is,
    Jump,
    Key,
    Limit,
    Line,
    Log,
    Match,
    NoSyn,
    Reject,
    Ruleset,
    Span,
    Translated,
    Value,
    Vmap,
)

DEEPEST = 16
"""Jumps inside each other that the kernel allows."""

_Verdict: TypeAlias = Literal["accept", "drop", "reject"]


class UnknownRule(Exception):
    """A rule set says something that this evaluation does not know."""


@dataclass(frozen=True)
class Outcome:
    """``chain``: where it was decided, "" if nothing decided. ``comments``: counters that counted it, in order."""

    verdict: _Verdict
    chain: str = ""
    comments: tuple[str, ...] = ()


def run_flow(ruleset: Ruleset, flow: Flow) -> Outcome:
    """A flow's packet through every hook that it meets; a drop anywhere is the end."""
    return Machine(ruleset).run(flow)


class Machine:
    """A rule set with its sets and maps found by name; run many flows through one."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._chains = {chain.name: chain for chain in ruleset.chains}
        self._sets = {item.name: dict.fromkeys(item.elements) for item in ruleset.sets}
        self._maps = {item.name: dict(item.elements) for item in ruleset.maps}
        self._bases: dict[Hook, list[Chain]] = {"prerouting": [], "input": [], "forward": [], "output": []}
        for chain in ruleset.chains:
            if chain.base is not None and chain.base.type == "filter":
                self._bases[chain.base.hook].append(chain)
        for chains in self._bases.values():
            chains.sort(key=lambda chain: chain.base.priority if chain.base else 0)

    def run(self, flow: Flow) -> Outcome:
        decided = Outcome("accept")
        for hook in _hooks(flow):
            for chain in self._bases[hook]:
                walk = _Walk(self, hook, flow)
                verdict = walk.chain(chain, 0)
                decided = Outcome(verdict or "accept", walk.decided, (*decided.comments, *walk.comments))
                if decided.verdict != "accept":
                    return decided
        return decided

    def find(self, name: str) -> Chain:
        if name not in self._chains:
            raise UnknownRule(f"no chain {name}")
        return self._chains[name]

    def in_set(self, name: str, key: Key) -> bool:
        if name not in self._sets:
            raise UnknownRule(f"no set {name}")
        return _lookup(self._sets[name], key) is not _MISSING

    def in_map(self, vmap: Vmap, key: Key) -> Action | None:
        if vmap.name and vmap.name not in self._maps:
            raise UnknownRule(f"no map {vmap.name}")
        found = _lookup(self._maps[vmap.name] if vmap.name else dict(vmap.elements), key)
        if found is _MISSING:
            return None
        if not isinstance(found, Accept | Drop | Reject | Jump | Goto):
            raise UnknownRule(f"the map leads to {found!r}")
        return found


class _Walk:
    """One packet in one base chain."""

    def __init__(self, machine: Machine, hook: Hook, flow: Flow) -> None:
        self._machine = machine
        self._hook = hook
        self._flow = flow
        self.comments: list[str] = []
        self.decided = ""

    def chain(self, chain: Chain, depth: int) -> _Verdict | None:
        """None: the chain ended without a word."""
        if depth > DEEPEST:
            raise UnknownRule(f"more than {DEEPEST} jumps at {chain.name}")
        for line in chain.lines:
            if not all(self._matches(match) for match in line.matches):
                continue
            if line.counter:
                self.comments.append(line.comment)
            action = self._action(line)
            if isinstance(action, Jump):
                verdict = self.chain(self._machine.find(action.chain), depth + 1)
                if verdict is not None:
                    return verdict
            elif isinstance(action, Goto):
                return self.chain(self._machine.find(action.chain), depth + 1)
            elif action is not None:
                self.decided = chain.name
                return _end(action)
        return None

    def _action(self, line: Line) -> Action | None:
        if isinstance(line.action, Vmap):
            return self._machine.in_map(line.action, self._key(line.action.fields))
        if line.action is None or isinstance(line.action, Log):
            return None
        if isinstance(line.action, Accept | Drop | Reject | Jump | Goto):
            return line.action
        raise UnknownRule(f"no such action: {line.action!r}")

    def _matches(self, match: Match) -> bool:
        match match:
            case Is(field, values, negated):
                value = self._field(field)
                if value is None:
                    return False
                return any(_fits(value, wanted) for wanted in values) != negated
            case InSet(fields, name, negated):
                key = self._key(fields)
                if None in key:
                    return False
                return self._machine.in_set(name, key) != negated
            case Translated():
                return self._flow.asked is not None
            case NoSyn():
                return self._flow.protocol == "tcp" and not self._flow.syn
            case Limit():
                return True
        raise UnknownRule(f"no such match: {match!r}")

    def _key(self, fields: tuple[Field, ...]) -> tuple[Value, ...]:
        return tuple(self._field(field) for field in fields)  # type: ignore[misc]

    def _field(self, field: Field) -> Value | None:
        """None: the packet has no such field, and a rule that looks at it does not match."""
        flow, early = self._flow, self._hook == "prerouting"
        address, port = flow.wire if early else (flow.destination, flow.port)
        asked_address, asked_port = flow.wire
        match field:
            case "iifname":
                return flow.iif
            case "oifname":
                return "" if early else flow.oif
            case "saddr4" | "saddr6":
                return _of_family(flow.source, field)
            case "daddr4" | "daddr6":
                return _of_family(address, field)
            case "orig_daddr4" | "orig_daddr6":
                return _of_family(asked_address, field)
            case "orig_dport":
                return asked_port
            case "dport":
                return port if flow.protocol in ("tcp", "udp") else 0xFFFF
            case "l4proto":
                return "ipv6-icmp" if flow.protocol == "icmp" and flow.source.version == 6 else flow.protocol
            case "nfproto":
                return f"ipv{flow.source.version}"
            case "ct_state":
                return flow.state
            case "icmpv6_type":
                return (flow.icmp_type or 128) if flow.protocol == "icmp" and flow.source.version == 6 else None
        raise UnknownRule(f"no such field: {field}")


_MISSING = object()


def _hooks(flow: Flow) -> tuple[Hook, ...]:
    if not flow.iif:
        return ("output",)
    return ("prerouting", "forward" if flow.oif else "input")


def _end(action: Accept | Drop | Reject) -> _Verdict:
    match action:
        case Accept():
            return "accept"
        case Drop():
            return "drop"
    return "reject"


def _of_family(address: Address, field: Field) -> Address | None:
    return address if field.endswith(str(address.version)) else None


def _lookup(elements: dict[Key, Action] | dict[Key, None], key: Key) -> Action | object | None:
    """A hash look-up, else the spans and prefixes; two that match would be an error of the compiler."""
    if None in key:
        return _MISSING
    if key in elements:
        return elements[key]
    found = [
        element
        for element in elements
        if len(element) == len(key) and all(_fits(value, wanted) for value, wanted in zip(key, element, strict=True))
    ]
    if len(found) > 1:
        raise UnknownRule(f"elements overlap: {found!r}")
    return elements[found[0]] if found else _MISSING


def _fits(value: Value, wanted: Value) -> bool:
    if isinstance(wanted, Span):
        if isinstance(value, int) and isinstance(wanted.low, int) and isinstance(wanted.high, int):
            return wanted.low <= value <= wanted.high
        if isinstance(value, IPv4Address | IPv6Address) and type(value) is type(wanted.low):
            return int(wanted.low) <= int(value) <= int(wanted.high)
        return False
    if isinstance(wanted, IPv4Network | IPv6Network):
        return isinstance(value, IPv4Address | IPv6Address) and value in wanted
    return type(value) is type(wanted) and value == wanted
