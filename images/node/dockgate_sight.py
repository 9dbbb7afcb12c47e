"""A packet at an interface: which ones a packet socket shows, and what stands in them. For dockgate_trace.py.

TCP over IPv4 and IPv6, echo requests and answers (whose sequence number is our port), and IPv4 inside VXLAN. Of the
ports that others use as well only the first packets and those with words in them are shown, so that a busy service
does not drown its trace. Invariant: what is no whole packet is None.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

SNAP = 700
MOST_PORTS = 100
SYN, RST, PSH, ACK = 0x02, 0x04, 0x08, 0x10
ECHO = {(1, 8): SYN, (1, 0): SYN | ACK, (58, 128): SYN, (58, 129): SYN | ACK}
"""An echo request is told as the first packet of a session, its answer as the second."""


@dataclass(frozen=True)
class Packet:
    """``outer``: source, target and network number of the VXLAN packet around it."""

    source: str
    sport: int
    address: str
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    outer: tuple[str, str, int] | None = None


# --- which packets are shown

Line = tuple[int, int, int, int]
_LDB, _LDH, _LDB_X, _LDH_X, _LDX_IHL = 0x30, 0x28, 0x50, 0x48, 0xB1
_AND, _JUMP, _EQUAL, _ANY_OF, _RETURN = 0x54, 0x05, 0x15, 0x45, 0x06
_LEFT_OUT, _TAKEN = (_RETURN, 0, 0, 0), (_RETURN, 0, 0, SNAP)
_INNER = 8 + 8 + 14
"""From the UDP header of a VXLAN packet to the IP packet in it."""


def packet_filter(own: int, ports: Sequence[int], vxlan: int) -> list[Line]:
    """``own``: the port of our request, of which everything is shown."""
    ports = sorted(set(ports) - {own})[:MOST_PORTS]
    inner = [
        *_unless(_LDH_X, _INNER - 2, 0x0800),
        *_unless(_LDB_X, _INNER, 0x45),
        (_LDB_X, 0, 0, _INNER + 9),
        *_choice({6: _tcp(own, ports, _INNER + 20), 1: _echo(own, _INNER + 20)}),
    ]
    four = [
        (_LDX_IHL, 0, 0, 0),
        (_LDB, 0, 0, 9),
        *_choice(
            {
                6: _tcp(own, ports, 0),
                1: _echo(own, 0),
                17: [*_unless(_LDH_X, 2, vxlan), *inner],
            }
        ),
    ]
    six = [(_LDB, 0, 0, 6), *_choice({6: _own(own, 40), 58: _echo(own, 40, x=False)})]
    return [(_LDB, 0, 0, 0), (_AND, 0, 0, 0xF0), *_choice({0x40: four, 0x60: six})]


def _choice(cases: dict[int, list[Line]]) -> list[Line]:
    """By what was loaded; each case ends by itself."""
    code: list[Line] = []
    for value, lines in cases.items():
        code += [(_EQUAL, 1, 0, value), (_JUMP, 0, 0, len(lines)), *lines]
    return [*code, _LEFT_OUT]


def _unless(load: int, at: int, value: int) -> list[Line]:
    """Go on with this value, and leave the packet out with any other."""
    return [(load, 0, 0, at), (_EQUAL, 1, 0, value), _LEFT_OUT]


def _own(own: int, at: int) -> list[Line]:
    return [(_LDH, 0, 0, at), (_EQUAL, 2, 0, own), (_LDH, 0, 0, at + 2), (_EQUAL, 0, 1, own), _TAKEN, _LEFT_OUT]


def _echo(own: int, at: int, *, x: bool = True) -> list[Line]:
    return [*_unless(_LDH_X if x else _LDH, at + 6, own), _TAKEN]


def _tcp(own: int, ports: Sequence[int], at: int) -> list[Line]:
    """To a port of the list: what begins, ends or says something; from it: what begins or ends."""
    way = [(_LDB_X, 0, 0, at + 13), (_ANY_OF, 0, 1, SYN | RST | PSH), _TAKEN, _LEFT_OUT]
    back = [(_LDB_X, 0, 0, at + 13), (_ANY_OF, 0, 1, SYN | RST), _TAKEN, _LEFT_OUT]
    return [
        (_LDH_X, 0, 0, at), (_EQUAL, 2, 0, own), (_LDH_X, 0, 0, at + 2), (_EQUAL, 0, 1, own), _TAKEN,
        *_among(ports, way), (_LDH_X, 0, 0, at), *_among(ports, back), _LEFT_OUT,
    ]  # fmt: skip


def _among(ports: Sequence[int], then: list[Line]) -> list[Line]:
    """``then`` where what was loaded is one of the ports, else on behind it."""
    tests = [(_EQUAL, len(ports) - number, 0, port) for number, port in enumerate(ports)]
    return [*tests, (_JUMP, 0, 0, len(then)), *then]


def tap(code: Sequence[Line]) -> socket.socket:
    """A packet socket of this namespace with the kernel's time on every packet."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # ETH_P_ALL
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code), ctypes.addressof(buffer)))  # SO_ATTACH_FILTER
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    sock.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    sock.setblocking(False)
    return sock


def heard(sock: socket.socket, most: int) -> Iterator[tuple[bytes, str, int, int]]:
    """Data, interface, the kernel's word on its direction, and time (microseconds) of what has come."""
    for _ in range(most):
        try:
            data, extra, _, end = sock.recvmsg(SNAP, 64)
        except BlockingIOError:
            return
        seconds, nanos = struct.unpack("qq", extra[0][2][:16]) if extra else (0, 0)
        yield data, end[0], end[2], seconds * 1_000_000 + nanos // 1000


# --- what stands in them


def read(data: bytes, vxlan: int) -> Packet | None:
    """From the network header on."""
    if len(data) > 58 and data[0] >> 4 == 4 and data[9] == 17:
        udp = data[(data[0] & 15) * 4 :]
        if int.from_bytes(udp[2:4], "big") != vxlan or udp[28:30] != b"\x08\x00":
            return None
        inner = _plain(udp[_INNER:])
        ends = [socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16)]
        return replace(inner, outer=(ends[0], ends[1], int.from_bytes(udp[12:15], "big"))) if inner else None
    return _plain(data)


def _plain(data: bytes) -> Packet | None:
    if len(data) >= 28 and data[0] >> 4 == 4:
        return headers(data, data[(data[0] & 15) * 4 :])
    return headers(data, data[40:]) if len(data) >= 48 and data[0] >> 4 == 6 else None


def headers(network: bytes, transport: bytes) -> Packet | None:
    if network[0] >> 4 == 4:
        number, ends = network[9], [socket.inet_ntop(socket.AF_INET, network[at : at + 4]) for at in (12, 16)]
    else:
        number, ends = network[6], [socket.inet_ntop(socket.AF_INET6, network[at : at + 16]) for at in (8, 24)]
    if number == 6 and len(transport) >= 20:
        sport, dport, seq, ack = struct.unpack("!HHII", transport[:12])
        payload = transport[(transport[12] >> 4) * 4 :]
        return Packet(ends[0], sport, ends[1], dport, seq, ack, transport[13], payload)
    flags = ECHO.get((number, transport[0])) if len(transport) >= 8 else None
    if flags is None:
        return None
    seq = int.from_bytes(transport[6:8], "big")
    return Packet(ends[0], 0, ends[1], 0, seq, seq + 1 if flags & ACK else 0, flags, transport[8:])
