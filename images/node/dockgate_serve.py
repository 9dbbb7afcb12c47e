"""The answering side: responders, whom they see, and the kernel's trace. A process of its own that ends by itself.

Each responder answers on one address, only where nothing else listens. Invariant: what was begun ends with ``collect``
or after ``seconds``, and the trace table is gone with it.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockgate_frames import FIRST_PORT, UNTRACKED, Decision, Packet, Trace, read_packet, watch
from dockgate_spaces import SPACES, CannotDo, open_socket, run

ETH = {4: 0x0800, 6: 0x86DD}
MOST_SEEN = 200_000
TRACE_TABLE = """\
table inet dockgate_verify
delete table inet dockgate_verify
table inet dockgate_verify {{
	chain c_mark {{
		tcp sport {first}-65535 tcp flags & (fin | syn | rst | ack) == syn meta nftrace set 1
		udp sport {first}-65535 meta nftrace set 1
		icmp type echo-request icmp id {first}-65535 meta nftrace set 1
		icmpv6 type echo-request icmpv6 id {first}-65535 meta nftrace set 1
	}}
	chain c_raw {{
		type filter hook prerouting priority -311; policy accept;
		jump c_mark
		iifname != "lo" tcp sport {low}-{high} notrack
	}}
	chain c_output {{
		type filter hook output priority -311; policy accept;
		jump c_mark
	}}
}}
"""


@dataclass
class Server:
    """Everything that answers or listens while a verification runs."""

    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    failed: list[str] = field(default_factory=list)
    seen: set[tuple[Any, ...]] = field(default_factory=set)
    decided: list[tuple[str, Decision]] = field(default_factory=list)
    traced: list[str] = field(default_factory=list)
    lost: bool = False

    def respond(self, wanted: dict[str, Any]) -> None:
        """A port that is taken is one that answers by itself."""
        kind = socket.SOCK_STREAM if wanted["protocol"] == "tcp" else socket.SOCK_DGRAM
        try:
            sock = open_socket(wanted["address"], kind)
            if wanted["protocol"] == "tcp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((wanted["address"], wanted["port"]))
            if wanted["protocol"] == "tcp":
                sock.listen(1024)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                self.failed.append(f"answer on {wanted['address']} {wanted['protocol']} {wanted['port']}: {error}")
            return
        self._add(sock, _accept if wanted["protocol"] == "tcp" else _echo)

    def watch(self, name: str) -> None:
        for version in (4, 6):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH[version]))
            watch(sock, version=version)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self._add(sock, lambda sock: self._see(name, sock))

    def trace(self, name: str) -> None:
        table = TRACE_TABLE.format(first=FIRST_PORT, low=UNTRACKED[0], high=UNTRACKED[1])
        run("nft", "-f", "-", feed=table)
        self.traced.append(name)
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        sock.bind((0, 0))
        sock.setsockopt(270, 1, 9)  # NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE
        trace = Trace()
        self._add(sock, lambda sock: self._decide(name, trace, sock))

    def _add(self, sock: socket.socket, react: Any) -> None:
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, react)

    def _see(self, name: str, sock: socket.socket) -> None:
        data, place = sock.recvfrom(2048)
        packet = read_packet(data)
        if packet is not None and place[2] != socket.PACKET_OUTGOING and len(self.seen) < MOST_SEEN:
            self.seen.add((name, *_place(packet)))

    def _decide(self, name: str, trace: Trace, sock: socket.socket) -> None:
        try:
            self.decided += [(name, each) for each in trace.read(sock.recv(1 << 17))]
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.lost = True

    def turn(self, seconds: float) -> bool:
        """Whether anything happened."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            with suppress(BlockingIOError, ConnectionError):
                key.data(key.fileobj)
        return bool(ready)

    def end(self) -> None:
        for name in self.traced:
            with suppress(CannotDo, OSError), SPACES.inside(name):
                run("nft", "delete", "table", "inet", "dockgate_verify")

    def report(self) -> dict[str, Any]:
        decided = [
            [name, *_place(each.packet), each.family, each.table, each.chain, each.verdict]
            for name, each in self.decided
        ]
        return {"seen": sorted(self.seen), "decided": decided, "lost": self.lost}


def _place(packet: Packet) -> tuple[str, str, int, str, int]:
    return packet.protocol, packet.source, packet.sport, packet.address, packet.dport


def _accept(sock: socket.socket) -> None:
    sock.accept()[0].close()


def _echo(sock: socket.socket) -> None:
    data, sender = sock.recvfrom(2048)
    sock.sendto(data, sender)


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Answers when the background process is up."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        if not said:
            raise CannotDo("the answering side ended before it was up")
        answer: dict[str, Any] = json.loads(said)
        if "error" in answer:
            raise CannotDo(answer["error"])
        return answer
    os.close(reading)
    _serve_in_background(request, writing)
    os._exit(0)


def _serve_in_background(request: dict[str, Any], writing: int) -> None:
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    server = Server()
    told: dict[str, Any] = {}
    control: socket.socket | None = None
    try:
        control = _control(request["token"])
        _set_up(server, request)
        told = {"failed": server.failed, "rules": {name: _rules(name) for name in request["trace"]}}
    except (CannotDo, OSError) as error:
        told = {"error": str(error)}
    os.write(writing, json.dumps(told).encode())
    os.close(writing)
    if control is not None and "error" not in told:
        _serve_until(server, control, time.monotonic() + float(request["seconds"]))
    server.end()
    if control is not None:
        Path(_control_path(request["token"])).unlink(missing_ok=True)


def _set_up(server: Server, request: dict[str, Any]) -> None:
    by_name: dict[str, list[dict[str, Any]]] = {name: [] for name in request["watch"]}
    for wanted in request["responders"]:
        by_name.setdefault(wanted["ns"], []).append(wanted)
    for name, responders in by_name.items():
        try:
            with SPACES.inside(name):
                for wanted in responders:
                    server.respond(wanted)
                if name in request["watch"]:
                    server.watch(name)
        except OSError as error:
            server.failed.append(f"{name}: {error}")
    for name in request["trace"]:
        with SPACES.inside(name):
            server.trace(name)


def _rules(name: str) -> dict[str, str] | None:
    """The comment of each chain of our firewall's table, None where there is no such table."""
    with SPACES.inside(name):
        try:
            listed = json.loads(run("nft", "-j", "list", "table", "inet", "dockgate"))
        except CannotDo:
            return None
    rules = (entry["rule"] for entry in listed["nftables"] if "rule" in entry)
    return {rule["chain"]: rule["comment"] for rule in rules if "comment" in rule}


def _control_path(token: str) -> str:
    if not token.isalnum():
        raise CannotDo("the token is not one")
    return f"/dev/shm/dockgate-reach-{token}"


def _control(token: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        sock.bind(_control_path(token))
    finally:
        os.umask(old)
    sock.listen(1)
    return sock


def _serve_until(server: Server, control: socket.socket, deadline: float) -> None:
    server.selector.register(control, selectors.EVENT_READ, None)
    while time.monotonic() < deadline:
        for key, _ in server.selector.select(0.5):
            if key.fileobj is control:
                server.selector.unregister(control)
                while server.turn(0.05):
                    pass
                with control.accept()[0] as asker:
                    server.end()
                    asker.sendall(json.dumps(server.report()).encode())
                return
            with suppress(BlockingIOError, ConnectionError):
                key.data(key.fileobj)


def collect(request: dict[str, Any]) -> Any:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(_control_path(request["token"]))
        said = b""
        while data := sock.recv(1 << 20):
            said += data
    return json.loads(said)
