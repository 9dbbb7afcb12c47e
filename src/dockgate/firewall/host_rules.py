"""Host rules: everything that a file's firewall loads on one host, its own table and those of the overlays.

The text decides, and its hash tells two of them apart. Invariant: as long as one host is unknown, so are the rules of
all: a container that nobody could see would be cut off, and unknown is not empty.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, ObservedHost, Unknown
from dockgate.model.policy import Policy

from .compile import compile_ruleset
from .derive import complete
from .engine import forwards, mismatch
from .facts import HostFacts, host_facts, overlay_facts
from .forwarding import forwarding_gaps, forwarding_of
from .forwarding_iptables import forwarding_iptables
from .forwarding_text import forwarding_text
from .iptables import render_iptables
from .render import render

HOST = "host"


@dataclass(frozen=True)
class TableText:
    """One table. ``place``: "host" or the overlay's name; ``network``: the overlay's id, "" for the host's own."""

    place: str
    network: str
    text: str


@dataclass(frozen=True)
class HostRules:
    """``gaps``: what they do not cover, in sentences."""

    hash: str
    tables: tuple[TableText, ...]
    gaps: tuple[str, ...] = ()


def is_wanted(desired: Desired) -> bool:
    """Whether the file asks for any rule."""
    firewall = desired.firewall
    return firewall is not None and (firewall.default == "deny" or bool(firewall.rules) or forwards(desired))


def host_rules(desired: Desired, observed: Observed, host: str) -> HostRules | Unknown:
    """What must be loaded on a host of the file."""
    for name, unread in observed.unknown():
        return Unknown(f"{name} could not be read: {unread.reason}")
    places, state = facts_of(desired, observed, host), observed.host(host)
    if isinstance(places, Unknown):
        return places
    if isinstance(state, ObservedHost) and (wrong := mismatch(desired, state)) is not None and wrong.stops:
        return Unknown(str(wrong))
    policy = complete(desired, vxlan_port=observed.vxlan_port)
    tables = tuple(
        TableText(place, network, table_text(desired, observed, policy, facts)) for place, network, facts in places
    )
    told = json.dumps([[table.place, table.network, table.text] for table in tables])
    gaps = tuple(dict.fromkeys(gap for _, _, facts in places for gap in gaps_of(desired, observed, facts)))
    return HostRules(hashlib.sha256(told.encode()).hexdigest()[:12], tables, gaps)


def table_text(desired: Desired, observed: Observed, policy: Policy, facts: HostFacts) -> str:
    """What nft takes for one place: the policy, and on a host without Docker's rules what they would do."""
    text, host = render(compile_ruleset(policy, facts)), _forwarder(desired, observed, facts)
    return text + forwarding_text(forwarding_of(host, facts), _line(policy)) if host else text


def iptables_text(desired: Desired, observed: Observed, policy: Policy, facts: HostFacts) -> str:
    """The same as iptables commands, to read."""
    text, host = render_iptables(policy, facts), _forwarder(desired, observed, facts)
    return text + forwarding_iptables(forwarding_of(host, facts), _line(policy)) if host else text


def _forwarder(desired: Desired, observed: Observed, facts: HostFacts) -> ObservedHost | None:
    """The host of these facts, if forwarding is ours there."""
    host = observed.host(facts.name) if facts.kind == "host" and forwards(desired) else None
    return host if isinstance(host, ObservedHost) else None


def _line(policy: Policy) -> str:
    return f"{policy.firewall.source.file}:{policy.firewall.source.line}"


def gaps_of(desired: Desired, observed: Observed, facts: HostFacts) -> tuple[str, ...]:
    """What the rules of a place do not cover."""
    host = _forwarder(desired, observed, facts)
    return (*facts.gaps, *forwarding_gaps(host, facts)) if host else facts.gaps


def facts_of(desired: Desired, observed: Observed, host: str) -> tuple[tuple[str, str, HostFacts], ...] | Unknown:
    """Place, network id and facts of every namespace of a host that the file's firewall is about."""
    own = host_facts(desired, observed, host)
    if isinstance(own, Unknown):
        return own
    overlays = [network.name for network in desired.networks if network.driver == "overlay"]
    found = [(name, _overlay_id(observed, name)) for name in overlays]
    return (
        (HOST, "", own),
        *((name, id, overlay_facts(desired, observed, name)) for name, id in found if id),
    )


def _overlay_id(observed: Observed, name: str) -> str:
    """Only a manager lists an overlay that no container of its own is on."""
    seen = (network for host in observed.known() for network in host.networks if network.name == name)
    return next((network.id for network in seen if network.scope == "swarm"), "")
