"""iptables: the same policy as iptables and ip6tables commands, for people who think in them. To read, not to run.

One chain for each pair of a place that packets come from and one that they go to (a bridge, the outside, the host), so
that the order of the rules is kept; linear, as iptables is. What is allowed returns to the chain that was there before:
an ACCEPT would open what Docker's own rules close. dockgate itself only ever uses the nftables rule set.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Literal, TypeAlias

from dockgate.model.observed import Unknown
from dockgate.model.policy import (
    AddressesZone,
    BalancerZone,
    HostZone,
    Kind,
    LanZone,
    NetworkZone,
    PeersZone,
    Policy,
    PublishedZone,
    Rule,
    VipZone,
    WorldZone,
    Zone,
)

from .classes import zones_of
from .derive import NEIGHBOUR_TYPES
from .facts import Address, HostFacts, Place, Prefix, Publication
from .render import safe
from .sockets import asked_address
from .tables import comment_of

Family: TypeAlias = Literal[4, 6]
_TARGETS = {"allow": "RETURN", "reject": "REJECT", "drop": "DROP"}
_OUTSIDE = ""


def render_iptables(policy: Policy, facts: HostFacts) -> str:
    """All commands, IPv4 first. The gaps of the facts are comments at the top."""
    where = "host" if facts.kind == "host" else "overlay network"
    lines = [f"# dockgate: the firewall of {where} {facts.name}, as iptables commands (equivalent, to read)"]
    lines += [f"# gap: {safe(gap)}" for gap in facts.gaps]
    families: tuple[Family, ...] = (4, 6)
    for family in families:
        lines += ["", f"# IPv{family}", *_Writer(policy, facts, family).lines()]
    return "\n".join([*lines, ""])


class _Writer:
    def __init__(self, policy: Policy, facts: HostFacts, family: Family) -> None:
        self._policy = policy
        self._facts = facts
        self._family: Family = family
        self._command = "iptables" if family == 4 else "ip6tables"
        self._places, self._published = _by_zone(facts, family)
        self._sides = [*(bridge.interface for bridge in facts.bridges), _OUTSIDE]

    def lines(self) -> Iterator[str]:
        if self._facts.kind == "host":
            if self._policy.deny:
                yield from self._guards()
            yield from self._hook("INPUT", self._sides, ["host"])
            yield from self._hook("OUTPUT", ["host"], self._sides)
        yield from self._hook("FORWARD", self._sides, self._sides)

    def _guards(self) -> Iterator[str]:
        yield self._say("-t raw -N DG-RAW")
        yield self._say("-t raw -I PREROUTING -j DG-RAW")
        loopback = "127.0.0.0/8" if self._family == 4 else "::1/128"
        for rule in self._policy.of("loopback"):
            yield self._say(f"-t raw -A DG-RAW ! -i lo -d {loopback} {self._end(rule)}")
        for rule in self._policy.of("forged") if self._facts.swarm else ():
            for bridge in self._facts.bridges:
                yield self._say(f"-t raw -A DG-RAW -i {bridge.interface} {_packets(rule)} {self._end(rule)}")
        for interface in ("lo", *(bridge.interface for bridge in self._facts.bridges)):
            yield self._say(f"-t raw -A DG-RAW -i {interface} -j RETURN")
        for rule in self._policy.of("direct"):
            for subnet in (net for bridge in self._facts.bridges for net in bridge.subnets):
                if subnet.version == self._family:
                    yield self._say(f"-t raw -A DG-RAW -d {subnet} {self._end(rule)}")

    def _hook(self, hook: str, clients: list[str], servers: list[str]) -> Iterator[str]:
        main = f"DG-{hook}"
        yield self._say(f"-N {main}")
        yield self._say(f"-I {hook} -j {main}")
        loopback = {"INPUT": "-i lo", "OUTPUT": "-o lo"}.get(hook)
        if loopback:
            yield self._say(f"-A {main} {loopback} -j RETURN")
        if hook == "INPUT":
            yield from self._peers(main)
        yield from self._before(main)
        for number, client in enumerate(clients):
            for index, server in enumerate(servers):
                if client == _OUTSIDE and server == _OUTSIDE:
                    continue
                chain = f"{main}-{number}-{index}"
                yield self._say(f"-N {chain}")
                ways = [f"-i {client}"] if client not in ("host", _OUTSIDE) else []
                ways += [f"-o {server}"] if server not in ("host", _OUTSIDE) else []
                yield self._say(" ".join([f"-A {main}", *ways, f"-g {chain}"]))
                yield from (self._say(f"-A {chain} {text}") for text in self._pair(client, server))

    def _peers(self, chain: str) -> Iterator[str]:
        peers = self._facts.peers
        if isinstance(peers, Unknown) or not self._facts.swarm:
            return
        for rule in self._policy.of("peers"):
            for peer in (peer for peer in peers if peer.version == self._family):
                yield self._say(f"-A {chain} -s {peer} {_packets(rule)} -j RETURN")
            yield self._say(f"-A {chain} {_packets(rule)} {self._end(rule)}")

    def _before(self, chain: str) -> Iterator[str]:
        for rule in self._policy.of("established"):
            yield self._say(f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED {self._end(rule)}")
        for rule in self._policy.of("neighbour") if self._family == 6 else ():
            for number in NEIGHBOUR_TYPES:
                yield self._say(f"-A {chain} -p ipv6-icmp --icmpv6-type {number} {self._end(rule)}")

    def _pair(self, client: str, server: str) -> Iterator[str]:
        """What is asked of packets from one side to another, in the policy's order."""
        closed = client not in ("host", _OUTSIDE) or server not in ("host", _OUTSIDE)
        if client == _OUTSIDE and server == "host":
            yield from (f"{_packets(rule)} {self._end(rule)}" for rule in self._policy.of("failsafe"))
        if closed:
            yield from self._strict()
        rules = self._policy.of("rule")
        if server == "host":
            yield from (text for rule in rules for text in self._proxied(rule, client))
            yield from self._proxied_default(client)
        for rule in rules:
            for source in self._from(rule.client, client):
                for target in self._to(rule, server):
                    yield from self._decide(rule, " ".join(part for part in (source, target) if part))
        if closed:
            yield from (self._end(rule) for rule in self._policy.of("default"))

    def _strict(self) -> Iterator[str]:
        kinds: tuple[tuple[Kind, str], ...] = (
            ("invalid", "-m conntrack --ctstate INVALID"),
            ("syn", "-p tcp -m conntrack --ctstate NEW ! --syn"),
        )
        for kind, text in kinds:
            yield from (f"{text} {self._end(rule)}" for rule in self._policy.of(kind))

    def _from(self, zone: Zone, side: str) -> Iterator[str]:
        """How ``zone`` is recognised among what comes from a side; nothing if it is not there."""
        if side == "host":
            yield from [""] if isinstance(zone, HostZone) else []
        elif side == _OUTSIDE:
            yield from self._outside(zone, "-s")
        else:
            yield from self._inside(zone, side, "-s")

    def _to(self, rule: Rule, side: str) -> Iterator[str]:
        packets = _packets(rule, self._family)
        if side == "host":
            yield from [packets] if isinstance(rule.server, HostZone) else []
        elif side == _OUTSIDE:
            yield from (f"{text} {packets}".strip() for text in self._outside(rule.server, "-d"))
        elif isinstance(rule.server, VipZone):
            yield from self._vip(rule, rule.server, side)
        else:
            yield from (f"{text} {packets}".strip() for text in self._inside(rule.server, side, "-d"))

    def _outside(self, zone: Zone, flag: str) -> Iterator[str]:
        if isinstance(zone, WorldZone):
            yield ""
        elif isinstance(zone, PublishedZone) and flag == "-d":
            for far in self._facts.far:
                if (far.container, far.port) == (zone.container, zone.port) and far.address.version == self._family:
                    yield f"-d {far.address} -p tcp --dport {far.host_port}"
        yield from (f"{flag} {prefix}" for prefix in self._prefixes(zone) if prefix.version == self._family)

    def _prefixes(self, zone: Zone) -> list[Prefix]:
        match zone:
            case LanZone():
                return list(self._facts.lan)
            case PeersZone() if not isinstance(self._facts.peers, Unknown):
                return [ip_network(address) for address in self._facts.peers]
            case AddressesZone(prefixes=prefixes):
                return [ip_network(prefix) for prefix in prefixes]
        return []

    def _inside(self, zone: Zone, interface: str, flag: str) -> Iterator[str]:
        network = self._facts.network(interface)
        if network is not None and zone == NetworkZone(network):
            yield ""
        for place in self._places.get(zone, ()):
            if place.network == network:
                yield from (f"{flag} {address}" for address in place.addresses if address.version == self._family)

    def _vips(self, zone: VipZone) -> Iterator[tuple[Publication, str]]:
        """Publications that are the VIP, and the address at which they are, "" for every one."""
        for item in self._published.get(BalancerZone(zone.project, zone.name), ()):
            asked = asked_address(item, zone)
            if asked is not False:
                yield item, "" if asked is None else str(asked)

    def _vip(self, rule: Rule, zone: VipZone, interface: str) -> Iterator[str]:
        for item, asked in self._vips(zone):
            if self._facts.interface(item.network) == interface and rule.covers("tcp", item.port):
                address = f" --ctorigdst {asked}" if asked else ""
                original = f"-m conntrack --ctstate DNAT{address} --ctorigdstport {item.host_port}"
                yield f"-d {item.address} -p tcp --dport {item.port} {original}"

    def _proxied(self, rule: Rule, client: str) -> Iterator[str]:
        """Ports behind Docker's proxy are judged as the container behind them."""
        found: list[tuple[Publication, str]] = []
        if isinstance(rule.server, VipZone):
            found = list(self._vips(rule.server))
        else:
            for item in self._published.get(rule.server, ()):
                found.append((item, "" if item.host_address is None else str(item.host_address)))
        for item, asked in found:
            if rule.covers(item.protocol, item.port):
                address = f"-d {asked} " if asked else ""
                for source in self._from(rule.client, client):
                    text = f"{source} {address}-p {item.protocol} --dport {item.host_port}".strip()
                    yield from self._decide(rule, text)

    def _proxied_default(self, client: str) -> Iterator[str]:
        """A published port is nobody's but its container's: what no rule allowed ends here."""
        defaults = self._policy.of("default")
        for item in self._facts.publications:
            if item.family == self._family:
                address = f"-d {item.host_address} " if item.host_address else ""
                match = f"{address}-p {item.protocol} --dport {item.host_port}"
                if self._policy.deny:
                    yield from (f"{match} {self._end(rule)}" for rule in defaults)
                else:
                    yield f"{match} -j RETURN"

    def _decide(self, rule: Rule, match: str) -> Iterator[str]:
        if rule.log:
            prefix = safe(f"dockgate {rule.verdict} {rule.name}", 27)
            yield f'{match} -m limit --limit 10/second -j LOG --log-prefix "{prefix}: "'.strip()
        if rule.verdict == "reject" and rule.protocol in ("tcp", "any"):
            tcp = match if "-p tcp" in match else f"{match} -p tcp".strip()
            yield f"{tcp} {self._end(rule)} --reject-with tcp-reset"
        if rule.verdict != "reject" or "-p tcp" not in match:
            yield f"{match} {self._end(rule)}".strip()

    def _end(self, rule: Rule) -> str:
        return f'-m comment --comment "{safe(comment_of(rule), 120)}" -j {_TARGETS[rule.verdict]}'

    def _say(self, text: str) -> str:
        return f"{self._command} {text}"


def _by_zone(facts: HostFacts, family: Family) -> tuple[dict[Zone, list[Place]], dict[Zone, list[Publication]]]:
    """The containers in each zone, and the published ports of that family behind which they are."""
    places: dict[Zone, list[Place]] = {}
    at: dict[tuple[str, Address], set[Zone]] = {}
    for place in facts.places:
        zones = set(zones_of(place))
        for zone in zones:
            places.setdefault(zone, []).append(place)
        for address in place.addresses:
            at.setdefault((place.network, address), set()).update(zones)
    published: dict[Zone, list[Publication]] = {}
    for item in facts.publications:
        if item.family == family:
            for zone in {NetworkZone(item.network), *at.get((item.network, item.address), ())}:
                published.setdefault(zone, []).append(item)
    return places, published


def _packets(rule: Rule, family: Family = 4) -> str:
    """Protocol and ports. Fifteen ports fit into one command; ranges count twice."""
    if rule.protocol == "any":
        return ""
    if rule.protocol == "icmp":
        return "-p icmp" if family == 4 else "-p ipv6-icmp"
    ports = [str(low) if low == high else f"{low}:{high}" for low, high in rule.ports]
    if not ports:
        return f"-p {rule.protocol}"
    if len(ports) == 1:
        return f"-p {rule.protocol} --dport {ports[0]}"
    return f"-p {rule.protocol} -m multiport --dports {','.join(ports)}"
