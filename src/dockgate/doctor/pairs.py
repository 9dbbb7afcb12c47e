"""Between each two hosts: do gossip, VXLAN and full packets arrive; and which host sends to the wrong place.

Only hosts of one Swarm are compared, and only when a pool is reached on an overlay.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.doctor.case import Case, Trouble, conntrack_root, host_root, neighbour_root, pair_root, pairs_of
from dockgate.doctor.model import Facts, Finding, InsideFacts, Kind, Meeting, OverlayFacts
from dockgate.model.observed import Unknown


def check_pairs(case: Case) -> Iterator[Trouble]:
    members = [host.name for host in case.observed.known() if host.node_address]
    for one, other in pairs_of(members) if case.overlays() else ():
        found = _pair(case, one, other)
        if found is not None:
            because = tuple(root(name) for root in (host_root, conntrack_root) for name in (one, other))
            yield Trouble(found, root=pair_root(one, other), because=because)


def _pair(case: Case, one: str, other: str) -> Finding | None:
    where = f"{one} - {other}"
    meetings = {name: case.facts.meetings.get(name) for name in (one, other)}
    for name, met in meetings.items():
        if not isinstance(met, Meeting):
            reason = met.reason if isinstance(met, Unknown) else "nobody asked"
            return Finding(
                "unknown", "pair-not-tried", where, "what passes between them could not be tried",
                f"{name}: {reason.removeprefix(f'{name}: ')}", "dockgate up, then run doctor again",
            )  # fmt: skip
    ways = [(one, other), (other, one)]
    lost: dict[Kind, list[tuple[str, str]]] = {}
    for kind in ("gossip", "vxlan", "full"):
        lost[kind] = [way for way in ways if not _arrived(case.facts, *way, kind)]
    shut = [way for way in ways if _gossip(case.facts, *way) != "open"]
    if all(len(found) == 2 for found in (*lost.values(), shut)):
        return Finding(
            "error", "hosts-apart", where, "nothing passes between them",
            "neither gossip nor VXLAN arrived, either way", "look at the LAN and the firewalls between the two",
        )  # fmt: skip
    if lost["vxlan"]:
        return Finding(
            "error", "vxlan-blocked", where, "VXLAN is blocked between them",
            f"UDP port {case.observed.vxlan_port} does not arrive {_told(lost['vxlan'])}; other traffic does",
            f"let UDP {case.observed.vxlan_port} pass both ways in the firewalls of both hosts and between them",
        )  # fmt: skip
    if lost["gossip"] or shut:
        return _gossip_blocked(case, where, lost["gossip"], shut)
    if lost["full"]:
        return _too_small(case, where, lost["full"])
    return None


def _gossip_blocked(case: Case, where: str, lost: list[tuple[str, str]], shut: list[tuple[str, str]]) -> Finding:
    told = [f"UDP does not arrive {_told(lost)}"] if lost else []
    told += [f"TCP {_told([way])}: {_gossip(case.facts, *way)}" for way in shut]
    return Finding(
        "error", "gossip-blocked", where, "the Swarm's gossip is blocked between them",
        f"port 7946: {'; '.join(told)}", "let TCP and UDP 7946 pass both ways, or names and addresses go stale",
    )  # fmt: skip


def _too_small(case: Case, where: str, lost: list[tuple[str, str]]) -> Finding:
    size = case.facts.size
    why = next((met.refused[way[1], "full"] for way in lost if (met := _met(case.facts, way[0])).refused.get(
        (way[1], "full"))), "lost on the way")  # fmt: skip
    return Finding(
        "error", "mtu-too-small", where, f"a full packet of {size} bytes does not pass",
        f"{_told(lost)}: {why}; small ones pass{_mtus(case, lost)}",
        f"MTU {size} on the LAN, or a smaller one for the overlay (networks: mtu)",
    )  # fmt: skip


def _mtus(case: Case, lost: list[tuple[str, str]]) -> str:
    """The links that are too small by their own word."""
    found: dict[str, None] = {}
    for name in sorted({name for way in lost for name in way}):
        state, looked = case.host(name), case.looked(name)
        for link in looked.links if looked and state else ():
            if state and link.holds(state.node_address) and link.mtu < case.facts.size:
                found[f"{name}'s {link.name} has MTU {link.mtu}"] = None
    return "".join(f"; {each}" for each in found)


def _arrived(facts: Facts, sender: str, receiver: str, kind: Kind) -> bool:
    return (sender, kind) in _met(facts, receiver).heard


def _gossip(facts: Facts, sender: str, receiver: str) -> str:
    return _met(facts, sender).gossip.get(receiver, "not tried")


def _met(facts: Facts, name: str) -> Meeting:
    found = facts.meetings.get(name)
    assert isinstance(found, Meeting)
    return found


def _told(ways: list[tuple[str, str]]) -> str:
    return "either way" if len(ways) == 2 else f"from {ways[0][0]} to {ways[0][1]}"


def check_neighbours(case: Case) -> Iterator[Trouble]:
    """Does each host send what is for a member elsewhere to where Docker says that the member is?"""
    for name in sorted(case.overlays()):
        ends = _ends(case, name)
        for host in case.observed.known():
            network, looked = host.network(name), case.looked(host.name)
            found = looked.overlays.get(network.id) if network and looked else None
            if isinstance(found, OverlayFacts):
                yield from _sent_wrong(host.name, name, found, ends)
            elif isinstance(found, Unknown):
                yield Trouble(
                    Finding(
                        "unknown", "neighbours-not-read", f"{name} on {host.name}", "its neighbours could not be read",
                        found.reason, f"ls /run/docker/netns, on {host.name}",
                    ),
                    because=(host_root(host.name),),
                )  # fmt: skip
            yield from _inside(case, host.name, ends)


_End = tuple[str, str, str, str]
"""Container, host, the host's address, MAC ("" when not known)."""


def _ends(case: Case, network: str) -> dict[str, _End]:
    found: dict[str, _End] = {}
    for host in case.observed.known():
        looked = case.looked(host.name)
        for container in host.containers:
            inside = looked.containers.get(container.name) if looked else None
            for place in container.attachments if container.state == "running" else ():
                if place.network == network and place.address:
                    links = inside.links if isinstance(inside, InsideFacts) else ()
                    mac = next((link.mac for link in links if link.holds(place.address)), "")
                    found[place.address] = (container.name, host.name, host.node_address, mac)
    return found


def _sent_wrong(host: str, network: str, found: OverlayFacts, ends: dict[str, _End]) -> Iterator[Trouble]:
    neighbours, hosts = dict(found.neighbours), dict(found.hosts)
    for address, (container, there, node_address, mac) in sorted(ends.items()):
        if there == host:
            continue
        known = neighbours.get(address, "")
        goes = hosts.get(known, "")
        if not known:
            said = f"it has no neighbour entry for {address}, which {container} has on {there}"
        elif mac and known != mac:
            said = f"{address} is {known} to it, and {container} has {mac}"
        elif goes != node_address:
            said = f"it sends to {goes or 'nobody'}, and {container} is on {there} ({node_address})"
        else:
            continue
        yield _stale(host, f"{network} on {host}", container, address, said, pair_root(host, there))


def _inside(case: Case, host: str, ends: dict[str, _End]) -> Iterator[Trouble]:
    looked = case.looked(host)
    for container, inside in sorted(looked.containers.items()) if looked else ():
        for address, mac in inside.neighbours if isinstance(inside, InsideFacts) else ():
            end = ends.get(address)
            if end and end[3] and end[3] != mac:
                said = f"in {container} {address} is {mac}, and {end[0]} has {end[3]}"
                yield _stale(host, f"{container} on {host}", end[0], address, said)


def _stale(host: str, where: str, container: str, address: str, said: str, *because: str) -> Trouble:
    return Trouble(
        Finding(
            "error", "stale-neighbour", where, f"packets for {container} go to the wrong place",
            said, f"docker restart {container} announces it anew; if it comes back, restart Docker on {host}",
        ),
        root=neighbour_root(host, address),
        because=because,
    )  # fmt: skip
