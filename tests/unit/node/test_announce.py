"""Gratuitous ARP: where it goes, what is in it, and one real announcement in a network namespace of our own."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

VIP = ipaddress.IPv4Address("10.10.10.150")

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0132A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t0032A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t000A0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
br-vip\t940A0A0A\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0
"""


def interfaces(node: ModuleType, *outward: str) -> list[object]:
    return [node.Interface("docker0", False), node.Interface("br-vip", False)] + [
        node.Interface(name, True) for name in outward
    ]


def test_the_device_asked_for_is_taken(node: ModuleType) -> None:
    chosen = node.choose_devices(VIP, device="docker0", interfaces=interfaces(node), routes=[])
    assert chosen == (["docker0"], "it was asked for")


def test_the_lan_whose_network_holds_the_address_is_taken_not_the_bridge_that_carries_it(node: ModuleType) -> None:
    devices, why = node.choose_devices(
        VIP, device="", interfaces=interfaces(node, "eth0", "eth1"), routes=node.read_routes(ROUTES)
    )
    assert devices == ["eth1"]
    assert "10.10.10.0/24" in why


def test_without_such_a_network_the_default_route_is_taken(node: ModuleType) -> None:
    address = ipaddress.IPv4Address("203.0.113.9")
    devices, why = node.choose_devices(
        address, device="", interfaces=interfaces(node, "eth0", "eth1"), routes=node.read_routes(ROUTES)
    )
    assert (devices, why) == (["eth0"], "it has the default route")


def test_without_any_route_every_lan_facing_interface_is_told(node: ModuleType) -> None:
    devices, _ = node.choose_devices(VIP, device="", interfaces=interfaces(node, "eth0", "eth1"), routes=[])
    assert devices == ["eth0", "eth1"]


@pytest.mark.parametrize("device", ["", "eth7"])
def test_no_interface_to_tell_is_an_error(node: ModuleType, device: str) -> None:
    with pytest.raises(node.CannotDo, match="interface"):
        node.choose_devices(VIP, device=device, interfaces=interfaces(node), routes=[])


def test_the_frames_are_a_request_and_a_reply_about_oneself(node: ModuleType) -> None:
    mac = bytes.fromhex("020000000001")
    request, reply = node.gratuitous_arp(mac, VIP)
    start = "ffffffffffff 020000000001 0806 0001 0800 06 04"
    assert request == bytes.fromhex(f"{start} 0001 020000000001 0a0a0a96 000000000000 0a0a0a96")
    assert reply == bytes.fromhex(f"{start} 0002 020000000001 0a0a0a96 ffffffffffff 0a0a0a96")


IN_A_NAMESPACE = """
import json, pathlib, socket, subprocess, sys, time

def ip(*words):
    subprocess.run(["ip", *words], check=True)

subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)  # the /sys of this namespace
ip("link", "set", "lo", "up")
ip("link", "add", "lan0", "type", "veth", "peer", "name", "far0")
ip("link", "add", "br-vip", "type", "bridge")
ip("link", "add", "veth1", "type", "veth", "peer", "name", "far1")
ip("link", "set", "veth1", "master", "br-vip")
for device in ("lan0", "far0", "br-vip", "veth1", "far1"):
    ip("link", "set", device, "up")
ip("addr", "add", "10.10.10.11/24", "dev", "lan0")
ip("addr", "add", "10.10.10.150/30", "dev", "br-vip")
# far0 is enslaved like a switch's port, so that only lan0 faces the LAN
ip("link", "add", "switch", "type", "bridge")
ip("link", "set", "far0", "master", "switch")
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # all: before the bridge takes it
ear.bind(("far0", 0))
ear.settimeout(5)
deadline = time.monotonic() + 10
while any(pathlib.Path("/sys/class/net", name, "operstate").read_text() != "up\\n" for name in ("lan0", "far0")):
    assert time.monotonic() < deadline, "the link does not come up"
    time.sleep(0.005)
done = subprocess.run([sys.executable, "-I", sys.argv[1], "announce", '{"address": "10.10.10.150", "interval_s": 0}'],
                      stdout=subprocess.PIPE, text=True)
heard = []
while len(heard) < 6:
    frame = ear.recv(2048)
    if frame[12:14] == b'\\x08\\x06' and frame[28:32] == bytes([10, 10, 10, 150]) == frame[38:42]:
        heard.append(frame[21])
print(json.dumps([json.loads(done.stdout), heard]))
"""


@pytest.mark.lab
def test_an_announcement_reaches_the_lan(program: Path) -> None:
    own = ["unshare", "--net", "--mount"]
    done = subprocess.run(
        [*own, sys.executable, "-I", "-c", IN_A_NAMESPACE, str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer, heard = json.loads(done.stdout)
    assert [device["device"] for device in answer["devices"]] == ["lan0"]
    assert answer["devices"][0]["frames"] == 6
    assert heard == [1, 2] * 3
