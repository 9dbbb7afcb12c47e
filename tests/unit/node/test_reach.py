"""The probe program's packets, filters and traces, and the outcomes that need no network namespace of their own."""

from __future__ import annotations

import errno
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.programs import IMAGES, program


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    return {f"dockgate_{name}": program("node", name) for name in ("frames", "spaces", "probe", "serve", "reach")}


@pytest.fixture(scope="module")
def frames(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["dockgate_frames"]


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


MAC = "02:00:00:00:00:01"


def test_a_syn_by_hand_is_one_that_a_kernel_would_take(frames: ModuleType) -> None:
    packet = frames.syn_frame(MAC, MAC, "192.0.2.1", "127.0.0.1", sport=61_000, port=80)[14:]
    assert checksum(packet[:20]) == 0xFFFF
    pseudo = packet[12:20] + struct.pack("!BBH", 0, 6, 20)
    assert checksum(pseudo + packet[20:]) == 0xFFFF
    found = frames.read_packet(packet)
    assert (found.protocol, found.source, found.sport, found.address, found.dport) == (
        "tcp", "192.0.2.1", 61_000, "127.0.0.1", 80)  # fmt: skip


def test_its_ipv6_twin_too(frames: ModuleType) -> None:
    frame = frames.syn_frame(MAC, MAC, "2001:db8::1", "fd00::2", sport=61_001, port=443)
    assert frame[12:14] == b"\x86\xdd"
    packet = frame[14:]
    pseudo = packet[8:40] + struct.pack("!II", 20, 6)
    assert checksum(pseudo + packet[40:]) == 0xFFFF
    assert frames.read_packet(packet).address == "fd00::2"


def test_a_forged_overlay_frame_carries_the_inner_packet(frames: ModuleType) -> None:
    frame = frames.vxlan_frame(
        MAC,
        MAC,
        "192.168.50.254",
        "192.168.50.11",
        sport=61_002,
        port=4789,
        vni=4097,
        inner=("10.0.1.9", "10.0.1.2", 61_002, 59_999),
    )
    outer = frames.read_packet(frame[14:])
    assert (outer.protocol, outer.source, outer.dport) == ("udp", "192.168.50.254", 4789)
    vxlan = outer.rest[8:]
    assert struct.unpack("!II", vxlan[:8]) == (0x08000000, 4097 << 8)
    inner = frames.read_packet(vxlan[8 + 14 :])
    assert (inner.source, inner.address, inner.sport, inner.dport) == ("10.0.1.9", "10.0.1.2", 61_002, 59_999)


def run_filter(code: list[tuple[int, int, int, int]], packet: bytes) -> int:
    """A packet filter as the kernel runs it, with the few instructions that ours has."""
    at, a, x = 0, 0, 0
    while True:
        op, yes, no, k = code[at]
        at += 1
        if op == 0x30:
            a = packet[k]
        elif op == 0x28:
            a = int.from_bytes(packet[k : k + 2], "big")
        elif op == 0x48:
            a = int.from_bytes(packet[x + k : x + k + 2], "big")
        elif op == 0xB1:
            x = (packet[k] & 15) * 4
        elif op in (0x15, 0x35):
            at += yes if (a == k if op == 0x15 else a >= k) else no
        else:
            assert op == 0x06
            return k


@pytest.mark.parametrize(("sport", "seen"), [(61_000, True), (65_535, True), (60_999, False), (40_000, False)])
def test_a_filter_lets_our_probes_through_and_nothing_else(frames: ModuleType, sport: int, seen: bool) -> None:
    v4 = frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=sport, port=80)[14:]
    v6 = frames.syn_frame(MAC, MAC, "2001:db8::1", "2001:db8::2", sport=sport, port=80)[14:]
    assert bool(run_filter(frames._filter4(0), v4)) == seen
    assert bool(run_filter(frames._filter6(0), v6)) == seen


@pytest.mark.parametrize(("ident", "seen"), [(61_000, True), (1234, False)])
def test_pings_are_known_by_their_identifier(frames: ModuleType, ident: int, seen: bool) -> None:
    echo = frames.echo_request(ident, 4)
    assert checksum(echo) == 0xFFFF
    packet = frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=1, port=1)[14:34]
    packet = packet[:9] + b"\x01" + packet[10:] + echo
    assert bool(run_filter(frames._filter4(0), packet)) == seen
    assert frames.read_packet(packet).sport == ident


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(
    ident: int, kind: int, chain: str, *, code: int | None = None, packet: bytes = b"", policy: int | None = None
) -> bytes:
    """One trace message as the kernel writes it."""
    body = attribute(6, struct.pack("!I", ident)) + attribute(4, struct.pack("!I", kind))
    body += attribute(1, b"dockgate\0") + attribute(2, chain.encode() + b"\0")
    if packet:
        body += attribute(8, packet[:20]) + attribute(9, packet[20:40])
    if code is not None:
        body += attribute(5 | 0x8000, attribute(1, struct.pack("!i", code)))
    if policy is not None:
        body += attribute(16, struct.pack("!I", policy))
    return struct.pack("=IHHII", 20 + len(body), 0x0A11, 0, 0, 0) + struct.pack("!BBH", 1, 0, 0) + body


def decided(frames: ModuleType, *messages: bytes) -> list[tuple[int, str, str]]:
    trace = frames.Trace()
    return [(d.packet.sport, d.chain, d.verdict) for each in messages for d in trace.read(each)]


def test_a_trace_tells_which_rule_dropped_which_packet(frames: ModuleType) -> None:
    one, two = (frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=s, port=80)[14:] for s in (61_001, 61_002))
    told = decided(
        frames,
        message(7, 3, "c_forward", code=-3, packet=one) + message(8, 3, "c_forward", code=-3, packet=two),
        message(8, 3, "r_1", code=1) + message(7, 3, "r_21", code=0),
    )
    assert told == [(61_002, "r_1", "accept"), (61_001, "r_21", "drop")]


def test_an_id_that_the_kernel_uses_again_stands_for_the_later_packet(frames: ModuleType) -> None:
    one, two = (frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=s, port=80)[14:] for s in (61_001, 61_002))
    told = decided(
        frames,
        message(7, 3, "c_raw", code=0, packet=one),
        message(7, 3, "c_raw", code=-3, packet=two),
        message(7, 3, "r_2", code=0),
    )
    assert told == [(61_001, "c_raw", "drop"), (61_002, "r_2", "drop")]


def test_a_chains_policy_drops_too_and_its_accept_decides_nothing(frames: ModuleType) -> None:
    packet = frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=61_001, port=80)[14:]
    assert decided(frames, message(7, 1, "FORWARD", policy=0, packet=packet)) == [(61_001, "FORWARD", "drop")]
    assert decided(frames, message(7, 1, "FORWARD", policy=1, packet=packet)) == []


def test_what_is_not_ours_is_not_told(frames: ModuleType) -> None:
    packet = frames.syn_frame(MAC, MAC, "192.0.2.1", "192.0.2.2", sport=40_000, port=80)[14:]
    assert decided(frames, message(7, 3, "r_1", code=0, packet=packet)) == []


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.EPERM, "dropped"),
        (errno.ETIMEDOUT, "dropped"),
        (errno.EADDRNOTAVAIL, "probe_failed"),
        (errno.EMFILE, "probe_failed"),
    ],
)
def test_an_error_is_a_word_about_the_network_only_if_it_is_one(
    modules: dict[str, ModuleType], number: int, outcome: str
) -> None:
    assert modules["dockgate_probe"].outcome_of(OSError(number, "x")) == outcome


def ask(verb: str, request: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(IMAGES / "node/dockgate_reach.py"), verb, json.dumps(request)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def job(kind: str, protocol: str, port: int, *, source: str = "127.0.0.1", **more: object) -> dict[str, object]:
    return {"ns": "host", "kind": kind, "protocol": protocol, "source": source, "address": "127.0.0.1", "port": port,
            "sport": 0, "wait_s": 0.3, **more}  # fmt: skip


def test_probes_tell_open_refused_dropped_and_failed_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port, quiet = server.getsockname()[1], silent.getsockname()[1]
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            closed = unused.getsockname()[1]
            jobs = [
                job("connect", "tcp", port),
                job("connect", "tcp", closed),
                job("connect", "udp", quiet),
                job("connect", "tcp", port, source="192.0.2.77"),
                job("connect", "tcp", port) | {"ns": "pid:0"},
            ]
            done = ask("probe", {"jobs": jobs})
    answers = json.loads(done.stdout)
    assert [outcome for outcome, _, _ in answers] == ["open", "refused", "dropped", "probe_failed", "probe_failed"]


def test_a_request_that_makes_no_sense_is_an_error_in_words() -> None:
    assert ask("dance", {}).returncode == 1
    assert "usage" in json.loads(ask("dance", {}).stdout)["error"]


def test_listeners_are_read_as_the_kernel_writes_them(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    rest = "00000000:00000000 00:00000000 00000000     0        0 95612 1 0000000000000000 100 0 0 10 0"
    own = struct.unpack("=I", socket.inet_aton("127.0.0.1"))[0]
    (tmp_path / "tcp").write_text(
        f"{head}   0: {own:08X}:0050 00000000:0000 0A {rest}\n   1: {own:08X}:0051 00000000:0000 01 {rest}\n"
    )
    (tmp_path / "udp6").write_text(f"{head}   0: {'0' * 32}:0035 {'0' * 32}:0000 07 {rest}\n")
    assert modules["dockgate_spaces"].listening(str(tmp_path)) == [["tcp", "127.0.0.1", 80], ["udp", "::", 53]]
