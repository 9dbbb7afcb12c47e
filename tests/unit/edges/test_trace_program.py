"""The watching program's reading of bytes: its packet filter, packets in VXLAN, and the kernel's trace messages."""

from __future__ import annotations

import socket
import struct

import pytest

from dockgate.edges import trace_program as program
from dockgate.edges import tracing
from dockgate.trace.model import Ends

SYN = 2


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


def passes(code: list[tuple[int, int, int, int]], data: bytes) -> bool:
    """What the kernel does with a filter, as far as ours use it."""
    at, a, x = 0, 0, 0
    while True:
        kind, yes, no, value = code[at]
        at += 1
        if kind == 0x30:
            a = data[value]
        elif kind == 0xB1:
            x = (data[value] & 15) * 4
        elif kind == 0x48:
            a = int.from_bytes(data[x + value : x + value + 2], "big")
        elif kind == 0x15:
            at += yes if a == value else no
        elif kind == 0x05:
            at += value
        else:
            assert kind == 0x06
            return value > 0


@pytest.mark.parametrize(
    ("data", "passed"),
    [
        (tcp(28305, 80), True),
        (tcp(80, 28305), True),
        (tcp(28305, 443, options=bytes(8)), True),
        (tcp(50000, 8080), True),
        (tcp(50000, 443), False),
        (vxlan(tcp(1, 2)), True),
        (udp(53, b"x" * 20), False),
        (bytes([0x45, *[0] * 8, 1, *[0] * 30]), False),
    ],
)
def test_the_filter_lets_our_ports_and_vxlan_through(data: bytes, passed: bool) -> None:
    assert passes(program.packet_filter([28305, 8080]), data) is passed


def test_the_filter_holds_no_jump_that_is_too_far_for_many_ports() -> None:
    code = program.packet_filter(list(range(1, 5000)))
    assert max(max(yes, no) for _, yes, no, _ in code) < 256
    assert passes(code, tcp(program.MOST_PORTS, 9999))
    assert not passes(code, tcp(9999, 9998))


def test_a_packet_in_vxlan_is_read_with_what_is_around_it() -> None:
    found = program.packet_of(vxlan(tcp(40000, 80, payload=b"GET /")))
    assert found is not None
    assert found["outer"] == ["192.168.50.11", "192.168.50.12", 4097]
    assert (found["sport"], found["dport"], found["seq"], found["payload"]) == (40000, 80, 7, b"GET /")


@pytest.mark.parametrize("data", [b"", b"\x45", tcp(1, 2)[:30], vxlan(b""), udp(4789, b"short"), b"\x60" + bytes(60)])
def test_what_is_no_whole_packet_is_none(data: bytes) -> None:
    assert program.packet_of(data) is None


def attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + bytes(-length % 4)


def message(*attributes: bytes, family: int = 2) -> bytes:
    body = bytes([family, 0, 0, 0]) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 0x0A11, 0, 0, 0) + body


def test_a_trace_message_without_headers_is_of_the_packet_with_its_id() -> None:
    packet = tcp(28305, 80)
    base = [attribute(6, b"\0\0\0\1"), attribute(1, b"filter\0"), attribute(2, b"DOCKER\0")]
    jump = attribute(5, attribute(1, struct.pack("!i", -3)))
    drop = attribute(5, attribute(1, struct.pack("!i", 0)))
    rule = attribute(4, (3).to_bytes(4, "big"))
    first = message(*base, rule, jump, attribute(8, packet[:20]), attribute(9, packet[20:]))
    second = message(*base, rule, drop, attribute(3, (28).to_bytes(8, "big")))
    stranger = message(attribute(6, b"\0\0\0\2"), rule, drop)
    events = list(program.Trace().read(first + second + stranger))
    assert [(e["verdict"], e["handle"], e["sport"]) for e in events] == [("jump", 0, 28305), ("drop", 28, 28305)]
    assert (events[1]["table"], events[1]["chain"], events[1]["family"]) == ("filter", "DOCKER", "ip")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": "", "neighbour": "192.168.50.11 dev eth0 REACHABLE", "down": ""}, ""),
        ({"error": "RTNETLINK answers: No route", "neighbour": "", "down": ""}, "there is no route (No route)"),
        ({"error": "", "neighbour": "192.168.50.11 dev eth0 FAILED", "down": ""}, "nobody answers for its address"),
        ({"error": "", "neighbour": "", "down": "eth0"}, "the link eth0 is down"),
    ],
)  # fmt: skip
def test_the_kernels_word_on_a_way_is_told_only_when_something_stands_in_it(said: dict[str, str], words: str) -> None:
    told = tracing.route(said)
    assert words in told
    assert bool(told) is bool(words)


def test_conntracks_tuples_are_read_there_and_back() -> None:
    line = (
        "tcp 6 112 TIME_WAIT src=192.168.50.100 dst=192.168.50.11 sport=28305 dport=80 "
        "src=172.17.0.2 dst=192.168.50.100 sport=80 dport=28305 [ASSURED] mark=0 use=1"
    )
    (there, back) = [[a, int(p), b, int(q)] for a, b, p, q in program.TUPLE.findall(line)]
    ((seat, first, second),) = tracing.connections("docker1", [[there, back]])
    assert seat == "docker1"
    assert first == Ends("192.168.50.100", 28305, "192.168.50.11", 80)
    assert second == Ends("172.17.0.2", 80, "192.168.50.100", 28305)


async def test_a_program_that_says_nonsense_is_an_error_and_no_evidence() -> None:
    async def write(text: str) -> None:
        del text

    async def read() -> str:
        return "Traceback: no such thing\n"

    watcher = tracing.Watcher("docker1", write, read)
    with pytest.raises(tracing.EngineError, match="docker1: could not report for the trace: Traceback"):
        await watcher.ask("report")
