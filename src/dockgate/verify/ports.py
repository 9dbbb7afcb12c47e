"""Ports: what is asked of a target: each port that a rule names for it or that it listens on, and one nobody uses.

The last one is the canary: it shows that what no rule is about is closed. Of a range both ends are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockgate.firewall.evaluate import holds
from dockgate.firewall.facts import Place as ContainerPlace
from dockgate.model.observed import VXLAN_PORT
from dockgate.model.policy import HostZone, NetworkZone, Policy, Rule, VipZone, Zone

from .model import Protocol
from .scene import Listener, Member

CANARIES = (59_999, 59_998, 59_997, 59_996)
API_PORT = 2375
CLIENT_PORTS = range(32_768, 61_000)
MOST = 12
"""Ports of a target at most, the ones that rules name first."""


def member_ports(policy: Policy, member: Member) -> tuple[tuple[Protocol, int], ...]:
    """Of a container on a network. Also the ports that it may ask others for: a swapped direction would open them."""
    names = next((a.aliases for a in member.container.attachments if a.network == member.network), ())
    place = ContainerPlace(
        member.container.name,
        member.network,
        member.addresses,
        (member.container.name, *names),
        member.container.labels,
    )
    own = {port.container_port for port in member.container.published}
    rules = [rule for rule in policy.rules if _about(rule.server, place) or _about(rule.client, place)]
    listening = [item for item in member.listening if _reachable(item)]
    return tuple(_asked(rules, listening, own))


def host_ports(policy: Policy) -> tuple[tuple[Protocol, int], ...]:
    """Of a host, asked by containers: also the port of a Docker API without TLS."""
    rules = [rule for rule in policy.rules if isinstance(rule.server, HostZone) and rule.kind == "rule"]
    return tuple(_asked(rules, (), {API_PORT}))


def outside_ports(policy: Policy) -> tuple[tuple[Protocol, int], ...]:
    """Of the outside, asked by containers; the port of overlay networks is how they would forge their frames."""
    inside = (HostZone, VipZone, NetworkZone)
    rules = [rule for rule in policy.rules if rule.kind == "rule" and not isinstance(rule.server, inside)]
    outside = [rule for rule in rules if str(rule.server).partition(":")[0] not in ("container", "label")]
    forged = next((first for rule in policy.of("forged") for first, _ in rule.ports), VXLAN_PORT)
    return (*_asked(outside, (), set()), ("udp", forged))


def _reachable(item: Listener) -> bool:
    """Not on the loopback; and not a UDP port that the kernel gave to a client, which is another one tomorrow."""
    if item.address in ("127.0.0.11", "127.0.0.1", "::1"):
        return False
    return item.protocol == "tcp" or item.port not in CLIENT_PORTS


def _about(zone: Zone, place: ContainerPlace) -> bool:
    return zone == NetworkZone(place.network) or holds(zone, place)


def _asked(rules: Iterable[Rule], listening: Iterable[Listener], more: set[int]) -> Iterator[tuple[Protocol, int]]:
    yield "icmp", 0
    rules = tuple(rules)
    for protocol in ("tcp", "udp"):
        named = {
            port for rule in rules if rule.protocol in ("any", protocol) for span in rule.ports for port in span if port
        }
        heard = {item.port for item in listening if item.protocol == protocol}
        extra = more if protocol == "tcp" else set()
        chosen = [*sorted(named), *sorted((heard | extra) - named)][:MOST]
        yield from (("tcp" if protocol == "tcp" else "udp", port) for port in chosen)
        yield "tcp" if protocol == "tcp" else "udp", canary(rules, protocol, {*named, *heard, *extra})


def canary(rules: Iterable[Rule], protocol: str, taken: set[int]) -> int:
    """A port that no range of a rule holds and nobody listens on; the last one if rules are about all of them."""
    ranges = [span for rule in rules if rule.protocol in ("any", protocol) for span in rule.ports]
    free = (p for p in CANARIES if p not in taken and not any(low <= p <= high for low, high in ranges))
    return next(free, CANARIES[-1])
