"""Conflicts: what no entry is guilty of by itself. Ports and addresses taken twice, networks that cannot be joined."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from dockgate.model.desired import ByName, ByService, Host, Listen, Network, Pool, Published, Vip
from dockgate.model.source import NOWHERE

from .job import Job
from .problems import quote
from .resolve_pools import pool_modes


def check_conflicts(
    job: Job, *, hosts: tuple[Host, ...], networks: tuple[Network, ...], pools: tuple[Pool, ...], vips: tuple[Vip, ...]
) -> None:
    """Report everything that two or more entries cannot have together, and note what is there for nothing."""
    _addresses(job, vips)
    _ports(job, vips)
    _modes(job, vips, pools)
    _subnets(job, networks)
    _addresses_in_subnets(job, vips, networks)
    _bridges(job, vips=vips, pools=pools, networks=networks)
    _note_unused(job, vips=vips, pools=pools, networks=networks)
    _note_unreachable(job, hosts, pools)


def _addresses(job: Job, vips: tuple[Vip, ...]) -> None:
    owners: dict[str, Vip] = {}
    for vip in sorted(vips, key=lambda vip: vip.source):
        if vip.address is None:
            continue
        if owner := owners.get(vip.address):
            what = (
                f"vips.{vip.name} has the same address as vips.{owner.name} (line {owner.source.line}), {vip.address}"
            )
            job.problem(("vips", vip.name, "address"), what, "give each its own, or make them one VIP with more ports")
        else:
            owners[vip.address] = vip


def _ports(job: Job, vips: tuple[Vip, ...]) -> None:
    """One port of one host belongs to one VIP; addresses of their own keep VIPs apart."""
    first: dict[tuple[str, int], Vip] = {}
    first_on_all_addresses: dict[tuple[str, int], Vip] = {}
    for vip, listen, host in _bindings(vips):
        at = (host, listen.port)
        owner = first.get(at) if vip.address is None else first_on_all_addresses.get(at)
        if owner is not None:
            what = f"vips.{vip.name} wants port {listen.port} of host {quote(host)}, which {_holds(owner, vip)}"
            job.findings.problem(listen.source, what, "change a port, or give both VIPs an 'address' of their own")
        first.setdefault(at, vip)
        if vip.address is None:
            first_on_all_addresses.setdefault(at, vip)


def _holds(owner: Vip, vip: Vip) -> str:
    held = f"vips.{owner.name} (line {owner.source.line}) has already"
    return held if owner.address == vip.address else f"{held}: the one without an address takes the port on all of them"


def _bindings(vips: tuple[Vip, ...]) -> Iterator[tuple[Vip, Listen, str]]:
    for vip in sorted(vips, key=lambda vip: vip.source):
        for listen in vip.listens:
            for host in vip.hosts:
                yield vip, listen, host


def _modes(job: Job, vips: tuple[Vip, ...], pools: tuple[Pool, ...]) -> None:
    modes = pool_modes(vips)
    for pool in pools:
        if len(modes.get(pool.name, ())) > 1:
            what = f"pools.{pool.name} is used by http and by tcp ports"
            job.findings.problem(pool.source, what, "use the same mode for all of them, or two pools")


def _subnets(job: Job, networks: tuple[Network, ...]) -> None:
    """In order of their first address, each is compared with the one that reaches farthest so far."""
    farthest: tuple[IPv4Network, str] | None = None
    for subnet, name in _sorted_subnets(networks):
        if farthest and subnet.overlaps(farthest[0]):
            what = f"networks.{name} and networks.{farthest[1]} overlap ({subnet} and {farthest[0]})"
            job.problem(("networks", name, "subnet"), what, "give each a subnet of its own")
        if farthest is None or subnet.broadcast_address > farthest[0].broadcast_address:
            farthest = (subnet, name)


def _addresses_in_subnets(job: Job, vips: tuple[Vip, ...], networks: tuple[Network, ...]) -> None:
    """Clients could not reach an address that lies inside a network of containers."""
    subnets = _sorted_subnets(networks)
    for vip in vips:
        if vip.address is None:
            continue
        address = IPv4Address(vip.address)
        place = bisect_right(subnets, address, key=lambda pair: pair[0].network_address) - 1
        if place >= 0 and address in subnets[place][0]:
            what = f"vips.{vip.name}.address is inside networks.{subnets[place][1]} ({subnets[place][0]})"
            job.problem(("vips", vip.name, "address"), what, "use a free address of the hosts' own network")


def _sorted_subnets(networks: tuple[Network, ...]) -> list[tuple[IPv4Network, str]]:
    return sorted((IPv4Network(network.subnet), network.name) for network in networks if network.subnet)


def _bridges(job: Job, *, vips: tuple[Vip, ...], pools: tuple[Pool, ...], networks: tuple[Network, ...]) -> None:
    """A bridge exists on each host by itself: a container's name on it is known on one host only."""
    bridges = {network.name for network in networks if network.driver == "bridge"}
    hosts: dict[str, set[str]] = {}
    for vip in vips:
        for name in vip.pools():
            hosts.setdefault(name, set()).update(vip.hosts)
    for pool in pools:
        on = sorted(hosts.get(pool.name, ()))
        if pool.network not in bridges or len(on) < 2:
            continue
        seen = f"the bridge {quote(pool.network)} exists on {' and '.join(on[:3])} separately"
        if isinstance(pool.membership, ByName):
            what = f"pools.{pool.name} cannot be joined by all of its VIPs: {seen}"
            fix = "use driver: overlay, or published members, or a VIP on the members' host only"
            job.problem(("pools", pool.name, "network"), what, fix)
        elif isinstance(pool.membership, ByService):
            job.note(
                ("pools", pool.name, "network"), f"{seen}: each load balancer finds the containers of its own host"
            )


def _note_unused(job: Job, *, vips: tuple[Vip, ...], pools: tuple[Pool, ...], networks: tuple[Network, ...]) -> None:
    if not vips and job.tree.whole("vips"):
        job.note((), "the file has no VIPs: 'up' would remove those of this project")
    used = {name for vip in vips for name in vip.pools()}
    for pool in pools:
        if pool.name not in used:
            job.note(("pools", pool.name), f"no VIP uses pools.{pool.name}")
    joined = {pool.network for pool in pools}
    for network in networks:
        if network.name not in joined:
            job.note(("networks", network.name), f"no pool uses networks.{network.name}")


def _note_unreachable(job: Job, hosts: tuple[Host, ...], pools: tuple[Pool, ...]) -> None:
    nameless = [host for host in hosts if host.address is None and host.source != NOWHERE]
    if any(isinstance(pool.membership, Published) for pool in pools):
        for host in nameless:
            text = f"hosts.{host.name} has no address: containers on it cannot be 'published' members for other hosts"
            job.note(("hosts", host.name), text)
