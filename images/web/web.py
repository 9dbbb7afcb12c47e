"""The demo backend: a small, fast HTTP/1.1 server that says who it is and remembers what it was sent.

    GET|HEAD any path     200, body "<name>\\n"
    GET  /slow?ms=N       the same, N milliseconds later
    GET  /status/CODE     answers with that status
    GET  /size/BYTES      a body of that many bytes
    GET  /info            JSON: name, pid, hostname, client, how the request looked when it arrived
    GET  /healthy         200, or 503 after POST /health?set=fail (then every HEAD answers 503 too: checks are HEADs)
    GET  /receipts        JSON: {X-Request-Id: how often it was received}
    POST any path         200; its X-Request-Id is a receipt

A receipt is taken when a POST's head is in, before the answer: what counts is that the request reached this server. It
goes to standard output ("received ID") at once, so that `docker logs` knows it after a kill -9.

Environment: PORT (80), ADDRESS (0.0.0.0), NAME (host name), START_DELAY (seconds before it listens), GRACEFUL=1
(SIGTERM finishes what is in flight; without it the process ends at once, the worst case for whoever asked).
Standard library only; one process, one thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs

MAX_HEAD = 65_536
MAX_SIZE = 1 << 30
MAX_SLOW_MS = 3_600_000
CHUNK = b"x" * 65_536


class BadRequest(Exception):
    """What the client sent is not HTTP/1.x as we understand it; the connection is closed after a 400."""


@dataclass
class Server:
    """What all connections share."""

    name: str
    receipts: Counter[str] = field(default_factory=Counter)
    healthy: bool = True
    stopping: bool = False
    connections: set[Connection] = field(default_factory=set)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)

    def receive(self, request_id: str) -> None:
        self.receipts[request_id] += 1
        os.write(1, f"received {request_id}\n".encode())

    def stop(self) -> None:
        """Take no more requests; idle connections are closed now, busy ones after their answer."""
        self.stopping = True
        for connection in list(self.connections):
            connection.close_if_idle()
        self.check_empty()

    def check_empty(self) -> None:
        if self.stopping and not self.connections:
            self.emptied.set()


@dataclass(frozen=True)
class Request:
    """A request's head. ``lower``: the head in lower case, each header line after CRLF."""

    method: bytes
    target: bytes
    version: bytes
    head: bytes
    lower: bytes

    def header(self, name: bytes) -> str:
        """The first value of a header, ``name`` in lower case; "" if there is none."""
        start = self.lower.find(b"\r\n" + name + b":")
        if start < 0:
            return ""
        start += len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : len(self.head) if end < 0 else end].strip().decode("latin-1")

    @property
    def keep_alive(self) -> bool:
        if self.version == b"HTTP/1.0":
            return b"\r\nconnection: keep-alive" in self.lower
        return b"\r\nconnection: close" not in self.lower


@dataclass(frozen=True)
class Answer:
    """``body`` None: ``size`` bytes of filling. ``after_s``: wait this long before it is sent."""

    status: int = 200
    body: bytes | None = b""
    content_type: bytes = b"text/plain"
    size: int = 0
    after_s: float = 0.0


class Connection(asyncio.Protocol):
    """One client connection: requests are answered one after the other, in order, also when they come pipelined."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.body_left = 0
        self.pending: tuple[Request, Answer] | None = None
        self.filling = 0
        self.close_after = False
        self.busy = False
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.client: str = peer[0] if peer else ""
        self.client_port: int = peer[1] if peer else 0
        self.prefix = f"X-Server: {self.server.name}\r\nX-Client: {self.client}\r\n".encode()
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.server.connections.discard(self)
        self.server.check_empty()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        self._work()

    def close_if_idle(self) -> None:
        if self.transport is not None and not self.busy and not self.buffer:
            self.transport.close()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.filling:
            self._fill()

    def _work(self) -> None:
        """Take in as much as the buffer holds."""
        try:
            while self.transport is not None and not self.close_after and self._step():
                pass
        except BadRequest as error:
            self._refuse(str(error))

    def _step(self) -> bool:
        """One step; False when it needs more bytes or has to wait for an answer that is not out yet."""
        if self.busy:
            if self.pending is None or not self._body_is_in():
                return False
            request, answer = self.pending
            self.pending = None
            self._answer_later(request, answer)
            return not self.busy
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest("head too long")
            return False
        head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
        self._take(head)
        return True

    def _take(self, head: bytes) -> None:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            raise BadRequest("not an HTTP/1.x request line")
        request = Request(words[0], words[1], words[2], head, head.lower())
        self.busy = True
        if request.method == b"POST" and (request_id := request.header(b"x-request-id")):
            self.server.receive("".join(c for c in request_id if c.isprintable())[:200])
        self._expect_body(request)
        self.pending = request, answer_for(request, self)

    def _expect_body(self, request: Request) -> None:
        if request.method in (b"GET", b"HEAD") and b"\r\ncontent-length:" not in request.lower:
            return
        if b"\r\ntransfer-encoding:" in request.lower:
            raise BadRequest("a body without Content-Length")
        length = request.header(b"content-length") or "0"
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("bad Content-Length")
        self.body_left = int(length)
        if request.header(b"expect").lower() == "100-continue" and not self.buffer:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_is_in(self) -> bool:
        if self.body_left:
            taken = min(self.body_left, len(self.buffer))
            self.buffer = self.buffer[taken:]
            self.body_left -= taken
        return not self.body_left

    def _answer_later(self, request: Request, answer: Answer) -> None:
        if answer.after_s:
            asyncio.get_running_loop().call_later(answer.after_s, self._answer_and_go_on, request, answer)
        else:
            self._answer(request, answer)

    def _answer_and_go_on(self, request: Request, answer: Answer) -> None:
        self._answer(request, answer)
        self._work()

    def _answer(self, request: Request, answer: Answer) -> None:
        keep = request.keep_alive and not self.server.stopping
        self.close_after = not keep
        length = answer.size if answer.body is None else len(answer.body)
        reason = b"OK" if answer.status == 200 else _reason(answer.status)
        lines = [
            b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
            % (answer.status, reason, answer.content_type, length),
            self.prefix,
        ]
        for name, echoed in ((b"x-request-id", b"X-Request-Id"), (b"x-forwarded-for", b"X-Forwarded-For")):
            if b"\r\n" + name + b":" in request.lower:
                lines.append(b"%s: %s\r\n" % (echoed, request.header(name).encode("latin-1")))
        if not keep:
            lines.append(b"Connection: close\r\n")
        elif request.version == b"HTTP/1.0":
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if request.method != b"HEAD" and answer.status not in (204, 304):
            if answer.body is None:
                self.filling = answer.size
            else:
                lines.append(answer.body)
        self._write(b"".join(lines))
        if self.filling:
            self._fill()
        else:
            self._answered()

    def _fill(self) -> None:
        while self.filling and not self.paused:
            part = CHUNK[: self.filling]
            self.filling -= len(part)
            self._write(part)
        if not self.filling:
            self._answered()
            self._work()

    def _answered(self) -> None:
        self.busy = False
        if self.close_after and self.transport is not None:
            self.transport.close()

    def _refuse(self, why: str) -> None:
        self.close_after = True
        self._write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n" + self.prefix + b"\r\n")
        print(f"refused a request: {why}", file=sys.stderr, flush=True)
        if self.transport is not None:
            self.transport.close()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


def answer_for(request: Request, connection: Connection) -> Answer:
    """What to answer; a POST to /health changes the server's health."""
    server = connection.server
    path, _, query = request.target.decode("latin-1").partition("?")
    first, _, rest = path.lstrip("/").partition("/")
    special = PATHS.get(first)
    if special is not None:
        return special(connection, request, rest or query)
    if request.method == b"HEAD" and not server.healthy:
        return Answer(status=503, body=b"told to fail\n")
    return Answer(body=f"{server.name}\n".encode())


def _slow(connection: Connection, _request: Request, query: str) -> Answer:
    milliseconds = _number(parse_qs(query).get("ms", ["0"])[0], MAX_SLOW_MS)
    return Answer(body=f"{connection.server.name}\n".encode(), after_s=milliseconds / 1000)


def _status(_connection: Connection, _request: Request, code: str) -> Answer:
    status = _number(code, 599)
    if status < 200:
        raise BadRequest("a status is from 200 to 599")
    return Answer(status=status, body=f"{status}\n".encode())


def _size(_connection: Connection, _request: Request, size: str) -> Answer:
    return Answer(body=None, size=_number(size, MAX_SIZE), content_type=b"application/octet-stream")


def _healthy(connection: Connection, _request: Request, _rest: str) -> Answer:
    return Answer() if connection.server.healthy else Answer(status=503, body=b"told to fail\n")


def _health(connection: Connection, request: Request, query: str) -> Answer:
    if request.method == b"POST":
        wanted = parse_qs(query).get("set", [""])[0]
        if wanted not in ("ok", "fail"):
            return Answer(status=400, body=b"set=ok or set=fail\n")
        connection.server.healthy = wanted == "ok"
    return Answer(body=b"ok\n" if connection.server.healthy else b"fail\n")


def _receipts(connection: Connection, _request: Request, _rest: str) -> Answer:
    return _json(dict(connection.server.receipts))


def _info(connection: Connection, request: Request, _rest: str) -> Answer:
    lines = [line.decode("latin-1").partition(":") for line in request.head.split(b"\r\n")[1:]]
    seen = {
        "name": connection.server.name,
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
        "client": connection.client,
        "client_port": connection.client_port,
        "method": request.method.decode("latin-1"),
        "target": request.target.decode("latin-1"),
        "headers": [[name, value.strip()] for name, _, value in lines],
    }
    return _json(seen)


PATHS: dict[str, Callable[[Connection, Request, str], Answer]] = {
    "slow": _slow,
    "status": _status,
    "size": _size,
    "healthy": _healthy,
    "health": _health,
    "receipts": _receipts,
    "info": _info,
}


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value, indent=1).encode() + b"\n", content_type=b"application/json")


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise BadRequest("not a number")
    return min(int(text), most)


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Status"


async def serve() -> None:
    """Listen until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    server = Server(name=os.environ.get("NAME") or socket.gethostname())
    told = asyncio.Event()
    graceful = os.environ.get("GRACEFUL") == "1"
    for number in (signal.SIGTERM, signal.SIGINT):
        if graceful:
            loop.add_signal_handler(number, told.set)
        else:
            signal.signal(number, lambda number, _frame: os._exit(128 + number))
    delay = float(os.environ.get("START_DELAY") or 0)
    if delay:
        await asyncio.sleep(delay)
    address, port = os.environ.get("ADDRESS") or "0.0.0.0", int(os.environ.get("PORT") or 80)
    listener = await loop.create_server(lambda: Connection(server), address, port, backlog=1024)
    bound = listener.sockets[0].getsockname()
    print(f"{server.name} listens on {bound[0]}:{bound[1]}", flush=True)
    await told.wait()
    listener.close()
    server.stop()
    await server.emptied.wait()


if __name__ == "__main__":
    asyncio.run(serve())
