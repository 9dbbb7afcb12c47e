"""A real HAProxy for the contract tests: a process of the lab's base image, in a network of its own, with a fake DNS.

Everything is on the loopback of a private network namespace: the process (in a chroot, as user 99), Docker's DNS played
at 127.0.0.11:53, and members at 127.1.0.0/16. Ends only the processes that it started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from dockgate.haproxy.stats import running
from dockgate.model.observed import RunningHaproxy

CLONE_NEWNET = 0x40000000
DEADLINE_S = 10.0


@contextmanager
def private_network() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace of its own with nothing but a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "a private network namespace needs root")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
            yield
        finally:
            if libc.setns(before, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "could not go back to the network namespace of before")
    finally:
        os.close(before)


def vanish(address: str, tools: Path) -> None:
    """Drop every packet from and to ``address`` in this network. ``tools``: a file system that has nft."""
    drop = f"add rule ip t c ip saddr {address} drop\nadd rule ip t c ip daddr {address} drop\n"
    chain = "add table ip t\nadd chain ip t c { type filter hook input priority 0; }\n"
    subprocess.run(["chroot", tools, "nft", "-f", "-"], input=chain + drop, text=True, check=True)


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S, every_s: float = 0.01) -> None:
    """Until ``condition`` holds; fails with ``what`` at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(every_s)


@dataclass
class Haproxy:
    """One HAProxy of one version. ``root``: its file system."""

    root: Path
    process: subprocess.Popen[bytes] | None = None

    def put(self, files: tuple[tuple[str, str], ...]) -> None:
        """Files that a configuration names, beside it."""
        for name, text in files:
            (self.root / "etc/haproxy" / name).write_text(text)

    def check(self, text: str) -> tuple[int, str]:
        """What ``haproxy -c`` says: exit code and output."""
        (self.root / "etc/haproxy/candidate.cfg").write_text(text)
        command = ["chroot", str(self.root), "haproxy", "-c", "-f", "/etc/haproxy/candidate.cfg"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def start(self, text: str) -> None:
        """Master and worker as the image starts them; returns when the runtime socket answers."""
        self._place(text)
        self.clear()
        inside = ["haproxy", "-W", "-S", "/run/haproxy/master.sock,mode,600", "-f", "/etc/haproxy/haproxy.cfg"]
        command = ["chroot", "--userspec=99:99", str(self.root), *inside]
        with (self.root / "run/haproxy/log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers, "HAProxy answers on its runtime socket")

    def reload(self, text: str) -> None:
        """Configuration replaced, master told; returns when the new worker runs."""
        self._place(text)
        before = self.running().pid
        answer = self.ask("reload", "master.sock")
        assert "Success=1" in answer, answer
        wait_until(lambda: self._answers() and self.running().pid != before, "the new worker answers")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
            self.process = None

    def ask(self, command: str, name: str = "admin.sock") -> str:
        """One command on a socket of HAProxy, and its whole answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(str(self.root / "run/haproxy" / name))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while data := connection.recv(65536):
                answer += data
            return answer.decode()

    def running(self) -> RunningHaproxy:
        return running(self.ask("show info"), self.ask("show stat"))

    def status(self, pool: str, server: str) -> str:
        return next(each.status for each in self.running().servers if (each.pool, each.name) == (pool, server))

    def log(self) -> str:
        return (self.root / "run/haproxy/log").read_text()

    def clear(self) -> None:
        """Nothing of an earlier process is left: no sockets, no state."""
        for path in (self.root / "run/haproxy").iterdir():
            path.unlink()

    def _place(self, text: str) -> None:
        (self.root / "etc/haproxy/haproxy.cfg").write_text(text)

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log()
        try:
            return bool(self.ask("show info"))
        except (FileNotFoundError, ConnectionRefusedError):
            return False


class FakeDns:
    """Docker's DNS as a container with ndots:1 sees it: A records, and an empty answer for a name that is not there."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.11", 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.11", 53))
        self._thread.join(DEADLINE_S)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(8192)
            if not query:
                return
            if not self.silent:
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        addresses = self.names.get(".".join(labels), []) if query[at + 1 : at + 3] == b"\0\1" else []
        records = [b"\xc0\x0c\0\1\0\1\0\0\2\x58\0\4" + socket.inet_aton(address) for address in addresses]
        head = query[:2] + b"\x81\x80\0\1" + len(records).to_bytes(2, "big") + b"\0\0\0\0"
        return head + question + b"".join(records)


@dataclass
class WebMember:
    """A web server at ``address``:``port``. Its fault knobs may be turned at any time.

    ``status``: what it answers, checks included. ``dies``: it takes a request and closes without a word.
    ``may_answer``: while cleared, requests wait. ``received``: method and path of every request that reached it; checks
    (``/check``) are apart in ``checks``.
    """

    address: str
    port: int = 8080
    status: int = 200
    dies: bool = False
    content_type: str = "text/plain"
    received: list[str] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        member = self
        self.may_answer.set()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while member.serve(cast(BinaryIO, self.rfile), cast(BinaryIO, self.wfile)):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 2048  # thousands of servers are checked at about the same time

        self._server = Server((self.address, self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join(DEADLINE_S)
        self._server.server_close()

    def serve(self, rfile: BinaryIO, wfile: BinaryIO) -> bool:
        """One request; False when the connection is over."""
        try:
            head = rfile.readline().decode().split()
            if len(head) < 2:
                return False
            length = 0
            while (header := rfile.readline().strip().lower()) not in (b"",):
                if header.startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            rfile.read(length)
            if head[1] == "/check":
                self.checks.append(time.monotonic())
            else:
                self.received.append(f"{head[0]} {head[1]}")
                self.may_answer.wait(DEADLINE_S)
                if self.dies:
                    return False
            body = b"" if head[0] == "HEAD" else self.address.encode()
            kind = f"Content-Type: {self.content_type}\r\n"
            wfile.write(f"HTTP/1.1 {self.status} x\r\n{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except OSError:
            return False
        return True
