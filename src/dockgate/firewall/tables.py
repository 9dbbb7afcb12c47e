"""Tables: the sets, maps and chains of a rule set while it is made, and the chains in which rules decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from dockgate.model.policy import Policy, Rule

from .classes import ALL_PORTS, Class, port_cells
from .ruleset import (
    Accept,
    Action,
    Chain,
    Drop,
    Field,
    Goto,
    Is,
    Key,
    Limit,
    Line,
    Log,
    Match,
    NamedMap,
    NamedSet,
    Reject,
    Ruleset,
    Span,
    Value,
    Vmap,
)

LOGS_PER_SECOND = 10
FEW = 8
"""Up to so many elements are lines and no map. For every set or map that it takes, the kernel walks through all others
of the table and of the transaction: 10,000 small ones take 20 to 45 s, as many chains and lines less than two."""
_VERDICTS: dict[str, Action] = {"allow": Accept(), "reject": Reject(), "drop": Drop()}


def comment_of(rule: Rule) -> str:
    """``dockgate.yaml:34 name``: what a counter or a trace shows of a rule."""
    return f"{rule.source.file}:{rule.source.line} {rule.name}"


def key_order(key: Key) -> tuple[tuple[int, int, str], ...]:
    """Numbers and addresses by their value, names by their letters."""
    return tuple(_order(value) for value in key)


def str_version(value: Value) -> int:
    """The family of an address or of a span of addresses; 0 for anything else."""
    if isinstance(value, Span):
        return str_version(value.low)
    if isinstance(value, IPv4Address | IPv4Network):
        return 4
    return 6 if isinstance(value, IPv6Address | IPv6Network) else 0


class Tables:
    """Names are given once; a map that would be empty or small is not made. So their number stays far below that of
    the rules, and a packet meets at most ``FEW`` lines in the place of each."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sets: list[NamedSet] = []
        self._maps: list[NamedMap] = []
        self._chains: dict[str, Chain] = {}
        self._rules: set[int] = set()
        self._ports: dict[Class, str] = {}

    def ruleset(self, title: tuple[str, ...], bases: Iterable[Chain]) -> Ruleset:
        decided = tuple(self._rule_chain(index) for index in sorted(self._rules))
        return Ruleset(title, tuple(self._sets), tuple(self._maps), (*decided, *self._chains.values(), *bases))

    def by_port(self, among: Class) -> str | None:
        """The chain that chooses among these rules by protocol and port; the same for everybody who needs the same."""
        if not among:
            return None
        if among not in self._ports:
            self._ports[among] = f"p_{len(self._ports)}"
            self.chain(self._ports[among], self._port_lines(among))
        return self._ports[among]

    def _port_lines(self, among: Class) -> list[Line]:
        rules = self._policy.rules
        rest = next((index for index in among if rules[index].protocol == "any"), None)
        by_port: list[tuple[Key, Action]] = []
        for protocol in ("tcp", "udp"):
            for low, high, rule in _merged(port_cells(rules, among, protocol)):
                if rule is not None and rule != rest:
                    by_port.append(((protocol, low if low == high else Span(low, high)), self.goto(rule)))
        icmp = next((index for index in among if rules[index].covers("icmp", 0)), None)
        by_protocol: list[tuple[Key, Action]] = []
        if icmp is not None and icmp != rest:
            by_protocol = [((name,), self.goto(icmp)) for name in ("icmp", "ipv6-icmp")]
        lines = _choice(("l4proto", "dport"), by_port) + _choice(("l4proto",), by_protocol)
        return [*lines, *([Line(action=self.goto(rest))] if rest is not None else [])]

    def goto(self, index: int) -> Goto:
        self._rules.add(index)
        return Goto(f"r_{index}")

    def _rule_chain(self, index: int) -> Chain:
        rule = self._policy.rules[index]
        comment = comment_of(rule)
        log = [Line((Limit(LOGS_PER_SECOND),), Log(f"dockgate {rule.verdict} {rule.name}: "))] if rule.log else []
        return Chain(f"r_{index}", (*log, Line((), _VERDICTS[rule.verdict], counter=True, comment=comment)))

    def chain(self, name: str, lines: list[Line], note: str = "") -> str:
        self._chains[name] = Chain(name, tuple(lines), note=note)
        return name

    def set(self, name: str, fields: tuple[Field, ...], elements: list[Key]) -> None:
        self._sets.append(NamedSet(name, fields, tuple(elements)))

    def lookup(
        self, name: str, fields: tuple[Field, ...], elements: list[tuple[Key, Action]], *matches: Match
    ) -> list[Line]:
        """A map and the line that asks it; where there is little to ask, a line for each element."""
        ordered = sorted(elements, key=lambda pair: key_order(pair[0]))
        if len(ordered) <= FEW:
            return [_line(fields, key, action, matches) for key, action in ordered]
        self._maps.append(NamedMap(name, fields, tuple(ordered)))
        return [Line(matches, Vmap(fields, name))]

    def lookup_exact(
        self, name: str, fields: tuple[Field, Field, Field], elements: list[tuple[Key, Action]]
    ) -> list[Line]:
        interface, v4, v6 = fields
        return [
            *self.lookup(f"{name}4", (interface, v4), [pair for pair in elements if str_version(pair[0][1]) == 4]),
            *self.lookup(f"{name}6", (interface, v6), [pair for pair in elements if str_version(pair[0][1]) == 6]),
        ]

    def lookup_outside(
        self, name: str, fields: tuple[Field, Field], elements: list[tuple[Key, Action]], where: Match
    ) -> list[Line]:
        v4 = [pair for pair in elements if str_version(pair[0][0]) == 4]
        v6 = [pair for pair in elements if str_version(pair[0][0]) == 6]
        return [
            *self.lookup(f"{name}4", fields[:1], v4, where),
            *self.lookup(f"{name}6", fields[1:], v6, where),
        ]


def _choice(fields: tuple[Field, ...], elements: list[tuple[Key, Action]]) -> list[Line]:
    """The same within a chain, with no map to be named."""
    if len(elements) <= FEW:
        return [_line(fields, key, action) for key, action in elements]
    return [Line(action=Vmap(fields, elements=tuple(elements)))]


def _line(fields: tuple[Field, ...], key: Key, action: Action, matches: tuple[Match, ...] = ()) -> Line:
    """One element as a line. A span of all ports is no question."""
    asked = [Is(field, (value,)) for field, value in zip(fields, key, strict=True) if value != Span(*ALL_PORTS)]
    return Line((*matches, *asked), action)


def _merged(cells: Iterable[tuple[int, int, int | None]]) -> Iterator[tuple[int, int, int | None]]:
    """Neighbouring ports with the same rule become one span."""
    held: tuple[int, int, int | None] | None = None
    for low, high, rule in cells:
        if held is not None and held[2] == rule:
            held = (held[0], high, rule)
            continue
        if held is not None:
            yield held
        held = (low, high, rule)
    if held is not None:
        yield held


def _order(value: Value) -> tuple[int, int, str]:
    if isinstance(value, Span):
        return _order(value.low)
    if isinstance(value, IPv4Network | IPv6Network):
        return _order(value.network_address)
    return (0, 0, value) if isinstance(value, str) else (str_version(value), int(value), "")
