"""Resolve the firewall: words → zones, lists → rules in the file's order, and what cannot be meant.

Invariant of what is returned: every rule can match something, names are unique, and nothing between two places that no
Docker host stands between is asked for, unless a problem was reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from dockgate.model.desired import Network, Vip
from dockgate.model.policy import (
    DEFAULT_FAILSAFE,
    OUTSIDE,
    AddressesZone,
    ContainerZone,
    Firewall,
    HostZone,
    LabelZone,
    LanZone,
    NetworkZone,
    Rule,
    Verdict,
    VipZone,
    WorldZone,
    Zone,
)

from .job import Job
from .path import Path, dotted
from .problems import nearest, quote
from .schema import FirewallRuleSpec, FirewallSpec

_WORDS: dict[str, Zone] = {
    "host": HostZone(),
    "lan": LanZone(),
    "world": WorldZone(),
    "bridge": NetworkZone("bridge"),
}
_FORMS = ("network", "container", "label", "vip")
_LISTS: tuple[Verdict, ...] = ("allow", "reject", "drop")


@dataclass(frozen=True)
class _Known:
    """What a zone may be called: words, sets, networks and VIPs by name."""

    sets: dict[str, AddressesZone]
    networks: frozenset[str]
    vips: dict[str, VipZone]

    def words(self) -> tuple[str, ...]:
        return (*_WORDS, *self.sets, *self.networks, *(f"vip:{name}" for name in self.vips))


def resolve_firewall(job: Job, *, networks: tuple[Network, ...], vips: tuple[Vip, ...]) -> Firewall | None:
    """The file's firewall; None if it has none."""
    spec = job.spec.firewall
    if spec is None:
        return None
    known = _Known(
        sets=_sets(job, spec, frozenset(network.name for network in networks)),
        networks=frozenset(network.name for network in networks),
        vips={vip.name: _vip_zone(job.project, vip) for vip in vips},
    )
    rules = tuple(_rules(job, spec, known))
    _check_names(job, rules)
    _note_shadowed(job, rules)
    _note(job, spec, rules)
    failsafe = DEFAULT_FAILSAFE if spec.failsafe is None else tuple(sorted(set(spec.failsafe)))
    return Firewall(spec.default, spec.docker_iptables == "on", failsafe, rules, job.tree.key("firewall"))


def _vip_zone(project: str, vip: Vip) -> VipZone:
    return VipZone(project, vip.name, vip.address, tuple(sorted(listen.port for listen in vip.listens)))


def _sets(job: Job, spec: FirewallSpec, networks: frozenset[str]) -> dict[str, AddressesZone]:
    sets: dict[str, AddressesZone] = {}
    for name, prefixes in sorted(spec.zones.items()):
        at: Path = ("firewall", "zones", name)
        if name in _WORDS or name in networks:
            owner = "a word of the policy" if name in _WORDS else "also the name of a network"
            job.problem(at, f"{dotted(at)} is {owner}", "choose another name", at_key=True)
        if not prefixes and job.tree.whole(*at):
            job.problem(at, f"{dotted(at)} must not be empty", "add an address or a prefix like 192.0.2.0/24")
        for index, prefix in enumerate(prefixes):
            if prefix in prefixes[:index]:
                job.problem((*at, index), f"{dotted(at)} has {quote(prefix)} twice", "remove one")
        sets[name] = AddressesZone(name, tuple(sorted(set(prefixes), key=_prefix_order)))
    return sets


def _prefix_order(prefix: str) -> tuple[int, int, int]:
    network = ip_network(prefix)
    return network.version, int(network.network_address), network.prefixlen


def _rules(job: Job, spec: FirewallSpec, known: _Known) -> Iterator[Rule]:
    """In the order in which they stand in the file."""
    lists = sorted(_LISTS, key=lambda name: job.tree.key("firewall", name))
    for name in lists:
        entries: list[FirewallRuleSpec] = getattr(spec, name)
        for index, entry in enumerate(entries):
            rule = _rule(job, ("firewall", name, index), entry, name, known)
            if rule is not None:
                yield rule


def _rule(job: Job, at: Path, spec: FirewallRuleSpec, verdict: Verdict, known: _Known) -> Rule | None:
    client = _zone(job, (*at, "from"), spec.origin, known)
    server = _zone(job, (*at, "to"), spec.to, known)
    if spec.action is not None and spec.action != verdict:
        what = f"{dotted(at)}.action is {spec.action}, and the rule stands in the list {quote(verdict)}"
        job.problem((*at, "action"), what, f"move it to firewall.{spec.action}, or remove the action")
    if spec.port is not None and spec.protocol in ("icmp", "any"):
        what = f"{dotted(at)}.port needs a protocol that has ports, not {spec.protocol}"
        fix = "remove the port" if spec.protocol == "icmp" else "add protocol: tcp or protocol: udp"
        job.problem((*at, "port"), what, fix, at_key=True)
    if client is None or server is None:
        return None
    rule = Rule(
        spec.name, client, server, verdict, spec.protocol, spec.port or (), spec.log, source=job.tree.value(*at)
    )
    _check_ends(job, at, rule)
    if isinstance(server, VipZone):
        _check_vip(job, at, rule, server)
    return rule


def _zone(job: Job, at: Path, said: str, known: _Known) -> Zone | None:
    """The zone that a word stands for; a problem if none."""
    form, colon, rest = said.partition(":")
    if colon:
        return _form(job, at, said, form, rest, known)
    if said in known.sets:
        return known.sets[said]
    if said in _WORDS:
        return _WORDS[said]
    if said in known.networks:
        return NetworkZone(said)
    if job.tree.whole("firewall", "zones", said) and job.tree.whole("networks", said):
        fix = nearest(said, known.words()) or "add it to firewall.zones"
        if not fix.startswith("did") and _is_member(job, said):
            fix = f"did you mean container:{said}?"
        job.problem(at, f"{dotted(at)} names {quote(said)}, which is not a zone", fix)
    return None


def _is_member(job: Job, said: str) -> bool:
    """Whether a pool has a container of that name."""
    pools = job.spec.pools.values()
    return any(said == member.name for pool in pools for member in (pool.members or []) + (pool.published or []))


def _form(job: Job, at: Path, said: str, form: str, rest: str, known: _Known) -> Zone | None:
    if form not in _FORMS:
        fix = nearest(form, _FORMS)
        job.problem(at, f"{dotted(at)} is {quote(said)}, and {quote(form)} is not a kind of zone", fix)
        return None
    if form == "label":
        key, equals, value = rest.partition("=")
        if equals:
            return LabelZone(key, value)
        job.problem(at, f"{dotted(at)} names a label without a value", f"write label:{rest}=VALUE")
        return None
    if "=" in rest or "/" in rest:
        job.problem(at, f"{dotted(at)} is {quote(said)}, which is not the name of a {form}", f"write {form}:NAME")
        return None
    if form == "vip":
        job.refer(at, "vips", rest, known.vips)
        return known.vips.get(rest)
    return NetworkZone(rest) if form == "network" else ContainerZone(rest)


def _check_ends(job: Job, at: Path, rule: Rule) -> None:
    if isinstance(rule.client, VipZone):
        what = f"{dotted(at)}.from is a VIP, and connections do not come from one"
        job.problem((*at, "from"), what, "name the clients, or 'host' or a network for what the load balancer asks")
    elif isinstance(rule.client, HostZone) and isinstance(rule.server, HostZone):
        job.problem((*at, "to"), f"{dotted(at)} is from the host to itself, which is never filtered", "remove it")
    elif isinstance(rule.client, OUTSIDE) and isinstance(rule.server, OUTSIDE):
        what = f"{dotted(at)} is between two places outside, and no Docker host stands between them"
        job.problem((*at, "to"), what, "name host, a network, a container or a VIP at one end")


def _check_vip(job: Job, at: Path, rule: Rule, vip: VipZone) -> None:
    if rule.protocol in ("udp", "icmp"):
        what = f"{dotted(at)}.protocol is {rule.protocol}, and a VIP listens on TCP only"
        job.problem((*at, "protocol"), what, "write protocol: tcp, or 'host' instead of the VIP")
    elif rule.ports and not any(rule.covers("tcp", port) for port in vip.ports) and vip.ports:
        listens = ", ".join(map(str, vip.ports))
        job.problem((*at, "port"), f"{dotted(at)}.port: {vip} does not listen there", f"it listens on {listens}")


def _check_names(job: Job, rules: tuple[Rule, ...]) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        if same := first.get(rule.name):
            what = f"a rule named {quote(rule.name)} stands here a second time; the first is in line"
            job.findings.problem(rule.source, f"{what} {same.source.line}", "give each rule a name of its own")
        first.setdefault(rule.name, rule)


_MOST_COMPARED = 500


def _note_shadowed(job: Job, rules: tuple[Rule, ...]) -> None:
    """Rules that can never match. Long policies are compared only as far as that is quick."""
    for index, rule in enumerate(rules[:_MOST_COMPARED]):
        above = next((earlier for earlier in rules[:index] if _shadows(earlier, rule)), None)
        if above is not None:
            says = "already says the same" if above.verdict == rule.verdict else f"decides first ({above.verdict})"
            text = f"the rule {quote(rule.name)} is never used: {quote(above.name)} in line {above.source.line} {says}"
            job.findings.note(rule.source, text)


def _shadows(above: Rule, below: Rule) -> bool:
    ports = all(any(low <= first and last <= high for low, high in above.ports) for first, last in below.ports)
    return (
        above.protocol in ("any", below.protocol)
        and (not above.ports or (bool(below.ports) and ports))
        and _holds(above.client, below.client)
        and _holds(above.server, below.server)
    )


def _holds(outer: Zone, inner: Zone) -> bool:
    """Whether every endpoint of ``inner`` is certainly one of ``outer``."""
    if outer == inner:
        return True
    if isinstance(outer, WorldZone):
        return isinstance(inner, OUTSIDE)
    if isinstance(outer, AddressesZone) and isinstance(inner, AddressesZone):
        return all(any(_within(prefix, larger) for larger in outer.prefixes) for prefix in inner.prefixes)
    return False


def _within(prefix: str, larger: str) -> bool:
    small, large = ip_network(prefix), ip_network(larger)
    if small.version != large.version:
        return False
    return small.network_address in large and small.prefixlen >= large.prefixlen


def _note(job: Job, spec: FirewallSpec, rules: tuple[Rule, ...]) -> None:
    if spec.failsafe == []:
        job.note(("firewall", "failsafe"), "firewall.failsafe is empty: a rule could cut your own way to the hosts")
    if spec.default == "off" and rules and not any(rule.verdict != "allow" for rule in rules):
        job.note(("firewall", "allow"), "these rules change nothing: with default 'off' everything is allowed anyway")
