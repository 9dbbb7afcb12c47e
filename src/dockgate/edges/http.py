"""A tiny HTTP server for answers that fit into a line of sight: GET only, one answer a connection, loopback by advice.

It decides nothing: what a path answers is handed in. Invariant: whatever a client sends or leaves out, it costs at
most ``HEAD`` bytes and ``PATIENCE_S`` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from dockgate.errors import DockgateError

HEAD = 8192
PATIENCE_S = 5.0
_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 400: "Bad Request", 503: "Service Unavailable"}


@dataclass(frozen=True)
class Place:
    """Where to listen."""

    address: str
    port: int

    @staticmethod
    def parse(text: str) -> Place:
        """``127.0.0.1:9180``, ``:9180`` (the loopback), ``[::1]:9180``."""
        address, _, port = text.rpartition(":")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise DockgateError(f"{text!r} is no place to listen at", hint="give it as 127.0.0.1:9180")
        return Place(address.strip("[]") or "127.0.0.1", int(port))

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Response:
    status: int
    body: str


@asynccontextmanager
async def serve(place: Place, answer: Callable[[str], Response]) -> AsyncIterator[None]:
    """Answer GETs until the block ends."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_written(_respond(head, answer)))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(serve_one, place.address, place.port, limit=HEAD)
    except OSError as error:
        raise DockgateError(f"cannot listen at {place}: {error.strerror}", hint="choose another port") from error
    async with server:
        yield


def _respond(head: bytes, answer: Callable[[str], Response]) -> Response:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(words) != 3:
        return Response(400, "not a request\n")
    if words[0] != "GET":
        return Response(405, "GET only\n")
    return answer(words[1].partition("?")[0])


def _written(response: Response) -> bytes:
    body = response.body.encode()
    head = f"HTTP/1.1 {response.status} {_WORDS[response.status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
