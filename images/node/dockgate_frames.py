"""Packets by hand, and the few that we want to see: frames, packet filters, and the kernel's word on who dropped what.

Pure functions over bytes, for dockgate_reach.py. Standard library only. Our probes are recognised by their source port
(ICMP: identifier), which lies above the range that the kernel gives to clients.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import dockgate_nftrace as nftrace

FIRST_PORT, LAST_PORT = 61_000, 65_299
UNTRACKED = (65_300, 65_535)
"""Source ports of probes that conntrack, and so Docker's translation, must not touch."""

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}


@dataclass(frozen=True)
class Packet:
    """What a header says. For ICMP ``sport`` is the identifier and ``dport`` 0."""

    protocol: str
    source: str
    sport: int
    address: str
    dport: int
    rest: bytes = b""

    @property
    def ours(self) -> bool:
        return FIRST_PORT <= self.sport <= UNTRACKED[1]


def read_packet(data: bytes) -> Packet | None:
    """From the network header on; None if it is not one of the protocols that we send."""
    if len(data) < 28:
        return None
    if data[0] >> 4 == 4:
        start, number = (data[0] & 15) * 4, data[9]
        source, address = (socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16))
    else:
        start, number = 40, data[6]
        source, address = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    return _packet(number, source, address, data[start:])


def _packet(number: int, source: str, address: str, rest: bytes) -> Packet | None:
    protocol = _PROTOCOLS.get(number)
    if protocol is None or len(rest) < 8:
        return None
    if protocol == "icmp":
        return Packet(protocol, source, int.from_bytes(rest[4:6], "big"), address, 0, rest)
    sport, dport = struct.unpack("!HH", rest[:4])
    return Packet(protocol, source, sport, address, dport, rest)


# --- packet filters


def watch(sock: socket.socket, *, version: int, answers: bool = False) -> None:
    """Let a packet socket see our probes only (``answers``: only what comes back for them), whatever else passes."""
    port = 2 if answers else 0
    code = _filter4(port) if version == 4 else _filter6(port)
    packed = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(packed)
    program = struct.pack("HL", len(code), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER


_LDB, _LDH, _LDH_X, _LDX_IHL = 0x30, 0x28, 0x48, 0xB1
_JEQ, _JGE, _RET = 0x15, 0x35, 0x06


def _filter4(port: int) -> list[tuple[int, int, int, int]]:
    return [
        (_LDB, 0, 0, 9),
        (_LDX_IHL, 0, 0, 0),
        (_JEQ, 0, 2, 1),
        (_LDH_X, 0, 0, 4),
        (_JGE, 4, 5, FIRST_PORT),
        (_JEQ, 1, 0, 6),
        (_JEQ, 0, 3, 17),
        (_LDH_X, 0, 0, port),
        (_JGE, 0, 1, FIRST_PORT),
        (_RET, 0, 0, 2048),
        (_RET, 0, 0, 0),
    ]


def _filter6(port: int) -> list[tuple[int, int, int, int]]:
    return [
        (_LDB, 0, 0, 6),
        (_JEQ, 0, 2, 58),
        (_LDH, 0, 0, 44),
        (_JGE, 4, 5, FIRST_PORT),
        (_JEQ, 1, 0, 6),
        (_JEQ, 0, 3, 17),
        (_LDH, 0, 0, 40 + port),
        (_JGE, 0, 1, FIRST_PORT),
        (_RET, 0, 0, 2048),
        (_RET, 0, 0, 0),
    ]


# --- frames


def syn_frame(to: str, own: str, source: str, address: str, *, sport: int, port: int) -> bytes:
    """An Ethernet frame with a TCP SYN in it, for any address, whatever a routing table would say."""
    tcp = struct.pack("!HHIIBBHHH", sport, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    tcp = summed(tcp, 16, _pseudo(source, address, 6, len(tcp)))
    return _ether(to, own, _ip(source, address, 6, tcp), ":" in address)


def vxlan_frame(
    to: str, own: str, source: str, address: str, *, sport: int, port: int, vni: int, inner: tuple[str, str, int, int]
) -> bytes:
    """A VXLAN packet to a UDP port, with a UDP packet in it: ``inner`` is its source, destination and ports."""
    inside, target, inner_sport, inner_port = inner
    frame = _ether("ff:ff:ff:ff:ff:ff", "02:42:00:00:00:fe", _udp(inside, target, inner_sport, inner_port, b"x"), False)
    payload = struct.pack("!II", 0x08000000, vni << 8) + frame
    return _ether(to, own, _udp(source, address, sport, port, payload), False)


def echo_request(ident: int, version: int) -> bytes:
    """ICMP; for IPv6 the kernel fills in the checksum."""
    head = struct.pack("!BBHHH", 8 if version == 4 else 128, 0, 0, ident, 1) + b"dockgate"
    return summed(head, 2, b"") if version == 4 else head


def _udp(source: str, address: str, sport: int, port: int, payload: bytes) -> bytes:
    datagram = struct.pack("!HHHH", sport, port, 8 + len(payload), 0) + payload
    return _ip(source, address, 17, summed(datagram, 6, _pseudo(source, address, 17, len(datagram))))


def _ip(source: str, address: str, protocol: int, payload: bytes) -> bytes:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(address).packed
    if ":" in address:
        return struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64) + ends + payload
    return summed(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + ends, 10, b"") + payload


def _pseudo(source: str, address: str, protocol: int, length: int) -> bytes:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(address).packed
    return ends + (struct.pack("!II", length, protocol) if ":" in address else struct.pack("!BBH", 0, protocol, length))


def _ether(to: str, own: str, packet: bytes, v6: bool) -> bytes:
    return bytes.fromhex(to.replace(":", "")) + bytes.fromhex(own.replace(":", "")) + (
        b"\x86\xdd" if v6 else b"\x08\x00"
    ) + packet  # fmt: skip


def summed(data: bytes, at: int, pseudo: bytes) -> bytes:
    """With its internet checksum."""
    whole = pseudo + data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return data[:at] + struct.pack("!H", total) + data[at + 2 :]


# --- the kernel's trace


@dataclass(frozen=True)
class Decision:
    """A packet of ours met a verdict: where, and in which chain."""

    packet: Packet
    family: str
    table: str
    chain: str
    verdict: str


class Trace:
    """The decisions about packets of ours in the kernel's trace messages."""

    def __init__(self) -> None:
        self._messages = nftrace.Trace(_headers)

    def read(self, data: bytes) -> Iterator[Decision]:
        for packet, said in self._messages.read(data):
            if packet.ours and said.decided:
                yield Decision(packet, said.family, said.table, said.chain, said.decided)


def _headers(network: bytes, transport: bytes) -> Packet | None:
    if network[0] >> 4 == 4:
        source, address = (socket.inet_ntop(socket.AF_INET, network[at : at + 4]) for at in (12, 16))
        return _packet(network[9], source, address, transport)
    source, address = (socket.inet_ntop(socket.AF_INET6, network[at : at + 16]) for at in (8, 24))
    return _packet(network[6], source, address, transport)
