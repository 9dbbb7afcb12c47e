"""The trace program's reading of bytes: its packet filter, packets in VXLAN, the kernel's trace messages, conntrack."""

from __future__ import annotations

import socket
import struct
from types import ModuleType

import pytest
from tests.programs import program

SYN, ACK, PSH = 2, 16, 8
OWN, VXLAN = 28305, 4789


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    return {name: program("node", name) for name in ("sight", "nftrace", "tables", "send")}


@pytest.fixture(scope="module")
def sight(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["sight"]


def tcp(sport: int, dport: int, *, flags: int = SYN, payload: bytes = b"", options: bytes = b"") -> bytes:
    head = struct.pack("!BBHHHBBH", 0x40 | (5 + len(options) // 4), 0, 40, 1, 0, 64, 6, 0)
    ends = socket.inet_aton("192.168.50.100") + socket.inet_aton("192.168.50.11")
    return head + ends + options + struct.pack("!HHIIBBHHH", sport, dport, 7, 9, 5 << 4, flags, 1024, 0, 0) + payload


def udp(dport: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0)
    ends = socket.inet_aton("192.168.50.11") + socket.inet_aton("192.168.50.12")
    return head + ends + struct.pack("!HHHH", 33000, dport, 8 + len(payload), 0) + payload


def vxlan(inner: bytes, vni: int = 4097) -> bytes:
    return udp(4789, struct.pack("!II", 0x08000000, vni << 8) + bytes(12) + b"\x08\x00" + inner)


def six(sport: int, dport: int, number: int = 6, body: bytes = b"") -> bytes:
    head = struct.pack("!IHBB", 0x60000000, 20, number, 64) + socket.inet_pton(socket.AF_INET6, "fd00::1") * 2
    return head + (body or struct.pack("!HHIIBBHHH", sport, dport, 7, 9, 5 << 4, SYN, 1024, 0, 0))


def echo(seq: int, kind: int = 8) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 1, 0)
    ends = socket.inet_aton("172.17.0.1") + socket.inet_aton("172.17.0.5")
    return head + ends + struct.pack("!BBHHH", kind, 0, 0, 99, seq) + b"dockgate words"


def passes(code: list[tuple[int, int, int, int]], data: bytes) -> bool:
    """What the kernel does with a filter, as far as ours use it; a load beyond the packet leaves it out."""
    at, a, x = 0, 0, 0
    while True:
        kind, yes, no, value = code[at]
        at += 1
        if kind in (0x30, 0x50, 0x28, 0x48):
            begin, size = value + (x if kind in (0x50, 0x48) else 0), 1 if kind in (0x30, 0x50) else 2
            if begin + size > len(data):
                return False
            a = int.from_bytes(data[begin : begin + size], "big")
        elif kind == 0xB1:
            x = (data[value] & 15) * 4
        elif kind == 0x54:
            a &= value
        elif kind == 0x15:
            at += yes if a == value else no
        elif kind == 0x45:
            at += yes if a & value else no
        elif kind == 0x05:
            at += value
        else:
            assert kind == 0x06
            return value > 0


@pytest.mark.parametrize(
    ("data", "passed"),
    [
        (tcp(OWN, 80, flags=ACK), True),
        (tcp(80, OWN, flags=ACK), True),
        (tcp(OWN, 443, options=bytes(8)), True),
        (tcp(50000, 8080), True),
        (tcp(50000, 8080, flags=ACK | PSH, payload=b"GET"), True),
        (tcp(8080, 50000, flags=SYN | ACK), True),
        (tcp(50000, 8080, flags=ACK), False),
        (tcp(8080, 50000, flags=ACK | PSH, payload=b"HTTP"), False),
        (tcp(50000, 443), False),
        (vxlan(tcp(1, 8080)), True),
        (vxlan(tcp(8080, 1, flags=SYN | ACK)), True),
        (vxlan(tcp(1, 8080, flags=ACK)), False),
        (vxlan(tcp(1, 2)), False),
        (vxlan(echo(OWN)), True),
        (vxlan(echo(1)), False),
        (udp(53, b"x" * 90), False),
        (echo(OWN), True),
        (echo(OWN, 0), True),
        (echo(1), False),
        (six(OWN, 80), True),
        (six(80, OWN), True),
        (six(50000, 8080), False),
        (six(0, 0, 58, struct.pack("!BBHHH", 128, 0, 0, 1, OWN) + bytes(12)), True),
        (six(0, 0, 58, struct.pack("!BBHHH", 135, 0, 0, 1, 2) + bytes(12)), False),
        (b"", False),
        (b"\x45", False),
    ],
)
def test_the_filter_shows_what_may_be_ours_and_leaves_the_rest(sight: ModuleType, data: bytes, passed: bool) -> None:
    assert passes(sight.packet_filter(OWN, [8080], VXLAN), data or b"\0") is passed


def test_the_filter_takes_vxlan_at_the_swarms_own_port(sight: ModuleType) -> None:
    code = sight.packet_filter(OWN, [8080], 7777)
    assert passes(code, udp(7777, vxlan(tcp(1, 8080))[28:]))
    assert not passes(code, vxlan(tcp(1, 8080)))


def test_the_filter_holds_no_jump_that_is_too_far_for_many_ports(sight: ModuleType) -> None:
    code = sight.packet_filter(OWN, list(range(1, 5000)), VXLAN)
    assert max(max(yes, no) for _, yes, no, _ in code) < 256
    assert len(code) < 4096
    assert passes(code, tcp(9999, sight.MOST_PORTS))
    assert not passes(code, tcp(9999, 9998))


def test_a_packet_in_vxlan_is_read_with_what_is_around_it(sight: ModuleType) -> None:
    found = sight.read(vxlan(tcp(40000, 80, payload=b"GET /")), VXLAN)
    assert found.outer == ("192.168.50.11", "192.168.50.12", 4097)
    assert (found.sport, found.dport, found.seq, found.payload) == (40000, 80, 7, b"GET /")


def test_an_echo_is_the_first_packet_of_a_session_and_its_answer_the_second(sight: ModuleType) -> None:
    there, back = sight.read(echo(OWN), VXLAN), sight.read(echo(OWN, 0), VXLAN)
    assert (there.seq, there.flags, there.sport, there.dport) == (OWN, SYN, 0, 0)
    assert (back.ack - 1, back.flags) == (OWN, SYN | ACK)
    six_there = sight.read(six(0, 0, 58, struct.pack("!BBHHH", 128, 0, 0, 1, OWN) + bytes(12)), VXLAN)
    assert (six_there.seq, six_there.flags, six_there.source) == (OWN, SYN, "fd00::1")


@pytest.mark.parametrize("data", [b"", b"\x45", tcp(1, 2)[:30], vxlan(b""), udp(4789, b"short"), b"\x60" + bytes(60)])
def test_what_is_no_whole_packet_is_none(sight: ModuleType, data: bytes) -> None:
    assert sight.read(data, VXLAN) is None


def attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + bytes(-length % 4)


def message(*attributes: bytes, family: int = 2) -> bytes:
    body = bytes([family, 0, 0, 0]) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 0x0A11, 0, 0, 0) + body


def test_a_trace_message_without_headers_is_of_the_packet_with_its_id(modules: dict[str, ModuleType]) -> None:
    packet = tcp(OWN, 80)
    base = [attribute(6, b"\0\0\0\1"), attribute(1, b"filter\0"), attribute(2, b"DOCKER\0")]
    jump = attribute(5, attribute(1, struct.pack("!i", -3)))
    drop = attribute(5, attribute(1, struct.pack("!i", 0)))
    rule = attribute(4, (3).to_bytes(4, "big"))
    first = message(*base, rule, jump, attribute(8, packet[:20]), attribute(9, packet[20:]))
    second = message(*base, rule, drop, attribute(3, (28).to_bytes(8, "big")))
    stranger = message(attribute(6, b"\0\0\0\2"), rule, drop)
    read = modules["nftrace"].Trace(modules["sight"].headers).read(first + second + stranger)
    told = [(said.verdict, said.decided, said.handle, packet.sport, said.chain, said.family) for packet, said in read]
    assert told == [("jump", "", 0, OWN, "DOCKER", "ip"), ("drop", "drop", 28, OWN, "DOCKER", "ip")]


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        (
            "tcp 6 112 TIME_WAIT src=192.168.50.100 dst=192.168.50.11 sport=28305 dport=80 "
            "src=172.17.0.2 dst=192.168.50.100 sport=80 dport=28305 [ASSURED] mark=0 use=1",
            [["192.168.50.100", 28305, "192.168.50.11", 80], ["172.17.0.2", 80, "192.168.50.100", 28305]],
        ),
        (
            "icmp 1 29 src=172.17.0.5 dst=192.168.50.12 type=8 code=0 id=28305 "
            "src=192.168.50.12 dst=192.168.50.11 type=0 code=0 id=28305 mark=0 use=1",
            [["172.17.0.5", 0, "192.168.50.12", 0], ["192.168.50.12", 0, "192.168.50.11", 0]],
        ),
        ("conntrack v1.4.8: 0 flow entries have been shown.", []),
    ],
)
def test_conntracks_tuples_are_read_there_and_back(
    modules: dict[str, ModuleType], line: str, ends: list[list[object]]
) -> None:
    assert modules["tables"].ends(line) == ends


@pytest.mark.parametrize(
    ("icmp", "settled", "outcome", "error"),
    [
        (struct.pack("!BBHHH", 0, 0, 0, OWN, OWN), True, "answered", ""),
        (struct.pack("!BBHHH", 0, 0, 0, OWN, 1), False, "", ""),
        (
            struct.pack("!BBHI", 3, 13, 0, 0) + bytes(20) + struct.pack("!BBHHH", 8, 0, 0, OWN, OWN),
            True,
            "unreachable",
            "192.0.2.9 says: forbidden by a firewall",
        ),
        (struct.pack("!BBHI", 3, 1, 0, 0) + bytes(20) + struct.pack("!BBHHH", 8, 0, 0, 1, 2), False, "", ""),
        (b"", False, "", ""),
    ],
)
def test_an_echo_is_settled_by_its_own_answer_or_refusal_alone(
    modules: dict[str, ModuleType], icmp: bytes, settled: bool, outcome: str, error: str
) -> None:
    answer = {"outcome": "", "error": ""}
    assert modules["send"]._settled(icmp, "192.0.2.9", OWN, answer) is settled
    assert (answer["outcome"], answer["error"]) == (outcome, error)
