"""Ways: how a client's packet to a VIP looks once Docker has translated it, and the rules about each such packet.

A VIP is matched by what was asked for and pinned to where it was led: the port alone would be open at any container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockgate.model.policy import VipZone

from .classes import Class, Classes
from .facts import HostFacts, Publication
from .ruleset import Field, Key
from .sockets import asked_address

ASKED: dict[str, tuple[Field, ...]] = {
    "4": ("oifname", "orig_daddr4", "orig_dport", "daddr4", "dport"),
    "6": ("oifname", "orig_daddr6", "orig_dport", "daddr6", "dport"),
    "any4": ("oifname", "orig_dport", "daddr4", "dport"),
    "any6": ("oifname", "orig_dport", "daddr6", "dport"),
}
"""What a client asked for and where it was led: by the address that it asked, or at any address."""


@dataclass(frozen=True)
class Way:
    """``kind``, ``key``: for the look-up of ``ASKED``. ``about``: the rules about the VIP and the container behind it;
    ``behind``: those about the container alone. ``port``: the container's."""

    kind: str
    key: Key
    port: int
    about: Class
    behind: Class


class Ways:
    """All ways to VIPs at a host, found by the rules that are about a VIP."""

    def __init__(self, classes: Classes, facts: HostFacts) -> None:
        self._ways: list[Way] = []
        self._by_rule: dict[int, list[int]] = {}
        devices = {bridge.network: bridge.interface for bridge in reversed(facts.bridges)}
        for item in facts.publications:
            if item.protocol == "tcp" and item.network in devices:
                behind = classes.behind(item.network, item.address)
                for vip, about in classes.vips_behind(item.network, item.address):
                    self._add(devices[item.network], item, vip, about=about, behind=behind)

    def among(self, rules: Iterable[int]) -> Iterator[Way]:
        """Those where one of the rules is about the VIP and not only about its container, in their order."""
        found = {position for index in rules for position in self._by_rule.get(index, ())}
        return (self._ways[position] for position in sorted(found))

    def _add(self, interface: str, item: Publication, vip: VipZone, *, about: Class, behind: Class) -> None:
        asked = asked_address(item, vip)
        if asked is False:
            return
        to: Key = (item.host_port, item.address, item.port)
        kind = f"{'any' if asked is None else ''}{item.family}"
        key: Key = (interface, *to) if asked is None else (interface, asked, *to)
        for index in set(about).difference(behind):
            self._by_rule.setdefault(index, []).append(len(self._ways))
        self._ways.append(Way(kind, key, item.port, about, behind))
