"""The kernel's word on the rules that a packet met: trace messages of nftables, read from bytes. Pure.

The headers of a packet stand in its first message for each base chain only; later ones carry the same id, which the
kernel uses again for later packets. Invariant: a message whose packet is not known is told to nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

NFPROTO = {1: "inet", 2: "ip", 7: "bridge", 10: "ip6"}
_TRACE = 0x0A11
_KINDS = {1: "policy", 2: "return", 3: "rule"}
_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
P = TypeVar("P")


@dataclass(frozen=True)
class Message:
    """A rule, or a chain's policy (handle 0), and what it said. ``kind``: "rule", "policy", "return"."""

    family: str
    table: str
    chain: str
    handle: int
    kind: str
    verdict: str

    @property
    def decided(self) -> str:
        """How it ended: "drop" by a rule or a policy, "accept" by a rule; "" for everything on the way."""
        final = ("drop",) if self.kind == "policy" else ("drop", "accept") if self.kind == "rule" else ()
        return self.verdict if self.verdict in final else ""


class Trace(Generic[P]):
    """Reads messages in the order in which they come. ``headers``: a packet from its network and transport header."""

    def __init__(self, headers: Callable[[bytes, bytes], P | None]) -> None:
        self._headers = headers
        self._packets: dict[bytes, P] = {}

    def read(self, data: bytes) -> Iterator[tuple[P, Message]]:
        at = 0
        while at + 20 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == _TRACE:
                found = _attributes(data, at + 20, at + length)
                packet = self._packet(found)
                if packet is not None:
                    yield packet, _message(data[at + 16], found)
            at += (length + 3) & ~3 if length >= 16 else len(data)

    def _packet(self, found: dict[int, bytes]) -> P | None:
        ident = found.get(6, b"")
        if 8 in found and 9 in found:
            packet = self._headers(found[8], found[9])
            if packet is not None:
                self._packets[ident] = packet
        return self._packets.get(ident)


def _message(family: int, found: dict[int, bytes]) -> Message:
    kind = _KINDS.get(int.from_bytes(found.get(4, b""), "big"), "")
    judged = found.get(5, b"")
    raw = found.get(16) if kind == "policy" else _attributes(judged, 0, len(judged)).get(1)
    table, chain = (found.get(key, b"").rstrip(b"\0").decode() for key in (1, 2))
    return Message(
        NFPROTO.get(family, str(family)),
        table,
        chain,
        int.from_bytes(found.get(3, b""), "big"),
        kind,
        _VERDICTS.get(int.from_bytes(raw, "big", signed=True), "") if raw else "",
    )


def _attributes(data: bytes, at: int, end: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found
