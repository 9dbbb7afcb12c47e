"""The doctor's program: what it reads out of packets that anybody may send."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from types import ModuleType

import pytest
from tests.programs import IMAGES, program


@pytest.fixture(scope="module")
def doctor() -> ModuleType:
    return program("node", "doctor")


def datagram(doctor: ModuleType, words: object, head: bytes = b"") -> bytes:
    return bytes(28) + head + bytes(doctor.MAGIC) + json.dumps(words).encode() + b"\0" * 30


def test_a_datagram_of_this_round_for_this_host_is_heard(doctor: ModuleType) -> None:
    for head in (b"", bytes(8)):
        packet = datagram(doctor, ["t", "docker2", "docker1", "vxlan"], head)
        assert doctor._understood(packet, "t", "docker1") == {("docker2", "vxlan")}


@pytest.mark.parametrize(
    "words", [["old", "docker2", "docker1", "vxlan"], ["t", "docker2", "docker3", "vxlan"], ["t"], 7, None]
)
def test_a_datagram_of_anything_else_is_not(doctor: ModuleType, words: object) -> None:
    assert doctor._understood(datagram(doctor, words), "t", "docker1") == set()


def test_somebodys_traffic_is_not(doctor: ModuleType) -> None:
    for packet in (b"", bytes(20), bytes(1500), bytes(28) + doctor.MAGIC, bytes(28) + doctor.MAGIC + b"\xff\xfe\0"):
        assert doctor._understood(packet, "t", "docker1") == set()


def test_dns_addresses_are_read_behind_names_of_both_forms(doctor: ModuleType) -> None:
    name = b"\x04web1\0"
    record = struct.pack("!HHIH", 1, 1, 600, 4)
    answer = struct.pack("!6H", 1, 0x8180, 1, 2, 0, 0) + name + struct.pack("!HH", 1, 1)
    answer += b"\xc0\x0c" + record + socket.inet_aton("10.0.1.4") + name + record + socket.inet_aton("10.0.1.5")
    assert doctor._read(answer) == {"addresses": ["10.0.1.4", "10.0.1.5"], "code": 0}


def test_a_name_that_dns_does_not_know_has_no_address(doctor: ModuleType) -> None:
    answer = struct.pack("!6H", 1, 0x8183, 1, 0, 0, 0) + b"\x04web1\0" + struct.pack("!HH", 1, 1)
    assert doctor._read(answer) == {"addresses": [], "code": 3}


def test_a_dns_answer_that_is_cut_short_is_an_error_and_not_empty(doctor: ModuleType) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(server.getsockname())
        server.sendto(b"\0\1\x81\x80\0\1\0\1", client.getsockname())
        assert "error" in doctor._reply(client, doctor.time.monotonic())


@pytest.mark.parametrize("arguments", [["no-such-verb"], ["look"], ["look", "not json"]], ids=" ".join)
def test_a_request_that_cannot_be_read_ends_as_an_error_in_json(arguments: list[str]) -> None:
    argv = [sys.executable, str(IMAGES / "node/dockgate_doctor.py"), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error" in json.loads(done.stdout)
