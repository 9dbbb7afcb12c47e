"""Sockets: where Docker's proxy listens on a host, and which rule is about the container behind each.

A proxied connection arrives at the host's own port, but it is a connection to a container. So the rules about the
container and its port decide, also when Docker's translation is gone and only the proxy is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from dockgate.model.policy import VipZone

from .classes import Class, Classes
from .facts import Address, HostFacts, Publication
from .ruleset import Field, Key

PUBLISHED: dict[str, tuple[Field, ...]] = {
    "4": ("daddr4", "l4proto", "dport"),
    "6": ("daddr6", "l4proto", "dport"),
    "any": ("nfproto", "l4proto", "dport"),
}
"""Sockets with an address of their own before those on every address."""

ASKED: dict[str, tuple[Field, ...]] = {
    "4": ("oifname", "orig_daddr4", "orig_dport", "daddr4", "dport"),
    "6": ("oifname", "orig_daddr6", "orig_dport", "daddr6", "dport"),
    "any4": ("oifname", "orig_dport", "daddr4", "dport"),
    "any6": ("oifname", "orig_dport", "daddr6", "dport"),
}
"""What a client asked for and where it was led: by the address that it asked, or at any address."""


@dataclass(frozen=True)
class Socket:
    """``address`` None: every address of the family."""

    protocol: Literal["tcp", "udp"]
    family: Literal[4, 6]
    address: Address | None
    port: int

    @property
    def kind(self) -> str:
        return "any" if self.address is None else str(self.family)

    @property
    def key(self) -> Key:
        return (f"ipv{self.family}" if self.address is None else self.address), self.protocol, self.port


def asked_address(item: Publication, vip: VipZone) -> Address | Literal[False] | None:
    """The address at which a publication is the VIP: None for every one, False if it never is."""
    if item.protocol != "tcp" or item.host_port not in vip.ports:
        return False
    if vip.address is None:
        return item.host_address
    own = IPv4Address(vip.address)
    return own if item.family == 4 and item.host_address in (None, own) else False


class Sockets:
    """All sockets of a host, those of VIPs with an address of their own told apart."""

    def __init__(self, classes: Classes, facts: HostFacts) -> None:
        self._classes = classes
        self._items: dict[tuple[str, int, int], list[Publication]] = {}
        sockets: dict[Socket, None] = {}
        for item in facts.publications:
            self._items.setdefault((item.protocol, item.family, item.host_port), []).append(item)
            sockets[Socket(item.protocol, item.family, item.host_address, item.host_port)] = None
            for vip, _ in classes.vips_behind(item.network, item.address):
                asked = asked_address(item, vip)
                if asked is not False and asked is not None:
                    sockets[Socket(item.protocol, item.family, asked, item.host_port)] = None
        self._sockets = tuple(sockets)

    def all(self) -> tuple[Socket, ...]:
        return self._sockets

    def rule(self, socket: Socket, among: set[int]) -> int | None:
        """The first of the rules that is about a container behind the socket."""
        found = [
            rule
            for item in self._items[socket.protocol, socket.family, socket.port]
            if item.host_address in (None, socket.address) and (rule := self._first(item, socket, among)) is not None
        ]
        return min(found, default=None)

    def _first(self, item: Publication, socket: Socket, among: set[int]) -> int | None:
        about: set[int] = set(self._classes.behind(item.network, item.address))
        for vip, more in self._classes.vips_behind(item.network, item.address):
            asked = asked_address(item, vip)
            if asked is None or asked == socket.address:
                about.update(more)
        rules: Class = tuple(sorted(about & among))
        return self._classes.first(rules, item.protocol, item.port)
