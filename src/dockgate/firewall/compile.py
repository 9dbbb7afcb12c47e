"""Compile: a policy at one place → its rule set. Who decides is looked up, never searched.

A packet meets a base chain, is told apart by its client (one look-up), then by its server (one), then by its port
(one), and ends in the chain of the rule that decides, which counts it and carries the rule's place in the file. That
is the same number of steps for ten rules and for ten thousand. Nothing here ever opens what somebody else closed:
``accept`` in a table of ours only means that we have no objection.

``r_N`` is rule N of the policy, ``p_*`` a choice by port, ``f_*`` and ``o_*`` by server, ``i_*`` and ``q_*`` for the
host and for ports behind Docker's proxy. Every rule that is asked before the ordinary ones is in ``_before``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses

from dockgate.model.observed import Unknown
from dockgate.model.policy import Kind, Policy, Rule

from .classes import Class, Classes, Told
from .derive import NEIGHBOUR_TYPES
from .facts import Address, HostFacts
from .ruleset import (
    Accept,
    Action,
    Base,
    Chain,
    Goto,
    InSet,
    Is,
    Jump,
    Key,
    Line,
    Match,
    NoSyn,
    Ruleset,
    Span,
    Translated,
    Value,
)
from .sockets import PUBLISHED, Sockets
from .tables import Tables, key_order, str_version
from .ways import ASKED, Ways

RAW_GUARDS = -310
FILTER = -10
OWN_NAT = -105
BRIDGES = "bridges"
_FROM_BRIDGE = InSet(("iifname",), BRIDGES)
_TO_BRIDGE = InSet(("oifname",), BRIDGES)
_TO_OUTSIDE = InSet(("oifname",), BRIDGES, negated=True)
_NOT_FROM = InSet(("iifname",), BRIDGES, negated=True)
_WHY_NAT = "empty, and never removed: a host that loses its last nat chain resets connections that were translated"
_NOT_LOOPBACK = Is("iifname", ("lo",), negated=True)


def compile_ruleset(policy: Policy, facts: HostFacts) -> Ruleset:
    """The whole table for one host, or for one overlay's namespace."""
    return _Compiler(policy, facts).ruleset()


class _Compiler:
    def __init__(self, policy: Policy, facts: HostFacts) -> None:
        self._policy = policy
        self._facts = facts
        self._classes = Classes(policy, facts)
        self._clients = self._classes.clients()
        self._servers = self._classes.servers()
        self._sockets = Sockets(self._classes, facts)
        self._ways = Ways(self._classes, facts)
        self._far = Told(((address, port), about) for address, port, about in self._classes.far())
        self._outside_of: dict[Address, Class] = {}
        self._tables = Tables(policy)

    def ruleset(self) -> Ruleset:
        self._tables.set(BRIDGES, ("iifname",), [(bridge.interface,) for bridge in self._facts.bridges])
        bases = [*self._host_bases()] if self._facts.kind == "host" else []
        bases += [self._forward(), Chain("c_nat", (), Base("prerouting", OWN_NAT, "nat"), _WHY_NAT)]
        where = "host" if self._facts.kind == "host" else "overlay network"
        title = (f"dockgate: the firewall of {where} {self._facts.name}", *(f"gap: {gap}" for gap in self._facts.gaps))
        return self._tables.ruleset(title, bases)

    def _host_bases(self) -> Iterable[Chain]:
        if self._policy.deny:
            yield self._raw()
            if self._facts.swarm and not isinstance(self._facts.peers, Unknown):
                yield self._peers(self._facts.peers)
        yield self._input()
        yield self._output()

    # Guards: before Docker's own at raw (-300), and before connection tracking's translation.

    def _raw(self) -> Chain:
        subnets = sorted({subnet for bridge in self._facts.bridges for subnet in bridge.subnets}, key=str)
        v4 = list(collapse_addresses(net for net in subnets if isinstance(net, IPv4Network)))
        v6 = list(collapse_addresses(net for net in subnets if isinstance(net, IPv6Network)))
        self._tables.set("subnets4", ("daddr4",), [(net,) for net in v4])
        self._tables.set("subnets6", ("daddr6",), [(net,) for net in v6])
        outside = (_NOT_FROM, _NOT_LOOPBACK)
        lines = [
            *self._decided("loopback", _NOT_LOOPBACK, Is("daddr4", (IPv4Network("127.0.0.0/8"),))),
            *self._decided("loopback", _NOT_LOOPBACK, Is("daddr6", (IPv6Network("::1/128"),))),
            *self._decided("direct", *outside, InSet(("daddr4",), "subnets4")),
            *self._decided("direct", *outside, InSet(("daddr6",), "subnets6")),
        ]
        if self._facts.swarm:
            lines += self._decided("forged", _FROM_BRIDGE, with_ports=True)
        return Chain("c_raw", tuple(lines), Base("prerouting", RAW_GUARDS), "guards, before Docker translates anything")

    def _peers(self, peers: tuple[Address, ...]) -> Chain:
        self._tables.set("peers4", ("saddr4",), [(address,) for address in peers if address.version == 4])
        self._tables.set("peers6", ("saddr6",), [(address,) for address in peers if address.version == 6])
        lines = [
            *self._decided("peers", _NOT_LOOPBACK, InSet(("saddr4",), "peers4", negated=True), with_ports=True),
            *self._decided("peers", _NOT_LOOPBACK, InSet(("saddr6",), "peers6", negated=True), with_ports=True),
        ]
        return Chain(
            "c_peers", tuple(lines), Base("input", RAW_GUARDS), "overlay traffic from the project's hosts only"
        )

    # Hooks: state first, then who, then to whom, then the default.

    def _forward(self) -> Chain:
        lines = [*self._before(), *self._strict(), *self._by_client("f", self._to_servers), *self._default()]
        self._tables.chain("c_judge_forward", lines)
        judge = Goto("c_judge_forward")
        lines = [Line((_FROM_BRIDGE,), judge), Line((_TO_BRIDGE,), judge)]
        return Chain(
            "c_forward",
            tuple(lines),
            Base("forward", FILTER),
            "what neither comes from nor goes to a container is not ours",
        )

    def _input(self) -> Chain:
        published = [*self._strict(), *self._by_client("q", self._to_published), *self._default()]
        self._tables.chain(
            "c_published", published, "ports behind Docker's proxy are judged as the container behind them"
        )
        lines = [
            Line((Is("iifname", ("lo",)),), Accept()),
            *self._before(),
            *self._decided("failsafe", _NOT_FROM, with_ports=True),
            *(Line((match,), Goto("c_published")) for match in self._published_sets()),
            *self._strict(_FROM_BRIDGE),
            *self._by_client("i", self._to_host),
            *self._default(_FROM_BRIDGE),
        ]
        return Chain("c_input", tuple(lines), Base("input", FILTER), "to the host itself")

    def _output(self) -> Chain:
        here = self._to_servers(self._clients.host, "o_host")
        lines = [
            Line((Is("oifname", ("lo",)),), Accept()),
            *self._before(),
            *self._strict(_TO_BRIDGE),
            *([Line(action=Jump(here))] if here else []),
            *self._default(_TO_BRIDGE),
        ]
        return Chain("c_output", tuple(lines), Base("output", FILTER), "from the host itself")

    def _before(self) -> list[Line]:
        return [
            *self._decided("established", Is("ct_state", ("established", "related"))),
            *self._decided("neighbour", Is("icmpv6_type", NEIGHBOUR_TYPES)),
        ]

    def _strict(self, *where: Match) -> list[Line]:
        new_tcp = (Is("l4proto", ("tcp",)), Is("ct_state", ("new",)), NoSyn())
        return [
            *self._decided("invalid", *where, Is("ct_state", ("invalid",))),
            *self._decided("syn", *where, *new_tcp),
        ]

    def _default(self, *where: Match) -> list[Line]:
        return self._decided("default", *where)

    # Clients.

    def _by_client(self, prefix: str, build: Callable[[Class, str], str | None]) -> list[Line]:
        """Look up who sent the packet, and go on in that class's own chain."""
        side = self._clients
        made: dict[Class, str | None] = {}
        classes = {*side.exact.classes(), *side.whole.classes(), side.world, *side.outside.classes()}
        for rules in sorted(classes):
            made[rules] = build(rules, f"{prefix}_{len(made)}") if rules else None

        def jumps(pairs: Iterable[tuple[Key, Class]]) -> list[tuple[Key, Action]]:
            return [(key, Jump(chain)) for key, rules in pairs if (chain := made[rules])]

        lines = self._tables.lookup_exact(f"{prefix}_from", ("iifname", "saddr4", "saddr6"), jumps(side.exact.pairs))
        lines += self._tables.lookup(f"{prefix}_from_net", ("iifname",), jumps(side.whole.pairs))
        lines += self._tables.lookup_outside(
            f"{prefix}_from_out", ("saddr4", "saddr6"), jumps(side.outside.pairs), _NOT_FROM
        )
        world = made[side.world]
        return [*lines, *([Line((_NOT_FROM,), Jump(world))] if world else [])]

    # Servers.

    def _to_servers(self, rules: Class, name: str) -> str | None:
        """The chain in which a class of clients looks up containers and the outside; None if no rule is about any."""
        side, among = self._servers, set(rules)

        def jumps(told: Told) -> list[tuple[Key, Action]]:
            found = ((key, self._tables.by_port(_both(about, among))) for key, about in told.among(rules))
            return [(key, Jump(chain)) for key, chain in found if chain]

        lines = self._lookup_vips(name, among)
        lines += self._tables.lookup_exact(f"{name}_to", ("oifname", "daddr4", "daddr6"), jumps(side.exact))
        lines += self._tables.lookup(f"{name}_to_net", ("oifname",), jumps(side.whole))
        lines += self._lookup_far(name, among)
        lines += self._tables.lookup_outside(f"{name}_to_out", ("daddr4", "daddr6"), jumps(side.outside), _TO_OUTSIDE)
        world = self._tables.by_port(_both(side.world, among))
        lines += [Line((_TO_OUTSIDE,), Jump(world))] if world else []
        return self._tables.chain(name, lines) if lines else None

    def _lookup_vips(self, name: str, among: set[int]) -> list[Line]:
        """By what the client asked for before Docker translated it, and by where it was led."""
        found: dict[str, dict[Key, Action]] = {kind: {} for kind in ASKED}
        for way in self._ways.among(among):
            ordinary = self._classes.first(_both(way.behind, among), "tcp", way.port)
            rule = self._classes.first(_both(way.about, among), "tcp", way.port)
            if rule is not None and rule != ordinary:
                found[way.kind][way.key] = self._tables.goto(rule)
        dnat = (Is("l4proto", ("tcp",)), Translated())
        return [
            line
            for kind, fields in ASKED.items()
            for line in self._tables.lookup(f"{name}_vip_{kind}", fields, list(found[kind].items()), *dnat)
        ]

    def _lookup_far(self, name: str, among: set[int]) -> list[Line]:
        found: dict[int, dict[Key, Action]] = {4: {}, 6: {}}
        for key, about in self._far.among(among):
            address, port = key
            assert isinstance(address, IPv4Address | IPv6Address)
            assert isinstance(port, int)
            outside = self._outside(address)
            rule = self._classes.first(sorted({*about, *outside} & among), "tcp", port)
            if rule is not None and rule != self._classes.first(_both(outside, among), "tcp", port):
                here = found[address.version].get(key)
                if not isinstance(here, Goto) or int(here.chain[2:]) > rule:
                    found[address.version][key] = self._tables.goto(rule)
        tcp = (_TO_OUTSIDE, Is("l4proto", ("tcp",)))
        return [
            *self._tables.lookup(f"{name}_far4", ("daddr4", "dport"), list(found[4].items()), *tcp),
            *self._tables.lookup(f"{name}_far6", ("daddr6", "dport"), list(found[6].items()), *tcp),
        ]

    def _outside(self, address: Address) -> Class:
        """The rules about an address outside."""
        if address not in self._outside_of:
            spans = ((key[0], rules) for key, rules in self._servers.outside.pairs)
            here = (rules for span, rules in spans if isinstance(span, Span) and _inside(address, span))
            self._outside_of[address] = next(here, self._servers.world)
        return self._outside_of[address]

    def _to_host(self, rules: Class, name: str) -> str | None:
        chosen = self._tables.by_port(_both(self._servers.host, set(rules)))
        return self._tables.chain(name, [Line(action=Jump(chosen))]) if chosen else None

    def _to_published(self, rules: Class, name: str) -> str | None:
        """Each published port by itself: which rule decides for the container behind it."""
        found = defaultdict[str, list[tuple[Key, Action]]](list)
        for socket, rule in self._sockets.among(rules):
            found[socket.kind].append((socket.key, self._tables.goto(rule)))
        lines = [
            line
            for kind, fields in PUBLISHED.items()
            for line in self._tables.lookup(f"{name}_pub_{kind}", fields, found[kind])
        ]
        return self._tables.chain(name, lines) if lines else None

    def _published_sets(self) -> list[Match]:
        made: list[Match] = []
        for kind, fields in PUBLISHED.items():
            keys = sorted((socket.key for socket in self._sockets.all() if socket.kind == kind), key=key_order)
            if keys:
                self._tables.set(f"published_{kind}", fields, keys)
                made.append(InSet(fields, f"published_{kind}"))
        return made

    def _decided(self, kind: Kind, *matches: Match, with_ports: bool = False) -> list[Line]:
        """Lines that lead to the chain of each rule of that kind; none if the policy has none."""
        return [
            Line((*matches, *(_packets(rule) if with_ports else ())), self._tables.goto(index))
            for index, rule in enumerate(self._policy.rules)
            if rule.kind == kind
        ]


def _packets(rule: Rule) -> tuple[Match, ...]:
    """The packets of a rule with a protocol and ports."""
    ports: tuple[Value, ...] = tuple(low if low == high else Span(low, high) for low, high in rule.ports)
    return Is("l4proto", (rule.protocol,)), Is("dport", ports)


def _both(about: Class, among: set[int]) -> Class:
    return tuple(index for index in about if index in among)


def _inside(address: Address, span: Span) -> bool:
    return str_version(span.low) == address.version and int(span.low) <= int(address) <= int(span.high)
