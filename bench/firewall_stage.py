"""A router between a client and many servers, as network namespaces: where the firewall's cost is measured.

Frames are made by hand and sent by a raw socket, so that the kernel's whole way of a packet (connection tracking, a
translation by one map look-up as on a Docker host, the rules, the way out) runs in the time of the call that sends it.
Both ends only count. Nothing leaves the namespaces; only those made here are removed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.firewall_world import FIRST_HOST_PORT, PORT, addresses

CLIENT, HOST = "192.168.50.100", "192.168.50.11"
_NEWNET = 0x40000000
_MACS = {"client": "02:00:00:00:00:01", "outside": "02:00:00:00:00:02", "inside": "02:00:00:00:00:03",
         "server": "02:00:00:00:00:04"}  # fmt: skip
_LINKS = """\
link add eth0 address {outside} type veth peer name eth0 address {client} netns {client_ns}
link add docker0 address {inside} type veth peer name eth0 address {server} netns {server_ns}
address add 192.168.50.11/24 dev eth0
address add 172.20.0.1/16 dev docker0
link set lo up
link set eth0 up
link set docker0 up
neighbour add 192.168.50.100 lladdr {client} dev eth0
"""
_HOOK = "type filter hook ingress device eth0 priority 0"
_DEAF = f"table netdev bench {{ chain c {{ {_HOOK}; meta l4proto tcp counter; drop; }}; }}"


def run(*argv: str, feed: str = "") -> str:
    done = subprocess.run(argv, input=feed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr[:2000]}")
    return done.stdout


class Stage:
    """``up`` before anything else, ``down`` at the end."""

    def __init__(self, services: int) -> None:
        self.services = services
        self.names = {name: f"dgbench{os.getpid()}-{name}" for name in ("client", "router", "server")}
        self._made: list[str] = []

    def up(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
            self._made.append(name)
        batch = _LINKS.format(**_MACS, client_ns=self.names["client"], server_ns=self.names["server"])
        neighbours = (f"neighbour add {addresses(n)[0]} lladdr {_MACS['server']} dev docker0" for n in self.numbers())
        run("ip", "-n", self.names["router"], "-batch", "-", feed=batch + "\n".join(neighbours) + "\n")
        for name in ("client", "server"):
            run("ip", "-n", self.names[name], "link", "set", "eth0", "up")
            self.inside(name, "nft", "-f", "-", feed=_DEAF)
        self.inside("router", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        elements = ", ".join(f"{FIRST_HOST_PORT + n} : {addresses(n)[0]}" for n in self.numbers())
        published = f"map m {{ type inet_service : ipv4_addr; elements = {{ {elements} }}; }}"
        chain = f"chain c {{ type nat hook prerouting priority -100; iifname eth0 dnat to tcp dport map @m : {PORT}; }}"
        self.inside("router", "nft", "-f", "-", feed=f"table ip published {{ {published}; {chain}; }}")

    def down(self) -> None:
        for name in reversed(self._made):
            run("ip", "netns", "delete", name)

    def numbers(self) -> range:
        return range(self.services)

    def inside(self, name: str, *argv: str, feed: str = "") -> str:
        return run("ip", "netns", "exec", self.names[name], *argv, feed=feed)

    def timed(self, *argv: str, feed: str) -> tuple[float, float]:
        """Seconds by the clock and of the processor, of a command in the router."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        self.inside("router", *argv, feed=feed)
        took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def arrived(self) -> int:
        """Packets that came out at the servers' end, so far."""
        said = self.inside("server", "nft", "list", "table", "netdev", "bench")
        return int(said.partition("packets ")[2].split()[0])

    def cost(self, frames: Sequence[bytes], *, at_once: int) -> list[float]:
        """Microseconds of processor time a packet, of each so many; each frame is sent once, from the client."""
        with self.socket("client") as sock:
            found = []
            for start in range(0, len(frames), at_once):
                part = frames[start : start + at_once]
                began = time.thread_time_ns()
                for frame in part:
                    sock.send(frame)
                found.append((time.thread_time_ns() - began) / 1000 / len(part))
        return found

    def establish(self, service: int, sport: int) -> bytes:
        """A connection in the router's eyes; the frame that goes on with it."""
        server = str(addresses(service)[0])
        port = FIRST_HOST_PORT + service
        with self.socket("client") as client, self.socket("server") as answering:
            client.send(segment((CLIENT, sport), (HOST, port), 0x02, (1000, 0)))
            answering.send(segment((server, PORT), (CLIENT, sport), 0x12, (5000, 1001), back=True))
        return segment((CLIENT, sport), (HOST, port), 0x10, (1001, 5001))

    @contextmanager
    def socket(self, name: str) -> Iterator[socket.socket]:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/self/ns/net").open() as home, Path("/run/netns", self.names[name]).open() as there:
            _enter(libc, there.fileno())
            try:
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                sock.bind(("eth0", 0))
            finally:
                _enter(libc, home.fileno())
        with sock:
            yield sock


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _NEWNET) != 0:
        raise SystemExit(f"setns: {os.strerror(ctypes.get_errno())}")


def segment(
    source: tuple[str, int], target: tuple[str, int], flags: int, numbers: tuple[int, int], *, back: bool = False
) -> bytes:
    """A TCP segment without data as an Ethernet frame; ``numbers``: sequence and acknowledgement. ``back``: from the
    servers' end."""
    macs = ("inside", "server") if back else ("outside", "client")
    ether = b"".join(bytes.fromhex(_MACS[name].replace(":", "")) for name in macs) + b"\x08\x00"
    ends = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    tcp = struct.pack("!HHIIBBHHH", source[1], target[1], *numbers, 0x50, flags, 64240, 0, 0)
    tcp = _summed(tcp, 16, ends + struct.pack("!HH", 6, len(tcp)))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0) + ends
    return ether + _summed(head, 10, b"") + tcp


def _summed(data: bytes, at: int, pseudo: bytes) -> bytes:
    """With its internet checksum."""
    total = sum(struct.unpack(f"!{(len(pseudo) + len(data)) // 2}H", pseudo + data))
    total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + data[at + 2 :]
