"""A host with any number of exposed services, as values: what the firewall's cost is measured on.

Each service is a container of its own with a port published by Docker, of both families, and a rule of the file that
lets everybody outside ask for it: no two are alike, so nothing can be put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from dockgate.firewall import HostFacts
from dockgate.firewall.facts import Bridge, Place, Publication
from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Pool, Vip
from dockgate.model.observed import Labels
from dockgate.model.policy import ContainerZone, Firewall, Rule, WorldZone
from dockgate.model.source import Source

BRIDGE = "docker0"
OWN, OWN6 = ip_address("172.20.0.1"), ip_address("fd00:20::1")
PORT = 8000
FIRST_HOST_PORT = 20_000
_FIRST, _FIRST6 = int(ip_address("172.20.1.0")), int(ip_address("fd00:20::100"))


def desired(services: int) -> Desired:
    """One host, default deny, and a rule for each service."""
    rules = tuple(
        Rule(
            f"everybody to {name(number)}", WorldZone(), ContainerZone(name(number)), "allow", "tcp", ((PORT, PORT),),
            source=Source("dockgate.yaml", 100 + number),
        )
        for number in range(services)
    )  # fmt: skip
    firewall = Firewall("deny", True, (22,), rules, Source("dockgate.yaml", 90))
    return Desired("scale", (Host("docker1", "unix:///run/docker.sock", "192.168.50.11"),), firewall=firewall)


def facts(services: int) -> HostFacts:
    """What is known of the host."""
    places = tuple(Place(name(n), "bridge", addresses(n), (name(n),)) for n in range(services))
    bridge = Bridge("bridge", BRIDGE, (ip_network("172.20.0.0/16"), ip_network("fd00:20::/64")))
    published = tuple(item for number, place in enumerate(places) for item in _published(number, place))
    return HostFacts("docker1", "host", (bridge,), places, published, peers=(ip_address("192.168.50.12"),), swarm=True)


def name(number: int) -> str:
    return f"service{number:05}"


def addresses(number: int) -> tuple[IPv4Address, IPv6Address]:
    """Of a service's container."""
    return IPv4Address(_FIRST + number), IPv6Address(_FIRST6 + number)


def _published(number: int, place: Place) -> Iterator[Publication]:
    v4, v6 = addresses(number)
    yield Publication("tcp", 4, None, FIRST_HOST_PORT + number, place.container, "bridge", v4, PORT)
    yield Publication("tcp", 6, None, FIRST_HOST_PORT + number, place.container, "bridge", v6, PORT)


def balanced(vips: int) -> tuple[Desired, HostFacts]:
    """So many VIPs instead, each with a load balancer and a pool of two containers of its own on the same bridge."""
    numbers = range(vips)
    pools = tuple(
        Pool(f"pool{n:05}", ByName((Member(name(2 * n)), Member(name(2 * n + 1)))), PORT, network="bridge")
        for n in numbers
    )
    listens = tuple(Listen(FIRST_HOST_PORT + n, pool=f"pool{n:05}") for n in numbers)
    made = Desired(
        "scale",
        (Host("docker1", "unix:///run/docker.sock", "192.168.50.11"),),
        pools=pools,
        vips=tuple(Vip(f"vip{n:05}", ("docker1",), (listens[n],)) for n in numbers),
        firewall=Firewall("deny", True, (22,), (), Source("dockgate.yaml", 90)),
    )
    return made, _with_balancers(facts(3 * vips), vips)


def _with_balancers(found: HostFacts, vips: int) -> HostFacts:
    """Of three containers for each VIP the last third are the load balancers, and only they are published."""
    seats, places = found.places[2 * vips :], found.places[: 2 * vips]
    balancers = tuple(replace(seat, labels=_labels(f"vip{n:05}")) for n, seat in enumerate(seats))
    published = tuple(
        replace(item, host_port=FIRST_HOST_PORT + n, port=FIRST_HOST_PORT + n)
        for n, seat in enumerate(seats)
        for item in _published(2 * vips + n, seat)
    )
    return replace(found, places=(*places, *balancers), publications=published)


def _labels(vip: str) -> Labels:
    return Labels.of({"dockgate.project": "scale", "dockgate.kind": "lb", "dockgate.name": vip})
