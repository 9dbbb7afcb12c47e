"""Host rules: everything that a file's firewall loads on one host, its own table and those of the overlays.

The text decides, and its hash tells two of them apart. Invariant: as long as one host is unknown, so are the rules of
all: a container that nobody could see would be cut off, and unknown is not empty.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, Unknown

from .compile import compile_ruleset
from .derive import complete
from .facts import HostFacts, host_facts, overlay_facts
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
    return desired.firewall is not None and (desired.firewall.default == "deny" or bool(desired.firewall.rules))


def host_rules(desired: Desired, observed: Observed, host: str) -> HostRules | Unknown:
    """What must be loaded on a host of the file."""
    for name, state in observed.unknown():
        return Unknown(f"{name} could not be read: {state.reason}")
    places = facts_of(desired, observed, host)
    if isinstance(places, Unknown):
        return places
    policy = complete(desired, vxlan_port=observed.vxlan_port)
    tables = tuple(
        TableText(place, network, render(compile_ruleset(policy, facts))) for place, network, facts in places
    )
    told = json.dumps([[table.place, table.network, table.text] for table in tables])
    gaps = tuple(dict.fromkeys(gap for _, _, facts in places for gap in facts.gaps))
    return HostRules(hashlib.sha256(told.encode()).hexdigest()[:12], tables, gaps)


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
