"""Derive: the file's firewall and everything that VIPs and pools need → the whole policy, in the order it is asked.

The order is the meaning: guards that no rule can open, then state, then the operator's own way in, then the file's
rules, then what VIPs and pools need, then the default. So a rule of the file can close what a VIP would open, and
nothing in the file can let a forged packet in or lock the operator out. With ``default: off`` only the file's own
rules and what protects the operator remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from dockgate.model.desired import ByLabel, ByName, ByService, Desired, Endpoints, Pool, Published, Vip
from dockgate.model.observed import VXLAN_PORT
from dockgate.model.policy import (
    AddressesZone,
    AnyZone,
    BalancerZone,
    ContainersZone,
    ContainerZone,
    Firewall,
    HostZone,
    Kind,
    LabelZone,
    MemberZone,
    PeersZone,
    Policy,
    PortRange,
    Protocol,
    PublishedZone,
    Rule,
    Verdict,
    VipZone,
    WorldZone,
    Zone,
)
from dockgate.model.source import Source

GOSSIP_PORT = 7946
NEIGHBOUR_TYPES = (2, 130, 131, 132, 133, 135, 136, 143)
"""ICMPv6: packet too big, multicast listeners, router solicitation, neighbour solicitation and advertisement. Not
router advertisements and redirects: no container has a reason to send them, and either moves others' traffic."""


def complete(desired: Desired, *, vxlan_port: int = VXLAN_PORT) -> Policy:
    """The policy of a file; one without ``firewall`` has the policy that changes nothing. ``vxlan_port``: the UDP port
    of the Swarm's overlay networks."""
    firewall = desired.firewall or Firewall()
    if firewall.default == "off":
        state = _state(firewall, deny=False)
        return Policy(firewall, (*state, *_peers_allowed(firewall, vxlan_port), *firewall.rules))
    rules = (
        *_guards(firewall, vxlan_port),
        *_state(firewall, deny=True),
        *_peers_allowed(firewall, vxlan_port),
        *firewall.rules,
        *needs(desired),
        _derived(
            "default deny",
            (AnyZone(), ContainersZone()),
            "whatever no rule allows, to, from and between containers",
            source=firewall.source,
            verdict="drop",
            kind="default",
        ),
    )
    return Policy(firewall, rules)


def needs(desired: Desired) -> Iterator[Rule]:
    """What VIPs and pools need, VIP by VIP."""
    pools = {pool.name: pool for pool in desired.pools}
    for vip in desired.vips:
        yield from _vip_needs(desired.project, vip)
        for name in vip.pools():
            yield from _pool_needs(desired, vip, pools[name])


def _derived(
    name: str,
    ends: tuple[Zone, Zone],
    reason: str,
    *,
    source: Source,
    verdict: Verdict = "allow",
    protocol: Protocol = "any",
    ports: tuple[PortRange, ...] = (),
    kind: Kind = "rule",
) -> Rule:
    return Rule(
        name, *ends, verdict, protocol, ports, kind=kind, origin="derived", reason=reason, source=source
    )  # fmt: skip


def _peer_ports(vxlan_port: int) -> tuple[tuple[str, Protocol, int], ...]:
    return (
        ("overlay traffic (VXLAN)", "udp", vxlan_port),
        ("Swarm gossip over tcp", "tcp", GOSSIP_PORT),
        ("Swarm gossip over udp", "udp", GOSSIP_PORT),
    )


def _guards(firewall: Firewall, vxlan_port: int) -> Iterator[Rule]:
    source = firewall.source
    yield _derived(
        "no loopback from outside",
        (AnyZone(), HostZone()),
        "a port published on 127.0.0.1 would answer a neighbour's crafted packet",
        source=source,
        verdict="drop",
        kind="loopback",
    )
    yield _derived(
        "no direct way to containers",
        (WorldZone(), ContainersZone()),
        "a neighbour with a route to container addresses would pass by every published port",
        source=source,
        verdict="drop",
        kind="direct",
    )
    yield _derived(
        "no VXLAN out of containers",
        (ContainersZone(), AnyZone()),
        "masqueraded behind this host, a container's forged overlay frame would come from a trusted address",
        source=source,
        verdict="drop",
        protocol="udp",
        ports=((vxlan_port, vxlan_port),),
        kind="forged",
    )
    for name, protocol, port in _peer_ports(vxlan_port):
        yield _derived(
            f"no {name} from strangers",
            (AnyZone(), HostZone()),
            "the kernel takes overlay frames from anyone; only the project's hosts may send them",
            source=source,
            verdict="drop",
            protocol=protocol,
            ports=((port, port),),
            kind="peers",
        )


def _state(firewall: Firewall, *, deny: bool) -> Iterator[Rule]:
    source = firewall.source
    yield _derived(
        "established traffic",
        (AnyZone(), AnyZone()),
        "answers to what was allowed, in either direction",
        source=source,
        kind="established",
    )
    yield _derived(
        "IPv6 neighbours",
        (AnyZone(), AnyZone()),
        "IPv6 does not work without neighbour discovery, listener reports and packet-too-big",
        source=source,
        protocol="icmp",
        kind="neighbour",
    )
    if firewall.failsafe:
        yield _derived(
            "failsafe",
            (WorldZone(), HostZone()),
            "the operator's own way to the hosts is never cut",
            source=source,
            protocol="tcp",
            ports=tuple((port, port) for port in firewall.failsafe),
            kind="failsafe",
        )
    if not deny:
        return
    yield _derived(
        "packets of no connection",
        (AnyZone(), ContainersZone()),
        "connection tracking cannot place them",
        source=source,
        verdict="drop",
        kind="invalid",
    )
    yield _derived(
        "TCP that does not begin with SYN",
        (AnyZone(), ContainersZone()),
        "otherwise a connection that was cut is picked up again from its middle",
        source=source,
        verdict="drop",
        protocol="tcp",
        kind="syn",
    )
    yield _derived(
        "Docker's DNS",
        (ContainersZone(), ContainersZone()),
        "127.0.0.11 answers inside each container's own namespace, where nothing is filtered",
        source=source,
        kind="dns",
    )


def _peers_allowed(firewall: Firewall, vxlan_port: int) -> Iterator[Rule]:
    for name, protocol, port in _peer_ports(vxlan_port):
        yield _derived(
            f"{name} between the hosts",
            (PeersZone(), HostZone()),
            "overlay networks are made of it",
            source=firewall.source,
            protocol=protocol,
            ports=((port, port),),
        )


def _vip_needs(project: str, vip: Vip) -> Iterator[Rule]:
    numbers = tuple(sorted(listen.port for listen in vip.listens))
    ports = tuple((port, port) for port in numbers)
    yield _derived(
        f"clients of {vip.name}",
        (WorldZone(), VipZone(project, vip.name, vip.address, numbers)),
        f"VIP {vip.name} is there for them",
        source=vip.source,
        protocol="tcp",
        ports=ports,
    )
    yield _derived(
        f"host to {vip.name}",
        (HostZone(), BalancerZone(project, vip.name)),
        "its host's own requests, and Docker's proxy, which asks from the host",
        source=vip.source,
        protocol="tcp",
        ports=ports,
    )


def _pool_needs(desired: Desired, vip: Vip, pool: Pool) -> Iterator[Rule]:
    balancer = BalancerZone(desired.project, vip.name)
    checks = ", its checks too" if pool.check else ""
    reason = f"VIP {vip.name} sends requests to pool {pool.name}{checks}"

    def need(name: str, ends: tuple[Zone, Zone], port: int, source: Source, why: str = reason) -> Rule:
        ports = ((port, port),) if port else ()
        return _derived(f"{vip.name} to {name}", ends, why, source=source, protocol="tcp", ports=ports)

    match pool.membership:
        case ByName(members):
            for member in members:
                place = MemberZone(pool.network or "", member.name)
                yield need(f"{member.name} ({pool.name})", (balancer, place), pool.port, member.source)
        case ByService(service):
            place = MemberZone(pool.network or "", service)
            yield need(f"service {service} ({pool.name})", (balancer, place), pool.port, pool.source)
        case ByLabel():
            zone = LabelZone("dockgate.pool", pool.name)
            yield need(f"label dockgate.pool={pool.name}", (balancer, zone), 0, pool.source)
        case Published(members):
            for member in members:
                there, here = PublishedZone(member.name, pool.port), ContainerZone(member.name)
                away = f"published {member.name} ({pool.name})"
                yield need(away, (balancer, there), 0, member.source)
                yield need(f"{member.name} on its own host ({pool.name})", (balancer, here), pool.port, member.source)
                arrives = f"{reason}; from another host they arrive with that host's address"
                yield need(f"{away} from the hosts", (PeersZone(), here), pool.port, member.source, arrives)
        case Endpoints():
            yield from _endpoint_needs(vip, pool, balancer, reason)


def _endpoint_needs(vip: Vip, pool: Pool, balancer: Zone, reason: str) -> Iterator[Rule]:
    assert isinstance(pool.membership, Endpoints)
    by_name = False
    for endpoint in pool.membership.endpoints:
        zone = _address_zone(endpoint.address)
        by_name = by_name or isinstance(zone, WorldZone)
        yield _derived(
            f"{vip.name} to {endpoint.name} ({pool.name})",
            (balancer, zone),
            reason if not isinstance(zone, WorldZone) else f"{reason}; its address is not known before it is asked",
            source=endpoint.source,
            protocol="tcp",
            ports=((endpoint.port, endpoint.port),),
        )
    if by_name:
        for protocol in ("udp", "tcp"):
            yield _derived(
                f"{vip.name} asks DNS over {protocol} ({pool.name})",
                (balancer, WorldZone()),
                f"pool {pool.name} has members by DNS name",
                source=pool.source,
                protocol="udp" if protocol == "udp" else "tcp",
                ports=((53, 53),),
            )


def _address_zone(address: str) -> Zone:
    try:
        return AddressesZone(address, (f"{ip_address(address)}/32",))
    except ValueError:
        return WorldZone()
