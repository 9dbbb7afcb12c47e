"""Classes: who is treated alike. Every endpoint of a host → the ordinary rules that are about it, as client and server.

Endpoints with the same rules are one class, so that the rule set grows with what the policy tells apart and not with
the number of containers. A class is a tuple of indices into the policy's rules, ascending: the order they are asked in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import pairwise
from typing import TypeAlias

from dockgate.model.observed import Unknown
from dockgate.model.policy import (
    AddressesZone,
    BalancerZone,
    ContainerZone,
    HostZone,
    LabelZone,
    LanZone,
    MemberZone,
    NetworkZone,
    PeersZone,
    Policy,
    PublishedZone,
    Rule,
    VipZone,
    WorldZone,
    Zone,
)

from .facts import Address, HostFacts, Place, Prefix
from .ruleset import Key, Span

Class: TypeAlias = tuple[int, ...]
At: TypeAlias = tuple[str, Address]
"""An interface and an address behind it."""

ALL_PORTS = (0, 65535)


class Told:
    """Keys, each with the rules that are about it; found again by any of these rules, without asking every key."""

    def __init__(self, pairs: Iterable[tuple[Key, Class]]) -> None:
        self.pairs = tuple(pairs)
        self._by_rule: dict[int, list[int]] = defaultdict(list)
        for position, (_, rules) in enumerate(self.pairs):
            for index in rules:
                self._by_rule[index].append(position)

    def classes(self) -> Iterator[Class]:
        return (rules for _, rules in self.pairs)

    def among(self, rules: Iterable[int]) -> Iterator[tuple[Key, Class]]:
        """Those that at least one of the rules is about, in their order."""
        found = {position for index in rules for position in self._by_rule.get(index, ())}
        return (self.pairs[position] for position in sorted(found))


@dataclass(frozen=True)
class Side:
    """One end of all flows. ``exact``: containers that differ from their network; ``whole``: each bridge by interface;
    ``outside``: addresses that differ from the world, as disjoint spans in order; ``host``, ``world``: the rest."""

    exact: Told
    whole: Told
    outside: Told
    world: Class
    host: Class


class Classes:
    """The ordinary rules of a policy, found by zone instead of one after another."""

    def __init__(self, policy: Policy, facts: HostFacts) -> None:
        self.rules = policy.rules
        self._facts = facts
        self._of_client: dict[Zone, list[int]] = defaultdict(list)
        self._of_server: dict[Zone, list[int]] = defaultdict(list)
        for index, rule in enumerate(policy.rules):
            if rule.kind == "rule":
                self._of_client[rule.client].append(index)
                self._of_server[rule.server].append(index)
        self._vips: dict[Zone, list[VipZone]] = defaultdict(list)
        for zone in self._of_server:
            if isinstance(zone, VipZone):
                self._vips[BalancerZone(zone.project, zone.name)].append(zone)
        self._zones_at = self._containers()

    def clients(self) -> Side:
        return self._side(self._of_client)

    def servers(self) -> Side:
        return self._side(self._of_server)

    def behind(self, network: str, address: Address) -> Class:
        """Rules whose server is the container with that address on that network."""
        return self._pick(self._of_server, self._zones_at.get((network, address), set()) | {NetworkZone(network)})

    def vips_behind(self, network: str, address: Address) -> Iterator[tuple[VipZone, Class]]:
        """VIPs whose load balancer is there, and the rules about each and about its container."""
        zones = self._zones_at.get((network, address), set()) | {NetworkZone(network)}
        vips = (vip for zone in zones if isinstance(zone, BalancerZone) for vip in self._vips.get(zone, ()))
        for vip in sorted(vips, key=lambda vip: self._of_server[vip]):
            yield vip, self._pick(self._of_server, zones | {vip})

    def far(self) -> Iterator[tuple[Address, int, Class]]:
        """Published places on other hosts that a rule names: address, port and the rules about just them."""
        for far in self._facts.far:
            zone: Zone = PublishedZone(far.container, far.port)
            if zone in self._of_server:
                yield far.address, far.host_port, tuple(self._of_server[zone])

    def first(self, among: Iterable[int], protocol: str, port: int) -> int | None:
        """The first of the rules that is about such packets."""
        return next((index for index in among if self.rules[index].covers(protocol, port)), None)

    def _containers(self) -> dict[tuple[str, Address], set[Zone]]:
        found: dict[tuple[str, Address], set[Zone]] = defaultdict(set)
        for place in self._facts.places:
            for address in place.addresses:
                found[place.network, address].update(zones_of(place))
        return found

    def _side(self, by_zone: dict[Zone, list[int]]) -> Side:
        whole = {bridge.interface: self._pick(by_zone, {NetworkZone(bridge.network)}) for bridge in self._facts.bridges}
        devices = {bridge.network: bridge.interface for bridge in reversed(self._facts.bridges)}
        exact: dict[At, Class] = {}
        for (network, address), zones in self._zones_at.items():
            if network in devices:
                rules = self._pick(by_zone, zones | {NetworkZone(network)})
                if rules != whole[devices[network]]:
                    exact[devices[network], address] = rules
        world = self._pick(by_zone, {WorldZone()})
        outside = tuple(
            (span, rules)
            for span, zones in _partition(self._prefixes(by_zone))
            if (rules := self._pick(by_zone, {*zones, WorldZone()})) != world
        )
        return Side(
            Told(exact.items()),
            Told(((interface,), rules) for interface, rules in whole.items()),
            Told(((span,), rules) for span, rules in _joined(outside)),
            world,
            self._pick(by_zone, {HostZone()}),
        )

    def _pick(self, by_zone: dict[Zone, list[int]], zones: set[Zone]) -> Class:
        return tuple(sorted({index for zone in zones if zone in by_zone for index in by_zone[zone]}))

    def _prefixes(self, by_zone: dict[Zone, list[int]]) -> Iterator[tuple[Zone, Prefix]]:
        peers = self._facts.peers
        for zone in by_zone:
            match zone:
                case LanZone():
                    yield from ((zone, prefix) for prefix in self._facts.lan)
                case PeersZone() if not isinstance(peers, Unknown):
                    yield from ((zone, ip_network(address)) for address in peers)
                case AddressesZone(prefixes=prefixes):
                    yield from ((zone, ip_network(prefix)) for prefix in prefixes)


def port_cells(rules: tuple[Rule, ...], among: Class, protocol: str) -> Iterator[tuple[int, int, int | None]]:
    """All ports as spans, each with the first rule that is about them."""
    opened: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for index in (index for index in among if rules[index].protocol in ("any", protocol)):
        for low, high in rules[index].ports or (ALL_PORTS,):
            opened[low].append((index, high))
    ends = {high + 1 for spans in opened.values() for _, high in spans if high < ALL_PORTS[1]}
    starts = sorted({0, *opened, *ends})
    asked: list[tuple[int, int]] = []
    for low, after in zip(starts, [*starts[1:], ALL_PORTS[1] + 1], strict=True):
        for span in opened.get(low, ()):
            heappush(asked, span)
        while asked and asked[0][1] < low:
            heappop(asked)
        yield low, after - 1, asked[0][0] if asked else None


def zones_of(place: Place) -> Iterator[Zone]:
    """Every zone that could be about a container there."""
    yield ContainerZone(place.container)
    yield from (LabelZone(key, value) for key, value in place.labels.pairs)
    yield from (MemberZone(place.network, name) for name in place.names)
    if place.labels.get("dockgate.kind") == "lb":
        yield BalancerZone(place.labels.get("dockgate.project") or "", place.labels.get("dockgate.name") or "")


def _partition(prefixes: Iterator[tuple[Zone, Prefix]]) -> Iterator[tuple[Span, frozenset[Zone]]]:
    """Overlapping prefixes → disjoint spans, each with all zones that hold it."""
    edges: dict[int, dict[int, list[tuple[Zone, int]]]] = {4: defaultdict(list), 6: defaultdict(list)}
    for zone, prefix in prefixes:
        edges[prefix.version][int(prefix.network_address)].append((zone, 1))
        edges[prefix.version][int(prefix.broadcast_address) + 1].append((zone, -1))
    for version, changes in edges.items():
        open_now: Counter[Zone] = Counter()
        starts = sorted(changes)
        for start, after in pairwise(starts):
            for zone, change in changes[start]:
                open_now[zone] += change
                if not open_now[zone]:
                    del open_now[zone]
            if open_now:
                yield Span(_address(version, start), _address(version, after - 1)), frozenset(open_now)


def _address(version: int, number: int) -> Address:
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def _joined(pieces: tuple[tuple[Span, Class], ...]) -> tuple[tuple[Span, Class], ...]:
    """Neighbours with the same rules become one."""
    made: list[tuple[Span, Class]] = []
    for span, rules in pieces:
        last = made[-1] if made else None
        if last and last[1] == rules and _follows(last[0], span):
            made[-1] = (Span(last[0].low, span.high), rules)
        else:
            made.append((span, rules))
    return tuple(made)


def _follows(before: Span, after: Span) -> bool:
    high, low = ip_address(str(before.high)), ip_address(str(after.low))
    return high.version == low.version and int(high) + 1 == int(low)
