"""Each host by itself: engine, link, Swarm, connection table, event stream, clock, version, addresses on the LAN."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from dockgate.doctor.case import Case, Trouble, conntrack_root, host_root
from dockgate.doctor.model import Facts, Finding, HostFacts, Link, Meeting
from dockgate.model.observed import ObservedHost, Unknown

FULL, NEARLY_FULL = 0.95, 0.8
CLOCK_S = 1.0


def check_hosts(case: Case) -> Iterator[Trouble]:
    for host in case.desired.hosts:
        yield from _host(case, host.name)
    yield from _clocks(case)
    yield from _versions(case)


def _host(case: Case, name: str) -> Iterator[Trouble]:
    state, looked = case.observed.host(name), case.facts.hosts.get(name)
    if isinstance(state, Unknown):
        yield _unread(name, state)
        return
    if isinstance(looked, HostFacts):
        yield from _link(name, state, looked)
        yield from _conntrack(name, looked)
    else:
        yield _not_looked(name, looked)
    yield from _swarm(case, name, state)
    yield from _events(case, name)


def _unread(name: str, state: Unknown) -> Trouble:
    return Trouble(
        Finding(
            "error", "engine-unreachable", name, "its Docker engine cannot be read",
            state.reason.removeprefix(f"{name}: "),
            f"see whether it runs, on {name}: systemctl status docker; and whether this machine reaches it",
        ),
        root=host_root(name),
    )  # fmt: skip


def _not_looked(name: str, looked: Unknown | None) -> Trouble:
    reason = looked.reason if looked else "nobody looked"
    return Trouble(
        Finding(
            "unknown", "host-not-examined", name, "its network could not be looked at",
            reason.removeprefix(f"{name}: "), "dockgate up brings its node container back; then run doctor again",
        ),
        root=host_root(name),
    )  # fmt: skip


def lan_link(state: ObservedHost, looked: HostFacts) -> Link | None:
    """The interface by which the Swarm's other nodes reach it."""
    return next((link for link in looked.links if state.node_address and link.holds(state.node_address)), None)


def _link(name: str, state: ObservedHost, looked: HostFacts) -> Iterator[Trouble]:
    link = lan_link(state, looked)
    if link is not None and not link.carrier:
        yield Trouble(
            Finding(
                "error", "link-down", name, f"its link {link.name} is down",
                f"{link.name} ({state.node_address}) has no carrier", "look at its cable and the port of its switch",
            ),
            root=host_root(name),
        )  # fmt: skip
    elif link is None and state.node_address:
        yield Trouble(
            Finding(
                "warning", "address-lost", name, "it does not have the address that the Swarm knows it by",
                f"no interface has {state.node_address}", f"ip -4 address, on {name}; give it back, or join anew",
            ),
        )  # fmt: skip


def _conntrack(name: str, looked: HostFacts) -> Iterator[Trouble]:
    if looked.conntrack is None or looked.conntrack[1] <= 0:
        return
    count, limit = looked.conntrack
    if count < NEARLY_FULL * limit:
        return
    full = count >= FULL * limit
    yield Trouble(
        Finding(
            "error" if full else "warning", "conntrack-full", name,
            "its connection tracking table is full" if full else "its connection tracking table is nearly full",
            f"{count} of {limit} entries; what finds no place is dropped",
            "raise net.netfilter.nf_conntrack_max, and see whose they are: conntrack -L",
        ),
        root=conntrack_root(name) if full else "",
    )  # fmt: skip


def _swarm(case: Case, name: str, state: ObservedHost) -> Iterator[Trouble]:
    if case.overlays() and state.swarm == "none":
        yield Trouble(
            Finding(
                "error", "no-swarm", name, "it is in no Swarm, so overlay networks end before it",
                "its engine says: Swarm inactive", "docker swarm join, with a token of a manager's",
            ),
            root=host_root(name),
        )  # fmt: skip


def _events(case: Case, name: str) -> Iterator[Trouble]:
    said = case.facts.events.get(name, "it was not tried")
    if said:
        yield Trouble(
            Finding(
                "error", "no-events", name, "its event stream does not open",
                said.removeprefix(f"{name}: "),
                "docker events, on that engine; dockgate run is blind without it",
            ),
            because=(host_root(name),),
        )  # fmt: skip


def _clocks(case: Case) -> Iterator[Trouble]:
    """Against the middle of all; for fewer than three hosts against the machine that asks."""
    clocks = {name: found for name in sorted(case.facts.hosts) if (found := case.looked(name)) is not None}
    middle = median(found.ahead_s for found in clocks.values()) if len(clocks) > 2 else 0.0
    for name, found in clocks.items():
        off = found.ahead_s - middle
        if abs(off) > CLOCK_S + found.doubt_s:
            way = "ahead" if off > 0 else "behind"
            yield Trouble(
                Finding(
                    "warning", "clock", name, f"its clock is {abs(off):.1f} s {way}",
                    f"measured within {found.doubt_s:.2f} s, against the other hosts' clocks",
                    f"let it follow a time server: timedatectl, on {name}",
                )
            )  # fmt: skip


def _versions(case: Case) -> Iterator[Trouble]:
    found: dict[str, list[str]] = {}
    for host in case.observed.known():
        found.setdefault(".".join(host.engine_version.split(".")[:2]), []).append(host.name)
    if len(found) > 1:
        told = "; ".join(f"{version} on {', '.join(names)}" for version, names in sorted(found.items()))
        yield Trouble(
            Finding(
                "warning", "versions", "engines", "their versions differ",
                told, "bring them to one version; overlays are tried with one version on all hosts",
            )
        )  # fmt: skip


def check_addresses(case: Case) -> Iterator[Trouble]:
    """Who answers on the LAN for the addresses of VIPs and of hosts."""
    places = [(f"VIP {vip.name}", vip.hosts[0], vip.address) for vip in case.desired.vips if vip.address]
    places += [(host.name, host.name, host.node_address) for host in case.observed.known() if host.node_address]
    for what, owner, address in places:
        yield from _address(case, what, owner, address)


def _address(case: Case, what: str, owner: str, address: str) -> Iterator[Trouble]:
    looked = case.looked(owner)
    if looked is None:
        return
    own = {link.mac for link in looked.links}
    others = sorted(answering(case.facts, address) - own)
    if others:
        names = ", ".join(_holder(case, mac) for mac in others)
        yield Trouble(
            Finding(
                "error", "address-conflict", what, f"somebody else answers for {address}",
                f"ARP for it is answered by {names}, and it belongs to {owner}",
                "take the address off that machine, or give this one another",
            )
        )  # fmt: skip
    if what != owner and not any(link.holds(address) for link in looked.links):
        yield Trouble(
            Finding(
                "error", "address-missing", what, f"its address {address} is not on {owner}",
                f"no interface of {owner} has it", "dockgate up puts it back",
            ),
            because=(host_root(owner),),
        )  # fmt: skip


def answering(facts: Facts, address: str) -> frozenset[str]:
    meetings = [each for each in facts.meetings.values() if isinstance(each, Meeting)]
    return frozenset(mac for each in meetings for asked, mac in each.arp if asked == address)


def _holder(case: Case, mac: str) -> str:
    for name in sorted(case.facts.hosts):
        looked = case.looked(name)
        if looked and any(link.mac == mac for link in looked.links):
            return f"{name} ({mac})"
    return mac
