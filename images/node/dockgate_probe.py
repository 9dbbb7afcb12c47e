"""The asking side: every packet of a request at once, each from its own namespace, and what came back.

Invariant: what could not be sent is ``probe_failed``, never a word about the network.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dockgate_frames import echo_request, read_packet, syn_frame, vxlan_frame
from dockgate_spaces import SPACES, CannotDo, open_socket, version_of

ETH = {4: 0x0800, 6: 0x86DD}
IP_PKTINFO = 8
"""Python 3.11 has no name for it."""


@dataclass
class Attempt:
    """One job on its way."""

    job: dict[str, Any]
    outcome: str = ""
    error: str = ""
    text: str = ""
    sock: socket.socket | None = None

    def end(self, outcome: str, error: str = "") -> None:
        if not self.outcome:
            self.outcome, self.error = outcome, error
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def as_json(self) -> list[str]:
        return [self.outcome or "probe_failed", self.error, self.text]


def probe(request: dict[str, Any]) -> list[list[str]]:
    attempts = [Attempt(job) for job in request["jobs"]]
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.job["ns"], []).append(attempt)
    prober = Prober()
    with ThreadPoolExecutor(max_workers=16) as pool:
        for name, members in groups.items():
            try:
                with SPACES.inside(name):
                    for attempt in members:
                        prober.begin(attempt, pool)
            except (CannotDo, OSError) as error:
                for attempt in members:
                    attempt.end("probe_failed", f"{name}: {error}")
            prober.turn(0)
        prober.finish()
    return [attempt.as_json() for attempt in attempts]


class Prober:
    """All attempts at once on one selector; the few that talk at length each in a thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[int, tuple[float, Attempt]] = {}
        self._pings: dict[tuple[str, int], Pings] = {}

    def begin(self, attempt: Attempt, pool: ThreadPoolExecutor) -> None:
        """Called inside the attempt's namespace."""
        job = attempt.job
        try:
            if job["kind"] in ("frame", "vxlan"):
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH[version_of(job["address"])]))
                sock.bind((job["device"], 0))
                pool.submit(_guarded, _send_frame, attempt, sock)
            elif job["kind"] == "ask":
                pool.submit(_guarded, _ask, attempt, _bound(job))
            elif job["protocol"] == "icmp":
                self._ping(attempt)
            else:
                self._start(attempt)
        except PermissionError:
            attempt.end("dropped", "this host's own rules did not let it out")
        except OSError as error:
            attempt.end(outcome_of(error), _words(error))

    def _start(self, attempt: Attempt) -> None:
        job = attempt.job
        attempt.sock = sock = _bound(job)
        self._wait(sock, attempt, selectors.EVENT_WRITE if job["protocol"] == "tcp" else selectors.EVENT_READ)
        try:
            sock.connect((job["address"], job["port"]))
            if job["protocol"] == "udp":
                sock.send(b"dockgate")
        except BlockingIOError:
            pass
        except OSError:
            self._forget(sock)
            raise

    def _ping(self, attempt: Attempt) -> None:
        job = attempt.job
        key = (job["ns"], version_of(job["address"]))
        if key not in self._pings:
            pings = Pings(key[1])
            self._pings[key] = pings
            self._selector.register(pings.sock, selectors.EVENT_READ, pings)
        self._pings[key].send(attempt)
        self._waiting[id(attempt)] = (time.monotonic() + job["wait_s"], attempt)

    def _wait(self, sock: socket.socket, attempt: Attempt, event: int) -> None:
        self._selector.register(sock, event, attempt)
        self._waiting[id(attempt)] = (time.monotonic() + attempt.job["wait_s"], attempt)

    def _forget(self, sock: socket.socket) -> None:
        attempt = self._selector.unregister(sock).data
        self._waiting.pop(id(attempt), None)

    def turn(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Pings):
                key.data.read()
            else:
                self._settle(key.data)

    def _settle(self, attempt: Attempt) -> None:
        sock = attempt.sock
        assert sock is not None
        self._forget(sock)
        if attempt.job["protocol"] == "tcp":
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            error = OSError(code, os.strerror(code)) if code else None
        else:
            error = _received(sock)
        attempt.end(outcome_of(error) if error else "open", _words(error) if error else "")

    def finish(self) -> None:
        """Until each has its answer or its time is over."""
        while self._waiting:
            now = time.monotonic()
            for deadline, attempt in list(self._waiting.values()):
                if attempt.outcome:
                    self._waiting.pop(id(attempt), None)
                elif deadline <= now:
                    if attempt.sock is not None:
                        self._forget(attempt.sock)
                    self._waiting.pop(id(attempt), None)
                    attempt.end("dropped", f"no answer within {attempt.job['wait_s']:g} s")
            if self._waiting:
                self.turn(max(0.0, min(deadline for deadline, _ in self._waiting.values()) - now))


class Pings:
    """Echo requests of one namespace and family, told apart by identifier and address."""

    def __init__(self, version: int) -> None:
        self._version = version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        self.sock = socket.socket(family, socket.SOCK_RAW, protocol)
        self.sock.setblocking(False)
        self._open: dict[tuple[int, str], Attempt] = {}

    def send(self, attempt: Attempt) -> None:
        job = attempt.job
        self._open[job["sport"], job["address"]] = attempt
        packet = echo_request(job["sport"], self._version)
        source: tuple[int, int, bytes]
        if self._version == 4:
            source = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, _packed(job["source"]), bytes(4)))
        else:
            source = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _packed(job["source"]) + struct.pack("=I", 0))
        self.sock.sendmsg([packet], [source], 0, (job["address"], 0))

    def read(self) -> None:
        with suppress(BlockingIOError):
            data, (sender, *_) = self.sock.recvfrom(2048)
            icmp = data if self._version == 6 else data[(data[0] & 15) * 4 :]
            answer, unreachable = (0, 3) if self._version == 4 else (129, 1)
            if icmp[0] == answer:
                self._end(int.from_bytes(icmp[4:6], "big"), sender, "open", "")
            elif icmp[0] == unreachable:
                packet = read_packet(icmp[8:])
                if packet is not None:
                    self._end(packet.sport, packet.address, "unreachable", f"code {icmp[1]} from {sender}")

    def _end(self, ident: int, address: str, outcome: str, error: str) -> None:
        attempt = self._open.pop((ident, address), None)
        if attempt is not None:
            attempt.end(outcome, error)


def _guarded(do: Any, attempt: Attempt, sock: socket.socket) -> None:
    with sock:
        try:
            do(attempt, sock)
        except TimeoutError:
            attempt.end("dropped", f"no answer within {attempt.job['wait_s']:g} s")
        except OSError as error:
            attempt.end(outcome_of(error), _words(error))


def _send_frame(attempt: Attempt, sock: socket.socket) -> None:
    """A frame to a host's own MAC; whether a SYN-ACK (or a reset) comes back. VXLAN never answers."""
    job = attempt.job
    own = sock.getsockname()[4].hex(":")
    if job["kind"] == "vxlan":
        sock.send(vxlan_frame(job["mac"], own, job["source"], job["address"], sport=job["sport"], port=job["port"],
            vni=job["vni"], inner=(job["inner_source"], job["inner"], job["sport"], job["inner_port"])))  # fmt: skip
        return attempt.end("dropped", "sent; only the other side can tell")
    sock.send(syn_frame(job["mac"], own, job["source"], job["address"], sport=job["sport"], port=job["port"]))
    deadline = time.monotonic() + job["wait_s"]
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            break
        packet = read_packet(sock.recv(2048)[14:])
        if packet and packet.protocol == "tcp" and packet.dport == job["sport"]:
            flags = packet.rest[13]
            return attempt.end("open" if flags & 0x12 == 0x12 else "refused", "")
    return attempt.end("dropped", f"no answer within {job['wait_s']:g} s")


def _ask(attempt: Attempt, sock: socket.socket) -> None:
    """Connect, say something, and hand back the first of the answer."""
    job = attempt.job
    sock.settimeout(job["wait_s"])
    sock.connect((job["address"], job["port"]))
    attempt.outcome = "open"
    with suppress(OSError):
        sock.sendall(job["say"].encode())
        got = b""
        while len(got) < 2048 and (data := sock.recv(2048)):
            got += data
            attempt.text = got[:2048].decode("latin-1")


def _bound(job: dict[str, Any]) -> socket.socket:
    """A socket with our source address and port."""
    tcp = job["protocol"] == "tcp"
    sock = open_socket(job["address"], socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    if tcp:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((job["source"], job["sport"]))
    except OSError as error:
        sock.close()
        raise OSError(0, f"from {job['source']} port {job['sport']}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _received(sock: socket.socket) -> OSError | None:
    try:
        sock.recv(2048)
    except OSError as error:
        return error
    return None


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET if version_of(address) == 4 else socket.AF_INET6, address)


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def outcome_of(error: OSError) -> str:
    """What a failed call says about the network."""
    match error.errno:
        case errno.ECONNREFUSED | errno.ECONNRESET:
            return "refused"
        case errno.ETIMEDOUT | errno.EPERM:
            return "dropped"
        case errno.EHOSTUNREACH | errno.ENETUNREACH | errno.EHOSTDOWN | errno.ENETDOWN | errno.EACCES:
            return "unreachable"
    return "probe_failed"
