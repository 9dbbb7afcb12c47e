"""Generated firewalls: policies, the facts of hosts, and flows, all over few names and addresses so that they meet.

Also odd ones on purpose: containers with one address twice, published ports on one address and on all, a VIP with an
address of its own, flows whose interface and address do not belong together.
"""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Literal

from hypothesis import strategies as st
from tests.strategies import desireds

from dockgate.firewall.evaluate import Flow, FlowProtocol, State
from dockgate.firewall.facts import Bridge, FarPlace, HostFacts, Place, Publication
from dockgate.model.desired import Desired
from dockgate.model.observed import Labels, Unknown
from dockgate.model.policy import (
    AddressesZone,
    ContainerZone,
    Firewall,
    HostZone,
    LabelZone,
    LanZone,
    NetworkZone,
    PortRange,
    Protocol,
    Rule,
    Verdict,
    VipZone,
    WorldZone,
    Zone,
)
from dockgate.model.source import Source

BRIDGES = (
    Bridge("bridge", "docker0", (ip_network("172.17.0.0/16"), ip_network("fd00:17::/64"))),
    Bridge("back", "br-back", (ip_network("10.20.0.0/24"), ip_network("fd00:20::/64"))),
    Bridge("blue", "br-blue", (ip_network("10.21.0.0/24"),)),
)
INTERFACES = ("", "", "lo", *("eth0", "docker0", "br-back") * 4, "eth1", "br-blue")
LAN = (ip_network("192.168.50.0/24"), ip_network("fd00:50::/64"))
PEERS = (ip_address("192.168.50.12"), ip_address("192.168.50.13"), ip_address("fd00:50::12"))
NAMES = ("web1", "web2", "web3", "lb-www", "lb-admin")
CROWD = tuple(f"one{number:02}" for number in range(12))
"""More than stands in lines: with them a rule set has maps."""
SETS = (
    AddressesZone("office", ("192.0.2.0/24", "2001:db8::/32")),
    AddressesZone("desk", ("192.0.2.7/32", "192.168.50.0/25", "2001:db8:1::/48")),
    AddressesZone("all", ("0.0.0.0/0",)),
)
_OUTSIDE = ("192.0.2.7", "192.0.2.8", "192.168.50.100", "192.168.50.200", "192.168.50.12", "198.51.100.1")
_OUTSIDE6 = ("2001:db8::1", "2001:db8:1::1", "fd00:50::12", "fd00:50::99", "2001:4860::1")
_HERE = (*("192.168.50.11", "192.168.50.150") * 4, "172.17.0.1", "127.0.0.1", "10.20.0.1")
_PORTS = (22, 53, 80, 443, 4789, 7946, 8000, 8080, 30000)


@st.composite
def desired_firewalls(draw: st.DrawFn) -> Desired:
    """A whole file with a firewall."""
    desired = draw(desireds())
    zones: list[Zone] = [HostZone(), LanZone(), WorldZone(), *SETS, *(NetworkZone(b.network) for b in BRIDGES)]
    zones += [ContainerZone(name) for name in (*NAMES, CROWD[0], CROWD[7])] + [
        LabelZone("tier", "front"),
        LabelZone("tier", "back"),
    ]
    vips = [
        VipZone(desired.project, vip.name, vip.address, tuple(listen.port for listen in vip.listens))
        for vip in desired.vips
    ]
    chance = random.Random(draw(st.integers(0, 2**32)))
    rules = tuple(_rule(number, zones, [*zones, *vips, *vips], chance) for number in range(chance.randint(0, 14)))
    default: Literal["deny", "off"] = draw(st.sampled_from(("deny", "deny", "deny", "off")))
    failsafe = draw(st.sampled_from([(22,), (), (22, 8080)]))
    return replace(desired, firewall=Firewall(default, True, failsafe, rules, Source("f", 99)))


def _rule(number: int, clients: list[Zone], servers: list[Zone], chance: random.Random) -> Rule:
    protocols: tuple[Protocol, ...] = ("tcp", "tcp", "udp", "icmp", "any")
    many = tuple((port, port) for port in (*_PORTS, 81, 82))
    ports: tuple[tuple[PortRange, ...], ...] = (
        (), ((80, 80),), ((80, 80), (443, 443)), ((1, 1024),), ((53, 8080),), many
    )  # fmt: skip
    verdicts: tuple[Verdict, ...] = ("allow", "allow", "reject", "drop")
    protocol = chance.choice(protocols)
    return Rule(
        f"rule {number}",
        chance.choice(clients),
        chance.choice(servers),
        chance.choice(verdicts),
        protocol,
        chance.choice(ports) if protocol in ("tcp", "udp") else (),
        chance.random() < 0.2,
        source=Source("f", 100 + number),
    )


@st.composite
def facts_of_hosts(draw: st.DrawFn, desired: Desired) -> HostFacts:
    """A host with containers here and there, published and not."""
    bridges = draw(st.sampled_from([BRIDGES, BRIDGES[:2], BRIDGES[:1]]))
    places = tuple(place for name in NAMES for place in draw(_places(name, bridges, desired)))
    places += _crowd(bridges[0]) if draw(st.booleans()) else ()
    publications = tuple(item for place in places for item in draw(_publications(place)))
    far = draw(st.lists(st.builds(FarPlace, st.sampled_from(NAMES), st.sampled_from([80, 8080]),
        st.sampled_from(PEERS), st.sampled_from([30000, 8080])), max_size=3))  # fmt: skip
    known = draw(st.booleans())
    return HostFacts(
        name="docker1",
        bridges=bridges,
        places=places,
        publications=publications,
        far=tuple(far),
        lan=LAN if draw(st.booleans()) else (),
        peers=PEERS if known else draw(st.sampled_from([(), Unknown("not read")])),
        swarm=draw(st.booleans()),
    )


@st.composite
def facts_of_overlays(draw: st.DrawFn, desired: Desired) -> HostFacts:
    """An overlay's namespace."""
    bridge = replace(BRIDGES[1], interface="br0")
    places = tuple(place for name in NAMES for place in draw(_places(name, (bridge,), desired)))
    return HostFacts("back", "overlay", (bridge,), places + (_crowd(bridge) if draw(st.booleans()) else ()))


def _crowd(bridge: Bridge) -> tuple[Place, ...]:
    """Many containers, ten of which the policy may tell apart from their network by one label."""
    return tuple(
        Place(
            name,
            bridge.network,
            tuple(net.network_address + 100 + number for net in bridge.subnets),
            (name,),
            Labels.of({"tier": "front" if number < 10 else "back"}),
        )
        for number, name in enumerate(CROWD)
    )


@st.composite
def _places(draw: st.DrawFn, name: str, bridges: tuple[Bridge, ...], desired: Desired) -> tuple[Place, ...]:
    on = draw(st.lists(st.sampled_from(bridges), unique=True, min_size=1, max_size=2))
    labels = {"tier": draw(st.sampled_from(["front", "back", "other"]))}
    if name.startswith("lb-"):
        labels |= {"dockgate.project": desired.project, "dockgate.kind": "lb", "dockgate.name": name[3:]}
    last = draw(st.sampled_from([NAMES.index(name) + 2, 9]))
    return tuple(
        Place(
            name,
            bridge.network,
            tuple(net.network_address + last for net in bridge.subnets),
            (name, draw(st.sampled_from(["web", "tasks.web"]))),
            Labels.of(labels),
        )
        for bridge in on
    )


@st.composite
def _publications(draw: st.DrawFn, place: Place) -> list[Publication]:
    made = []
    for port in draw(st.lists(st.sampled_from([80, 8000, 8080]), unique=True, max_size=2)):
        protocol: Literal["tcp", "udp"] = draw(st.sampled_from(("tcp", "tcp", "udp")))
        at = draw(st.sampled_from([None, None, "127.0.0.1", "192.168.50.11", "192.168.50.150"]))
        for address in place.addresses:
            family: Literal[4, 6] = 4 if address.version == 4 else 6
            asked = None if at is None or family == 6 else ip_address(at)
            host_port = port if place.container.startswith("lb-") else draw(st.sampled_from([port, 30000, 8080]))
            made.append(
                Publication(protocol, family, asked, host_port, place.container, place.network, address, port)
            )  # fmt: skip
    return made


def some_flows(facts: HostFacts, seed: int, count: int) -> list[Flow]:
    """Flows of every kind; the same for the same seed."""
    chance = random.Random(seed)
    interfaces = ("", "br0", "eth0", "br0") if facts.kind == "overlay" else INTERFACES
    return [_flow(facts, interfaces, chance) for _ in range(count)]


def _flow(facts: HostFacts, interfaces: tuple[str, ...], chance: random.Random) -> Flow:
    version = chance.choice((4, 4, 6))
    iif, oif = chance.choice(interfaces), chance.choice(interfaces)
    if not iif and not oif:
        iif = "eth0"
    protocols: tuple[FlowProtocol, ...] = ("tcp", "tcp", "tcp", "udp", "icmp", "gre")
    states: tuple[State, ...] = ("new",) * 17 + ("established", "related", "invalid")
    protocol = chance.choice(protocols)
    port = chance.choice(_PORTS) if protocol in ("tcp", "udp") else 0
    here = [ip_address(text) for text in (_HERE if version == 4 else (*("fd00:50::11",) * 4, "::1"))]
    flow = Flow(
        iif,
        oif,
        _address(facts, iif, version, chance),
        _address(facts, oif, version, chance) if oif else chance.choice(here),
        protocol,
        port,
        chance.choice(states),
        syn=chance.random() < 0.95,
        icmp_type=chance.choice((0, 0, 0, 134, 135)) if protocol == "icmp" else 0,
    )
    published = [item for item in facts.publications if item.family == version]
    if published and protocol in ("tcp", "udp") and chance.random() < 0.6:
        return _of_publication(flow, facts, chance.choice(published), here, chance)
    return flow


def _of_publication(
    flow: Flow,
    facts: HostFacts,
    item: Publication,
    here: list,
    chance: random.Random,  # type: ignore[type-arg]
) -> Flow:
    """To a published port: translated by Docker, or to its proxy."""
    asked = item.host_address if item.host_address and chance.random() < 0.8 else chance.choice(here)
    protocol = item.protocol if chance.random() < 0.9 else flow.protocol
    if not flow.oif:
        return replace(flow, protocol=protocol, destination=asked, port=item.host_port)
    interface = facts.interface(item.network) if chance.random() < 0.9 else flow.oif
    return replace(
        flow,
        protocol=protocol,
        oif=interface or flow.oif,
        destination=item.address,
        port=item.port if chance.random() < 0.9 else flow.port,
        asked=(asked, item.host_port if chance.random() < 0.9 else flow.port),
    )


def _address(facts: HostFacts, interface: str, version: int, chance: random.Random):  # type: ignore[no-untyped-def]
    """Mostly one that belongs behind that interface."""
    network = facts.network(interface)
    inside = [a for place in facts.places for a in place.addresses if a.version == version and place.network == network]
    outside = [ip_address(text) for text in (_OUTSIDE if version == 4 else _OUTSIDE6)]
    anywhere = [a for place in facts.places for a in place.addresses if a.version == version]
    loose = [net.network_address + 77 for bridge in facts.bridges for net in bridge.subnets if net.version == version]
    far = [item.address for item in facts.far if item.address.version == version]
    kind = chance.random()
    if kind < 0.85:
        return chance.choice(inside or [*outside, *outside, *far])
    return chance.choice([*anywhere, *outside, *loose, *far])
