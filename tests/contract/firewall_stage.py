"""A host with a bridge, two containers and a client, as network namespaces of this machine: real packets, no Docker.

Removes exactly the namespaces that it made, by the names it recorded. Nothing leaves them: there is no route out. The
sockets are opened by a thread that enters the namespace, so nothing runs in there but the kernel.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")
Outcome = Literal["open", "refused", "dropped"]

WAIT_S = 0.35
_NEWNET = 0x40000000
_LINKS = """\
link add eth0 type veth peer name eth0 netns {client}
link add docker0 type bridge forward_delay 0
link add va type veth peer name eth0 netns {web}
link add vb type veth peer name eth0 netns {lb}
link set va master docker0 up
link set vb master docker0 up
link set docker0 up
link set eth0 up
link set lo up
address add 192.168.50.11/24 dev eth0
address add fd00:50::11/64 dev eth0 nodad
address add 172.17.0.1/16 dev docker0
address add fd00:17::1/64 dev docker0 nodad
"""
_DOCKER = """\
table ip fakedocker {
	chain pre {
		type nat hook prerouting priority -100; policy accept;
		fib daddr type local iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80
		fib daddr type local iifname != "docker0" tcp dport 80 dnat to 172.17.0.3:80
	}
	chain post {
		type nat hook postrouting priority 100; policy accept;
		ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
	}
}
table ip6 fakedocker {
	chain pre {
		type nat hook prerouting priority -100; policy accept;
		fib daddr type local iifname != "docker0" tcp dport 8080 dnat to [fd00:17::2]:80
	}
	chain post {
		type nat hook postrouting priority 100; policy accept;
		ip6 saddr fd00:17::/64 oifname != "docker0" masquerade
	}
}
"""


def run(*argv: str, feed: str | None = None) -> str:
    done = subprocess.run(argv, input=feed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


class Stage:
    """``client``, ``host``, ``web``, ``lb``: names of the namespaces."""

    def __init__(self) -> None:
        self._made: list[str] = []
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._servers: list[socket.socket] = []
        self._idents = count(1)
        prefix = f"dgfw{os.getpid()}"
        self.client, self.host, self.web, self.lb = (f"{prefix}-{name}" for name in ("client", "host", "web", "lb"))

    def up(self) -> None:
        for name in (self.client, self.host, self.web, self.lb):
            run("ip", "netns", "add", name)
            self._made.append(name)
        run("ip", "-n", self.host, "-batch", "-", feed=_LINKS.format(client=self.client, web=self.web, lb=self.lb))
        for name, v4, v6 in ((self.web, "172.17.0.2/16", "fd00:17::2/64"), (self.lb, "172.17.0.3/16", "fd00:17::3/64")):
            self._plug(name, [v4, v6], ["default via 172.17.0.1", "default via fd00:17::1"])
        outside = [f"192.168.50.{last}/24" for last in (100, 101, 102, 12)]
        outside += [f"fd00:50::{last}/64" for last in (100, 102)]
        self._plug(self.client, outside, ["172.17.0.0/16 via 192.168.50.11", "fd00:17::/64 via fd00:50::11"])
        for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            self._inside(self.host, "sh", "-c", f"echo 1 >/proc/sys/{key}")
        for key in ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"):
            self._inside(self.host, "sh", "-c", f"echo 1 >/proc/sys/{key}")
        self._inside(self.host, "nft", "-f", "-", feed=_DOCKER)
        for name, ports in (
            (self.web, (80, 81)),
            (self.lb, (80,)),
            (self.host, (22, 8081, 8080)),
            (self.client, (9000, 9001)),
        ):
            for port in ports:
                self._serve_tcp(name, port)
        for name, port in ((self.host, 53), (self.host, 4789), (self.host, 54), (self.web, 53)):
            self._serve_udp(name, port)

        self._wait()

    def _wait(self) -> None:
        """Until the links carry both families: the kernel first makes sure that link-local addresses are free."""
        deadline = time.monotonic() + 15
        ways = [
            (self.client, "fd00:17::2"),
            (self.client, "172.17.0.2"),
            (self.lb, "fd00:17::2"),
            (self.web, "fd00:50::100"),
        ]
        while not all(self.ping(name, "", target) == "open" for name, target in ways):
            assert time.monotonic() < deadline, "the namespaces cannot reach each other"

    def down(self) -> None:
        for server in self._servers:
            server.close()
        for name in reversed(self._made):
            run("ip", "netns", "delete", name)

    # The host's rules.

    def check(self, text: str) -> None:
        self._inside(self.host, "nft", "-c", "-f", "-", feed=text)

    def load(self, text: str) -> None:
        self._inside(self.host, "nft", "-f", "-", feed=text)

    def lose_docker(self) -> None:
        self._inside(self.host, "nft", "delete table ip fakedocker; delete table ip6 fakedocker")

    def find_docker(self) -> None:
        self._inside(self.host, "nft", "-f", "-", feed=_DOCKER)

    def counts(self) -> dict[str, int]:
        """Packets by chain of a rule."""
        said = json.loads(self._inside(self.host, "nft", "-j", "list", "table", "inet", "dockgate"))
        found: dict[str, int] = {}
        for item in said["nftables"]:
            rule = item.get("rule", {})
            for part in rule.get("expr", ()):
                if "counter" in part and rule["chain"].startswith(("r_", "n_")):
                    found[rule["chain"]] = found.get(rule["chain"], 0) + part["counter"]["packets"]
        return found

    # Packets.

    def tcp(self, name: str, source: str, target: str, port: int) -> Outcome:
        with self.socket(name, _family(target), socket.SOCK_STREAM) as sock:
            sock.settimeout(WAIT_S)
            if source:
                sock.bind((source, 0))
            try:
                sock.connect((target, port))
            except TimeoutError:
                return "dropped"
            except OSError:
                return "refused"
        return "open"

    def udp(self, name: str, source: str, target: str, port: int) -> Outcome:
        with self.socket(name, _family(target), socket.SOCK_DGRAM) as sock:
            sock.settimeout(WAIT_S)
            if source:
                sock.bind((source, 0))
            sock.connect((target, port))
            try:
                sock.send(b"ping")
                sock.recv(100)
            except (TimeoutError, PermissionError):
                return "dropped"
            except OSError:
                return "refused"
        return "open"

    def ping(self, name: str, source: str, target: str) -> Outcome:
        """One echo request over a raw socket; whether its answer comes."""
        family = _family(target)
        v6 = family == socket.AF_INET6
        protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
        ident = next(self._idents)  # a repeated one would be an established flow
        with self.socket(name, family, socket.SOCK_RAW, protocol) as sock:
            sock.settimeout(WAIT_S)
            if source:
                sock.bind((source, 0))
            head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, ident, 1)
            try:
                sock.sendto(head if v6 else _with_checksum(head, 2), (target, 0))
                while True:
                    answer, (sender, *_) = sock.recvfrom(500)
                    icmp = answer if v6 else answer[(answer[0] & 15) * 4 :]
                    if icmp[0] == (129 if v6 else 0) and icmp[4:6] == head[4:6] and sender == target:
                        return "open"
            except (TimeoutError, PermissionError):  # the kernel tells the sender of a drop in its own output
                return "dropped"

    def ack(self, name: str, source: str, target: str, port: int) -> None:
        """A TCP packet from the middle of a connection that never was."""
        with self.socket(name, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
            sock.bind((source, 0))
            head = struct.pack("!HHIIBBHHH", 45678, port, 1000, 2000, 5 << 4, 0x10, 1024, 0, 0)
            pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(head))
            total = _checksum(pseudo + head)
            sock.sendto(head[:16] + struct.pack("!H", total) + head[18:], (target, 0))

    def frame(self, target: str, port: int) -> None:
        """A SYN from the client to the host's own MAC, for any address: no routing asked."""
        link = json.loads(run("ip", "-n", self.host, "-j", "link", "show", "eth0"))[0]["address"]
        own = json.loads(run("ip", "-n", self.client, "-j", "link", "show", "eth0"))[0]["address"]
        tcp = struct.pack("!HHIIBBHHH", 45679, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
        pseudo = socket.inet_aton("192.168.50.100") + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0)
        ip = _with_checksum(ip + socket.inet_aton("192.168.50.100") + socket.inet_aton(target), 10)
        ether = bytes.fromhex(link.replace(":", "")) + bytes.fromhex(own.replace(":", "")) + b"\x08\x00"
        with self.socket(self.client, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as sock:
            sock.bind(("eth0", 0))
            sock.send(ether + ip + tcp)

    def socket(self, name: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that belongs to a namespace, whoever uses it."""
        return self._within(name, lambda: socket.socket(family, kind, protocol))

    @contextmanager
    def echo(self, target: str, port: int) -> Iterator[list[float | str]]:
        """A running echo from the client until the block ends: each answer's time, or what went wrong."""
        sock = self.socket(self.client, socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(5)
        sock.connect((target, port))
        said: list[float | str] = []
        stop = threading.Event()

        def talk() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                text = f"{number:08}".encode()
                try:
                    sock.sendall(text)
                    if sock.recv(8) != text:
                        said.append("another answer")
                except OSError as error:
                    said.append(str(error))
                    return
                said.append(float(number))

        talker = threading.Thread(target=talk)
        talker.start()
        yield said
        stop.set()
        talker.join()
        sock.close()

    def _plug(self, name: str, addresses: list[str], routes: list[str]) -> None:
        lines = ["link set lo up", "link set eth0 up"]
        lines += [f"address add {address} dev eth0{' nodad' if ':' in address else ''}" for address in addresses]
        run("ip", "-n", name, "-batch", "-", feed="\n".join([*lines, *(f"route add {route}" for route in routes), ""]))

    def _inside(self, name: str, *argv: str, feed: str | None = None) -> str:
        return run("nsenter", f"--net=/run/netns/{name}", *argv, feed=feed)

    def _within(self, name: str, do: Callable[[], T]) -> T:
        """Run ``do`` in a thread of its own that is in the namespace."""
        found: list[T] = []
        wrong: list[BaseException] = []

        def enter() -> None:
            with Path(f"/run/netns/{name}").open() as file:
                if self._libc.setns(file.fileno(), _NEWNET) != 0:
                    wrong.append(OSError(ctypes.get_errno(), f"cannot enter {name}"))
                    return
            try:
                found.append(do())
            except OSError as error:
                wrong.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if wrong:
            raise wrong[0]
        return found[0]

    def _serve_tcp(self, name: str, port: int) -> None:
        server = self.socket(name, socket.AF_INET6, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        server.listen(64)
        self._servers.append(server)
        threading.Thread(target=_accept, args=(server,), daemon=True).start()

    def _serve_udp(self, name: str, port: int) -> None:
        server = self.socket(name, socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        self._servers.append(server)
        threading.Thread(target=_answer, args=(server,), daemon=True).start()


def _accept(server: socket.socket) -> None:
    while True:
        try:
            sock, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(sock,), daemon=True).start()


def _echo(sock: socket.socket) -> None:
    with sock:
        try:
            while data := sock.recv(4096):
                sock.sendall(data)
        except OSError:
            return


def _answer(server: socket.socket) -> None:
    while True:
        try:
            data, sender = server.recvfrom(4096)
            server.sendto(data, sender)
        except OSError:
            if server.fileno() < 0:
                return


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def _with_checksum(data: bytes, at: int) -> bytes:
    return data[:at] + struct.pack("!H", _checksum(data)) + data[at + 2 :]
