"""Namespaces that are watched while one request passes: its packets at each interface, and the rules they meet.

Of everybody's packets only those are kept that may be ours: of our own port, first packets, and such that say what our
request says. Who they belong to is not decided here.
"""

from __future__ import annotations

import errno
import selectors
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any

import dockgate_marks as marks
import dockgate_nftrace as nftrace
import dockgate_sight as sight
from dockgate_spaces import SPACES, CannotDo

MOST = 100_000
AT_ONCE = 2000
ALIKE = 200
"""Bytes by which words that a proxy passes on unread are known again."""
_OTHERHOST, _OUTGOING = 3, 4
_LAST_S, _QUIET_S = 0.25, 0.03
"""What is under way when the answer is there is waited for until nothing comes, or, under other traffic, this long."""


class Place:
    """One namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tap: socket.socket | None = None
        self.marks: marks.Marks | None = None
        self.trace = nftrace.Trace(sight.headers)
        self.error = ""

    def open(self, request: dict[str, Any]) -> None:
        own, others = request["port"], [(address, int(port)) for address, port in request["servers"]]
        try:
            with SPACES.inside(self.name):
                self.tap = sight.tap(sight.packet_filter(own, [port for _, port in others], request["vxlan"]))
                if shutil.which("nft"):
                    self.marks = marks.mark(self.name, own, others)
        except (CannotDo, OSError) as error:
            self.error = getattr(error, "strerror", "") or str(error)

    def wait(self) -> None:
        if self.marks is not None and not self.marks.ready():
            self.error = "the kernel did not take the table that marks our packets"

    def close(self) -> None:
        if self.tap is not None:
            self.tap.close()
        if self.marks is not None:
            self.marks.end()


class Watch:
    """All namespaces of this host."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.selector = selectors.DefaultSelector()
        self._request, self._own, self._vxlan = request, request["port"], request["vxlan"]
        self._token = (request.get("token") or "").encode()
        self._said: set[bytes] = set()
        self._places = [Place(name) for name in request["places"]]
        self._seen: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    def begin(self) -> dict[str, Any]:
        for place in self._places:
            place.open(self._request)
        for place in self._places:
            place.wait()
            if place.tap is not None:
                self.selector.register(place.tap, selectors.EVENT_READ, (self._see, place))
            if place.marks is not None:
                self.selector.register(place.marks.monitor, selectors.EVENT_READ, (self._hear, place))
        return {"errors": self._errors()}

    def _errors(self) -> dict[str, str]:
        return {place.name: place.error for place in self._places if place.error}

    def _see(self, place: Place) -> None:
        assert place.tap is not None
        for data, interface, way, at in sight.heard(place.tap, AT_ONCE):
            packet = sight.read(data, self._vxlan)
            if packet is None or len(self._seen) >= MOST:
                continue
            if way == _OTHERHOST and place.name.startswith("pid:"):
                continue  # it came to the interface, and its MAC is somebody else's
            ours = self._ours(packet)
            token = bool(packet.payload) and self._known(packet, ours)
            if ours or token or packet.flags & (sight.SYN | sight.RST):
                self._seen.append({
                    "source": packet.source, "sport": packet.sport, "address": packet.address, "dport": packet.dport,
                    "seq": packet.seq, "ack": packet.ack, "flags": packet.flags, "token": token, "ns": place.name,
                    "interface": interface, "out": way == _OUTGOING, "at": at, "outer": packet.outer,
                })  # fmt: skip

    def _known(self, packet: sight.Packet, ours: bool) -> bool:
        """Whether it says what our request says."""
        if ours and packet.sport == self._own:
            self._said.add(packet.payload[:ALIKE])
        return (bool(self._token) and self._token in packet.payload) or packet.payload[:ALIKE] in self._said

    def _hear(self, place: Place) -> None:
        assert place.marks is not None
        for _ in range(AT_ONCE):
            try:
                data = place.marks.monitor.recv(1 << 17)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                place.error = "the kernel lost trace messages"
                continue
            if len(self._events) < MOST:
                self._events += [self._event(place.name, *found) for found in place.trace.read(data)]

    def _ours(self, packet: sight.Packet) -> bool:
        return not packet.dport or self._own in (packet.sport, packet.dport)

    def _event(self, place: str, packet: sight.Packet, said: nftrace.Message) -> dict[str, Any]:
        return {
            "ns": place, "family": said.family, "table": said.table, "chain": said.chain, "handle": said.handle,
            "kind": said.kind, "verdict": said.verdict, "seq": packet.seq, "ack": packet.ack, "flags": packet.flags,
            "own": self._ours(packet),
        }  # fmt: skip

    def turn(self, seconds: float) -> bool:
        """Whether anything came."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            if key.data is not None:
                key.data[0](key.data[1])
        return bool(ready)

    def report(self) -> dict[str, Any]:
        until = time.monotonic() + _LAST_S
        while self.turn(_QUIET_S) and time.monotonic() < until:
            pass
        return {"seen": self._seen, "events": self._events, "rules": list(self._rules()), "errors": self._errors()}

    def _rules(self) -> Iterator[list[Any]]:
        tables = {(event["ns"], event["family"], event["table"]) for event in self._events}
        for ns, family, table in sorted(tables):
            if not table.startswith(marks.PREFIX):
                yield from ([ns, family, table, *rule] for rule in marks.rules(ns, family, table))

    def close(self) -> None:
        for place in self._places:
            place.close()
