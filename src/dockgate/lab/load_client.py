"""The load client's engine: a constant rate of requests over keep-alive connections, every one accounted for.

Role: send, receive, judge, count. Requests are due at fixed times, whatever the answers do. One that is due opens a
missing connection, else goes out on the one that has been idle longest, else waits for one to become free. Its latency
counts from when it was due, so a stall shows in all requests that it held up (no coordinated omission).
It must not retry: a request fails when its connection fails. A connection that the other side closed *before* we sent
anything on it is no failure, so every connection is looked at right before it is used.
Invariant: each request that was due ends in exactly one call of ``Tally.good`` or ``Tally.bad``.
"""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from dockgate.lab.load_report import LoadReport
from dockgate.lab.load_tally import LoadJob, Request, Tally

SWEEP_S = 0.025
"""How often time-outs and the end of the run are looked at."""
MAX_HEAD = 65_536


class Connection(asyncio.Protocol):
    """One TCP connection; at most one request is on it at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.request: Request | None = None
        self.got = b""
        self.body_left: int | None = None
        self.server = b""
        self.status = b""
        self.last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)

    @property
    def usable(self) -> bool:
        """False once the other side has closed, also when the event loop has not heard of it yet."""
        return not self.transport.is_closing() and not self._poll.poll(0)

    def send(self, request: Request, now: float) -> None:
        request.sent = now
        self.request = request
        self.transport.write(self.load.render(request))

    def data_received(self, data: bytes) -> None:
        if self.request is None:
            self.transport.abort()
            return
        if self.body_left is None:
            if self.got:
                data = self.got + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.got = data
                if len(data) > MAX_HEAD:
                    self.fail("unreadable", "the answer's head does not end")
                return
            if not self._take_head(data[: end + 2]):
                return
            body = len(data) - end - 4
            assert self.body_left is not None
        else:
            body = len(data)
        self.body_left -= body
        if self.body_left <= 0:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.request is None:
            self.load.gone_idle(self)
        elif exc is not None:
            self.fail("reset" if isinstance(exc, ConnectionError) else "lost", str(exc))
        elif self.got or self.body_left is not None:
            self.fail("cut short", "the connection was closed in the middle of the answer")
        else:
            self.fail("closed", "the connection was closed without an answer")

    def fail(self, kind: str, detail: str) -> None:
        """Count the request as failed and give the connection up."""
        request, self.request = self.request, None
        assert request is not None
        self.transport.abort()
        self.load.failed(self, request, kind, detail)

    def _take_head(self, head: bytes) -> bool:
        lower = head.lower()
        length = _header(lower, lower, b"content-length")
        if not lower.startswith(b"http/1.") or not length.isdigit():
            self.fail("unreadable", repr(head[:60]))
            return False
        self.body_left = int(length)
        self.status = head[9:12]
        self.server = _header(lower, head, b"x-server")
        self.last = b"\r\nconnection: close" in lower
        echoed = _header(lower, head, b"x-request-id")
        assert self.request is not None
        if echoed and echoed != self.load.prefix + self.request.id:
            self.fail("mixed up", f"the answer is for request {echoed.decode('latin-1')}")
            return False
        return True

    def _finish(self) -> None:
        request, self.request = self.request, None
        assert request is not None
        if self.body_left:
            self.request = request
            self.fail("unreadable", "more bytes than the answer has")
            return
        self.got, self.body_left = b"", None
        self.load.answered(self, request)


def _header(lower: bytes, head: bytes, name: bytes) -> bytes:
    start = lower.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    return head[start : lower.find(b"\r\n", start)].strip()


class Load:
    """A run: paces, hands requests to connections, ends. Used once."""

    def __init__(self, job: LoadJob, *, should_stop: Callable[[], bool], on_steady: Callable[[], None]) -> None:
        self.job = job
        self._should_stop = should_stop
        self._on_steady = on_steady
        self._steady = False
        self._tls = _any_certificate() if job.url.startswith("https:") else None
        self._stopped_at: float | None = None
        self._due = 0
        self._idle: deque[Connection] = deque()
        self._waiting: deque[Request] = deque()
        self._busy: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._free = job.connections

    async def run(self) -> LoadReport:
        """Send until the job's time is over or ``should_stop`` says so, wait for the last answers, report."""
        self._loop = asyncio.get_running_loop()
        self._address = await self._resolve()
        self._tally = Tally(self.job, self._loop.time())
        self.prefix = f"{self._tally.run}-".encode()
        self._templates = _templates(self.job, self.prefix)
        gc.collect()
        gc.disable()
        try:
            self._pace()
            while not self._over():
                await asyncio.sleep(SWEEP_S)
                self._sweep()
        finally:
            gc.enable()
        assert self._stopped_at is not None
        report = self._tally.report(self._stopped_at)
        while self._idle:
            self._idle.pop().transport.abort()
        await asyncio.sleep(0)  # lets the event loop close them
        return report

    def stop(self) -> None:
        """No more requests from now on; those that are due already are still sent."""
        if self._stopped_at is None:
            self._stopped_at = self._loop.time()

    def render(self, request: Request) -> bytes:
        return self._templates[request.method].replace(b"\0", request.id)

    def answered(self, connection: Connection, request: Request) -> None:
        now = self._loop.time()
        self._busy.discard(connection)
        if connection.status == b"200":
            self._tally.good(request, connection.server, now)
        else:
            status = connection.status.decode("latin-1")
            by = connection.server.decode("latin-1") or "no server (no X-Server header)"
            self._tally.bad(request, kind=f"status {status}", detail=f"answered by {by}", now=now)
        if connection.last:
            connection.transport.abort()
            self._free += 1
        else:
            self._idle.append(connection)
        if self._waiting:
            self._hand_out(now)

    def failed(self, connection: Connection, request: Request, kind: str, detail: str) -> None:
        now = self._loop.time()
        self._tally.bad(request, kind=kind, detail=detail, now=now)
        self._busy.discard(connection)
        self._free += 1
        self._hand_out(now)

    def gone_idle(self, connection: Connection) -> None:
        """A connection ended while nothing was on it; it may have been given up already."""
        if connection in self._idle:
            self._idle.remove(connection)
            self._tally.idle_closes += 1
            self._free += 1

    async def _resolve(self) -> tuple[str, int]:
        parts = urlsplit(self.job.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.job.url!r} is neither an http:// nor an https:// URL")
        found = await self._loop.getaddrinfo(
            parts.hostname, parts.port or (443 if self._tls else 80), family=socket.AF_INET, type=socket.SOCK_STREAM
        )
        address: tuple[str, int] = found[0][4][:2]  # type: ignore[assignment]
        return address

    def _pace(self) -> None:
        """Hand out everything that is due, then come back when the next one is."""
        now = self._loop.time()
        start, rate = self._tally.start, self.job.rate
        if self.job.duration_s is not None and self._stopped_at is None and now >= start + self.job.duration_s:
            self._stopped_at = start + self.job.duration_s
        until = now if self._stopped_at is None else min(now, self._stopped_at)
        due = start + self._due / rate
        if now - due > self._tally.late:
            self._tally.late = now - due
        while due < until:
            post = self.job.method == "POST" or (self.job.method == "mixed" and self._due % 2 == 1)
            self._waiting.append(Request(self._due, "POST" if post else "GET", due))
            self._due += 1
            due = start + self._due / rate
        self._hand_out(now)
        if self._stopped_at is None:
            self._loop.call_at(due, self._pace)

    def _hand_out(self, now: float) -> None:
        waiting, idle = self._waiting, self._idle
        while waiting:
            if self._free:
                self._free -= 1
                task = self._loop.create_task(self._open_for(waiting.popleft(), now))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            elif idle:
                connection = idle.popleft()
                if connection.usable:
                    self._busy.add(connection)
                    connection.send(waiting.popleft(), now)
                else:
                    connection.transport.abort()
                    self._tally.idle_closes += 1
                    self._free += 1
            else:
                return

    async def _open_for(self, request: Request, now: float) -> None:
        """Open a connection and send this request on it: it is the one that fails if there is no connection."""
        request.sent = now
        self._tally.connects += 1
        try:
            async with asyncio.timeout(self.job.timeout_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self), *self._address, ssl=self._tls
                )
        except TimeoutError:
            self._not_open(request, "connect time-out", f"no connection within {self.job.timeout_s:g} s")
        except ConnectionRefusedError as error:
            self._not_open(request, "refused", str(error))
        except OSError as error:
            self._not_open(request, "no connection", str(error))
        else:
            self._busy.add(connection)
            connection.send(request, self._loop.time())

    def _not_open(self, request: Request, kind: str, detail: str) -> None:
        now = self._loop.time()
        self._tally.bad(request, kind=kind, detail=detail, now=now)
        self._free += 1
        self._hand_out(now)

    def _sweep(self) -> None:
        now = self._loop.time()
        oldest = now - self.job.timeout_s
        late = [connection for connection in self._busy if connection.request and connection.request.sent < oldest]
        for connection in late:
            connection.fail("time-out", f"no answer within {self.job.timeout_s:g} s")
        while self._waiting and self._waiting[0].due < oldest:
            request = self._waiting.popleft()
            request.sent = request.due
            detail = f"no connection was free within {self.job.timeout_s:g} s"
            self._tally.bad(request, kind="not sent", detail=detail, now=now)
        if not self._steady and self._tally.ok >= self.job.connections:
            self._steady = True
            self._on_steady()
        if self._should_stop():
            self.stop()

    def _over(self) -> bool:
        return self._stopped_at is not None and not (self._waiting or self._busy or self._opening)


def _any_certificate() -> ssl.SSLContext:
    """Whose certificate it is is not what a load is about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _templates(job: LoadJob, prefix: bytes) -> dict[str, bytes]:
    """The bytes of a request by method; a NUL stands for its number. A POST has a body of four bytes."""
    parts = urlsplit(job.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"Host: {parts.netloc}", "User-Agent: dockgate-load", f"X-Request-Id: {prefix.decode()}\0"]
    get = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])
    post = "\r\n".join([f"POST {path} HTTP/1.1", *lines, "Content-Length: 4", "", "load"])
    return {"GET": get.encode(), "POST": post.encode()}
