"""Sockets: where Docker's proxy listens on a host, and which rule is about the container behind each.

A proxied connection arrives at the host's own port, but it is a connection to a container. So the rules about the
container and its port decide, also when Docker's translation is gone and only the proxy is left.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        items: dict[tuple[str, int, int], list[Publication]] = {}
        sockets: dict[Socket, None] = {}
        for item in facts.publications:
            items.setdefault((item.protocol, item.family, item.host_port), []).append(item)
            sockets[Socket(item.protocol, item.family, item.host_address, item.host_port)] = None
            for vip, _ in classes.vips_behind(item.network, item.address):
                asked = asked_address(item, vip)
                if asked is not False and asked is not None:
                    sockets[Socket(item.protocol, item.family, asked, item.host_port)] = None
        self._behind: dict[Socket, tuple[tuple[Publication, Class], ...]] = {
            socket: tuple(
                (item, self._about(item, socket))
                for item in items[socket.protocol, socket.family, socket.port]
                if item.host_address in (None, socket.address)
            )
            for socket in sockets
        }
        self._by_rule: dict[int, dict[Socket, None]] = {}
        for socket, behind in self._behind.items():
            for index in (index for _, about in behind for index in about):
                self._by_rule.setdefault(index, {})[socket] = None

    def all(self) -> tuple[Socket, ...]:
        return tuple(self._behind)

    def among(self, rules: Class) -> Iterator[tuple[Socket, int]]:
        """Sockets that one of the rules is about, each with the first that is about a container behind it."""
        wanted = set(rules)
        for socket in {socket: None for index in rules for socket in self._by_rule.get(index, ())}:
            firsts = (self._first(item, about, wanted) for item, about in self._behind[socket])
            rule = min((index for index in firsts if index is not None), default=None)
            if rule is not None:
                yield socket, rule

    def _first(self, item: Publication, about: Class, among: set[int]) -> int | None:
        return self._classes.first((index for index in about if index in among), item.protocol, item.port)

    def _about(self, item: Publication, socket: Socket) -> Class:
        """The rules about the container of a publication, as it is asked for there."""
        about: set[int] = set(self._classes.behind(item.network, item.address))
        for vip, more in self._classes.vips_behind(item.network, item.address):
            asked = asked_address(item, vip)
            if asked is None or asked == socket.address:
                about.update(more)
        return tuple(sorted(about))
