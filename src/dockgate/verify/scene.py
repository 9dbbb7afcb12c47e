"""Scene: the observed world as somebody sees it who wants to try every way: who is where, behind which rules.

Made from what engines told and from a survey of each host's kernel. What could not be read is said in ``missing`` and
fails the proof. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface

from dockgate.firewall.derive import complete
from dockgate.firewall.facts import Address, host_facts, overlay_facts
from dockgate.model.desired import ByName, Desired
from dockgate.model.objects import LABEL_KIND, LABEL_NAME
from dockgate.model.observed import Container, Observed, ObservedHost, Unknown
from dockgate.model.policy import Policy

from .model import HERE, HOST, Place, Spot


@dataclass(frozen=True)
class Link:
    """An interface that is up. ``addresses``: global ones, each with its prefix length."""

    name: str
    mac: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    protocol: str
    address: str
    port: int


@dataclass(frozen=True)
class Survey:
    """One seat's kernel. ``containers``: who listens in each, by name. ``vnis``: by the overlay's id."""

    links: tuple[Link, ...] = ()
    listening: tuple[Listener, ...] = ()
    containers: Mapping[str, tuple[Listener, ...] | Unknown] = field(default_factory=dict)
    vnis: Mapping[str, int | Unknown] = field(default_factory=dict)

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)


@dataclass(frozen=True)
class Member:
    """A container on a network. ``ports``: the TCP and UDP ports that it listens on itself."""

    spot: Spot
    host: str
    container: Container
    network: str
    addresses: tuple[Address, ...]
    listening: tuple[Listener, ...] = ()

    def address(self, version: int) -> str | None:
        return next((str(address) for address in self.addresses if address.version == version), None)


@dataclass(frozen=True)
class Outsider:
    """Somebody on the LAN: another host of the file, or the place where dockgate runs."""

    spot: Spot
    link: Link

    def address(self, version: int) -> str | None:
        found = (str(ip_interface(text).ip) for text in self.link.addresses)
        return next((text for text in found if ip_address(text).version == version), None)

    def towards(self, address: str) -> str | None:
        """The own address to ask another one from: of the same prefix, else of the same family."""
        wanted = ip_address(address)
        near = (str(own.ip) for text in self.link.addresses if wanted in (own := ip_interface(text)).network)
        return next(near, None) or self.address(wanted.version)


@dataclass(frozen=True)
class Scene:
    """``hosts``: the places of hosts by name; ``overlays``: by network and host; ``lan``: each host as an outsider.

    ``missing``: who is there and cannot be asked; ``absent``: who the file names and is not there (yet).
    """

    desired: Desired
    observed: Observed
    policy: Policy
    surveys: Mapping[str, Survey]
    hosts: Mapping[str, Place]
    overlays: Mapping[tuple[str, str], Place]
    members: tuple[Member, ...]
    lan: Mapping[str, Outsider]
    client: Outsider | None = None
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def promises(self) -> bool:
        """Whether the file asks for any rule at all."""
        return promises(self.desired)

    def on(self, network: str, host: str = "") -> list[Member]:
        return [item for item in self.members if item.network == network and host in ("", item.host)]

    def outsiders(self, host: str) -> list[Outsider]:
        """Everybody on the LAN but the host itself; where dockgate runs first."""
        others = [outsider for name, outsider in sorted(self.lan.items()) if name != host]
        return [*([self.client] if self.client else []), *others]


def make_scene(
    desired: Desired, observed: Observed, surveys: Mapping[str, Survey | Unknown], client: Survey | None = None
) -> Scene:
    """``surveys``: of each host of the file; ``client``: of where dockgate runs, if it is to be a vantage."""
    known = {name: survey for name, survey in surveys.items() if isinstance(survey, Survey)}
    hosts = {host.name: host for host in observed.known() if host.name in known}
    members = [item for host in hosts.values() for item in _members(host, known[host.name])]
    lan = {name: found for name in hosts if (found := _outsider(desired, observed, name, known[name])) is not None}
    here = _client(client, lan.values()) if client else None
    own = {network.name for network in desired.networks if network.driver == "overlay"}
    overlays = _overlays(desired, observed, own, members)
    return Scene(
        desired=desired,
        observed=observed,
        policy=complete(desired, vxlan_port=observed.vxlan_port),
        surveys=known,
        hosts={name: _host_place(desired, observed, name) for name in hosts},
        overlays=overlays,
        members=tuple(members),
        lan=lan,
        client=here,
        missing=tuple(_missing(observed, surveys, lan, client, here)),
        absent=tuple(_absent(desired, members)),
        skipped=tuple(_skipped(desired, hosts.values(), own, here)),
    )


def promises(desired: Desired) -> bool:
    return desired.firewall is not None and (desired.firewall.default == "deny" or bool(desired.firewall.rules))


def _members(host: ObservedHost, survey: Survey) -> Iterator[Member]:
    drivers = {network.name: network.driver for network in host.networks}
    for container in host.containers:
        if container.state not in ("running", "paused") or not container.pid:
            continue
        listening = survey.containers.get(container.name, ())
        for attachment in container.attachments:
            addresses = tuple(ip_address(text) for text in (attachment.address, attachment.address6) if text)
            if addresses and drivers.get(attachment.network) in ("bridge", "overlay"):
                balancer = container.labels.get(LABEL_KIND) == "lb"
                group = f"load balancers on {attachment.network}" if balancer else f"containers on {attachment.network}"
                name = f"lb of {container.labels.get(LABEL_NAME)}" if balancer else container.name
                spot = Spot(host.name, f"pid:{container.pid}", name, group)
                found = () if isinstance(listening, Unknown) else listening
                yield Member(spot, host.name, container, attachment.network, addresses, found)


def _outsider(desired: Desired, observed: Observed, name: str, survey: Survey) -> Outsider | None:
    """A host as its neighbours see it: the interface that has the address by which the others know it."""
    state = observed.host(name)
    wanted = {desired.host(name).address, state.node_address if isinstance(state, ObservedHost) else ""}
    for link in survey.links:
        if any(str(ip_interface(text).ip) in wanted for text in link.addresses):
            return Outsider(Spot(name, HOST, name, "other hosts"), link)
    return None


def _client(survey: Survey, hosts: Iterable[Outsider]) -> Outsider | None:
    """The interface of the place where dockgate runs that is on the LAN of a host."""
    prefixes = [ip_interface(text).network for host in hosts for text in host.link.addresses]
    for link in survey.links:
        if any(ip_interface(text).ip in prefix for text in link.addresses for prefix in prefixes):
            return Outsider(Spot(HERE, HOST, "client", "client"), link)
    return None


def _host_place(desired: Desired, observed: Observed, name: str) -> Place:
    facts = host_facts(desired, observed, name)
    assert not isinstance(facts, Unknown)
    return Place(name, HOST, f"host {name}", facts)


def _overlays(
    desired: Desired, observed: Observed, own: set[str], members: list[Member]
) -> Mapping[tuple[str, str], Place]:
    found: dict[tuple[str, str], Place] = {}
    for member in members:
        host = observed.host(member.host)
        network = host.network(member.network) if isinstance(host, ObservedHost) else None
        if network is not None and member.network in own and network.driver == "overlay":
            facts = overlay_facts(desired, observed, network.name)
            key = (network.name, member.host)
            name = f"overlay {network.name} on {member.host}"
            found[key] = Place(member.host, f"overlay:{network.id}", name, facts)
    return found


def _missing(
    observed: Observed,
    surveys: Mapping[str, Survey | Unknown],
    lan: Mapping[str, Outsider],
    client: Survey | None,
    here: Outsider | None,
) -> Iterator[str]:
    for name, state in observed.unknown():
        yield f"{name} could not be read: {state.reason}"
    for name, survey in sorted(surveys.items()):
        if isinstance(survey, Unknown):
            yield f"nothing can be probed from {name}: {survey.reason}"
        elif name not in lan:
            yield f"{name} has no interface with the address by which the others know it: give it an `address`"
        else:
            for container, said in sorted(survey.containers.items()):
                if isinstance(said, Unknown):
                    yield f"container {container} on {name} cannot be looked at: {said.reason}"
            for ident, vni in sorted(survey.vnis.items()):
                if isinstance(vni, Unknown):
                    yield f"overlay network {ident[:10]} on {name} cannot be looked at: {vni.reason}"
    if client and here is None:
        yield "the place where dockgate runs has no address on the LAN of any host: leave --client out"


def _absent(desired: Desired, members: list[Member]) -> Iterator[str]:
    """Members that the file names and that are not where the load balancer would ask them."""
    there = {(member.network, member.container.name) for member in members}
    for pool in desired.pools:
        if isinstance(pool.membership, ByName):
            for member in pool.membership.members:
                if (pool.network or "", member.name) not in there:
                    yield f"member {member.name} of pool {pool.name} is not on {pool.network}: it cannot be asked"
    if not members:
        yield "no container runs on any network: there is nobody to ask"


def _skipped(desired: Desired, hosts: Iterable[ObservedHost], own: set[str], here: Outsider | None) -> Iterator[str]:
    foreign: set[str] = set()
    for host in hosts:
        foreign |= {n.name for n in host.networks if n.driver == "overlay" and n.name not in own and n.containers}
    for name in sorted(foreign):
        yield f"overlay network {name} is not in the file: nothing is proved about it"
    if not promises(desired):
        yield "the file has no firewall: nothing is promised about packets, and none are sent"
    if here is None:
        yield "no client of the LAN asked, only the hosts: run it with --client from a machine there"
