"""Forwarding: what Docker's own rules would do, for engines that run with ``iptables: false``. As values.

Published ports lead to containers, containers leave behind the host's address, networks are apart from each other,
internal ones have no way out, and nobody outside reaches what is not published. It stands beside the policy and opens
nothing that the policy closes. Must not: be made for a host whose engine has rules of its own; see ``engine``.
Pure; ``forwarding_text`` writes it down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import ObservedHost, ObservedNetwork, Unknown

from .facts import Bridge, HostFacts, Publication, bridges_of

DEFAULT_BRIDGE = "bridge"


@dataclass(frozen=True)
class Side:
    """A Docker network of the host, and what was asked for when it was made."""

    bridge: Bridge
    internal: bool = False
    icc: bool = True
    masquerade: bool = True


@dataclass(frozen=True)
class Forwarding:
    """``ports``: each published port once. ``proxy``: whether Docker's proxy answers what comes from the container's
    own network and from the loopback; without it these are translated as well."""

    sides: tuple[Side, ...]
    ports: tuple[Publication, ...]
    proxy: bool = True

    def interface(self, network: str) -> str:
        return next(side.bridge.interface for side in self.sides if side.bridge.network == network)


def forwarding_of(host: ObservedHost, facts: HostFacts) -> Forwarding:
    rules = host.engine_rules
    sides = tuple(_side(network, bridge, rules) for network, bridge in bridges_of(host))
    proxy = not isinstance(rules, EngineRules) or rules.proxy is not False
    return Forwarding(sides, tuple(_ports(sides, facts, proxy=proxy)), proxy)


def forwarding_gaps(host: ObservedHost, facts: HostFacts) -> Iterator[str]:
    """What cannot be had on this host, in sentences."""
    rules = host.engine_rules
    if isinstance(rules, Unknown) or not facts.bridges:
        return
    two = any(subnet.version == 6 for bridge in facts.bridges for subnet in bridge.subnets)
    if two and not rules.forwarding6:
        yield (
            f"IPv6 forwarding is off on {host.name}: nobody reaches containers by IPv6 from outside, nor they the"
            " outside; switch it on there: sysctl -w net.ipv6.conf.all.forwarding=1"
        )
    apart = [side for side in forwarding_of(host, facts).sides if not side.icc]
    if apart and facts.bridge_filter is False:
        names = ", ".join(side.bridge.network for side in apart)
        yield f"containers of {names} on {host.name} are not kept apart (icc off): br_netfilter is off there"


def _side(network: ObservedNetwork, bridge: Bridge, rules: EngineRules | Unknown) -> Side:
    """An engine that writes no rules lists its default bridge as one without masquerading, whatever it was told."""
    masquerade = network.masquerade
    if network.name == DEFAULT_BRIDGE and isinstance(rules, EngineRules):
        masquerade = rules.masquerade is not False
    return Side(bridge, network.internal, network.icc, masquerade and not network.internal)


def _ports(sides: tuple[Side, ...], facts: HostFacts, *, proxy: bool) -> Iterator[Publication]:
    """A container on several networks is reached by the first that leads outside, in the order of their names: that is
    where Docker puts its default route. What is published on the loopback is left to the proxy where there is one."""
    outward = sorted(side.bridge.network for side in sides if not side.internal)
    found: dict[tuple[object, ...], Publication] = {}
    for network in outward:
        for item in facts.publications:
            local = item.host_address is not None and item.host_address.is_loopback
            if item.network == network and not (local and (proxy or item.family == 6)):
                found.setdefault((item.protocol, item.family, item.host_address, item.host_port), item)
    yield from sorted(found.values(), key=_order)


def _order(item: Publication) -> tuple[int, str, str, int]:
    return item.family, item.protocol, str(item.host_address or ""), item.host_port
