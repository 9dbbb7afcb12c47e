"""The load client against servers that misbehave: every request is accounted for, under the right name."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from tests.certificates import pair

from dockgate.lab.load_client import Load
from dockgate.lab.load_report import LoadReport
from dockgate.lab.load_tally import LoadJob, Method


@dataclass
class Exchange:
    """One request as a server script sees it. ``number``: how many came before it, over all connections."""

    number: int
    head: bytes
    writer: asyncio.StreamWriter

    @property
    def request_id(self) -> bytes:
        return self.head.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0]

    def answer(self, *, status: bytes = b"200 OK", more: bytes = b"", body: bytes = b"hi") -> None:
        self.writer.write(
            b"HTTP/1.1 %s\r\nx-server: s1\r\n%sContent-Length: %d\r\n\r\n" % (status, more, len(body)) + body
        )

    def reset(self) -> None:
        """End the connection with an RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class Target:
    """A running server."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def load(
        self,
        *,
        rate: float = 200,
        connections: int = 2,
        duration_s: float = 0.2,
        method: Method = "GET",
        timeout_s: float = 2,
    ) -> LoadReport:
        job = LoadJob(self.url, rate, connections, duration_s, method, timeout_s)
        return await Load(job, should_stop=lambda: False, on_steady=lambda: None).run()


Serve = Callable[[Script], Awaitable[Target]]


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that does what a script says for each request."""
    servers: list[asyncio.Server] = []
    talking: set[asyncio.Task[None]] = set()

    async def start(script: Script) -> Target:
        target = Target(0)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target.connections += 1
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b"Content-Length: 4" in head:
                        head += await reader.readexactly(4)
                    target.requests.append(head)
                    await script(Exchange(len(target.requests) - 1, head, writer))
                    await writer.drain()
            writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(talk(reader, writer))
            talking.add(task)
            task.add_done_callback(talking.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        target.port = server.sockets[0].getsockname()[1]
        return target

    yield start
    for server in servers:
        server.close()
    for task in list(talking):
        task.cancel()
    await asyncio.gather(*talking, return_exceptions=True)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def answer(exchange: Exchange) -> None:
    exchange.answer()


def kinds(report: LoadReport) -> dict[str, int]:
    return {kind.kind: kind.count for kind in report.failures}


async def test_all_requests_that_were_due_are_sent_and_counted(serve: Serve) -> None:
    target = await serve(answer)
    report = await target.load()
    assert (report.sent, report.ok, report.failed) == (40, 40, 0)
    assert len(target.requests) == 40
    assert report.served_by("s1") == 40
    assert report.connects == target.connections == 2


async def test_every_request_has_an_id_of_its_own(serve: Serve) -> None:
    target = await serve(answer)
    report = await target.load()
    ids = [head.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0].decode() for head in target.requests]
    assert sorted(ids) == sorted(f"{report.run}-{number}" for number in range(40))


async def test_mixed_sends_get_and_post_in_turn(serve: Serve) -> None:
    target = await serve(answer)
    report = await target.load(method="mixed")
    posts = [head for head in target.requests if head.startswith(b"POST / ")]
    assert len(posts) == 20
    assert all(head.endswith(b"\r\n\r\nload") for head in posts)
    assert report.failed == 0


async def test_a_status_that_is_not_200_is_a_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.answer(status=b"503 Service Unavailable" if exchange.number == 7 else b"200 OK")

    report = await (await serve(script)).load()
    assert kinds(report) == {"status 503": 1}
    assert report.failures[0].examples[0].detail == "answered by s1"
    assert report.sent == report.ok + report.failed == 40


async def test_a_reset_under_a_request_is_a_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.reset() if exchange.number == 7 else exchange.answer()

    report = await (await serve(script)).load()
    assert kinds(report) == {"reset": 1}
    assert report.ok == 39


async def test_a_connection_closed_without_an_answer_is_a_failure_and_nothing_is_sent_again(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.close() if exchange.number == 7 else exchange.answer()

    target = await serve(script)
    report = await target.load()
    assert kinds(report) == {"closed": 1}
    assert len(target.requests) == report.sent == 40


async def test_an_answer_cut_short_is_a_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number == 7:
            exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi")
            exchange.close()
        else:
            exchange.answer()

    assert kinds(await (await serve(script)).load()) == {"cut short": 1}


async def test_an_answer_that_does_not_come_is_a_time_out(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number != 7:
            exchange.answer()

    report = await (await serve(script)).load(timeout_s=0.5)
    assert kinds(report)["time-out"] == 1
    assert 500 <= report.failures[0].examples[0].after_ms < 1500


async def test_an_answer_to_another_request_is_a_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        wrong = b"someone-else" if exchange.number == 7 else exchange.request_id
        exchange.answer(more=b"x-request-id: " + wrong + b"\r\n")

    assert kinds(await (await serve(script)).load()) == {"mixed up": 1}


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("said", [b"SMTP ready\r\n\r\n", OK + b"\r\n", OK + b"Content-Length: 1\r\n\r\nhi"])
async def test_what_is_no_whole_http_answer_is_a_failure(serve: Serve, said: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.writer.write(said) if exchange.number == 7 else exchange.answer()

    assert kinds(await (await serve(script)).load()) == {"unreadable": 1}


async def test_nobody_listening_is_a_failure_of_every_request(closed_port: int) -> None:
    report = await Target(closed_port).load()
    assert kinds(report) == {"refused": 40}
    assert report.latency.max == 0
    assert report.longest_gap_s == pytest.approx(0.2, abs=0.02)


async def test_a_connection_closed_while_idle_is_no_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.answer()
        if exchange.number == 7:
            exchange.close()

    report = await (await serve(script)).load(connections=4)
    assert report.failed == 0
    assert report.idle_closes == 1
    assert report.connects == 5


async def test_a_close_that_the_client_has_not_heard_of_yet_is_still_a_close_while_idle(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.answer()
        if exchange.number < 4:
            exchange.close()

    report = await (await serve(script)).load(rate=20_000, connections=4, duration_s=0.05)
    assert report.failed == 0


async def test_an_announced_close_is_no_failure(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.answer(more=b"connection: close\r\n")
        exchange.close()

    report = await (await serve(script)).load()
    assert (report.ok, report.failed, report.idle_closes, report.connects) == (40, 0, 0, 40)


async def test_a_stall_shows_in_every_request_that_it_held_up(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number == 5:
            await asyncio.sleep(0.2)
        exchange.answer()

    report = await (await serve(script)).load(connections=1, rate=200, duration_s=0.3, timeout_s=2)
    assert report.failed == 0
    assert report.longest_gap_s >= 0.2
    assert report.latency.p50 > 20  # about 40 of the 60 requests were due during the stall
    assert report.service.p50 < 20


async def test_an_answer_over_500_ms_is_listed_with_its_time(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number == 5:
            await asyncio.sleep(0.55)
        exchange.answer()

    report = await (await serve(script)).load(timeout_s=2)
    slow = {one.request: one for one in report.slow}
    assert slow[f"{report.run}-5"].at_s == pytest.approx(0.025, abs=0.001)
    assert slow[f"{report.run}-5"].latency_ms > 500
    assert all(one.latency_ms > 500 for one in report.slow)
    assert f"SLOW      {report.slow_count} over 500 ms" in str(report)


async def test_what_no_connection_becomes_free_for_fails_too(serve: Serve) -> None:
    async def script(exchange: Exchange) -> None:
        """Never answer."""

    report = await (await serve(script)).load(connections=1, rate=100, duration_s=0.1, timeout_s=0.1)
    assert report.sent == report.failed == 10
    assert set(kinds(report)) == {"time-out", "not sent"}


async def test_it_stops_when_told_and_waits_for_what_is_under_way(serve: Serve) -> None:
    served = 0

    async def script(exchange: Exchange) -> None:
        nonlocal served
        served += 1
        await asyncio.sleep(0.02)
        exchange.answer()

    target = await serve(script)
    steady: list[int] = []
    load = Load(
        LoadJob(target.url, rate=100, connections=4, duration_s=None),
        should_stop=lambda: served >= 10,
        on_steady=lambda: steady.append(served),
    )
    report = await load.run()
    assert report.failed == 0
    assert report.ok == served >= 10
    assert len(steady) == 1
    assert steady[0] >= 4


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1", "http://", "https://"])
async def test_a_url_it_cannot_load_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="neither an http:// nor an https:// URL"):
        await Load(LoadJob(url), should_stop=lambda: False, on_steady=lambda: None).run()


async def test_over_tls_it_counts_the_same_and_does_not_ask_whose_certificate_it_is(tmp_path: Path) -> None:
    pair("127.0.0.1").write(tmp_path, "site")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.crt", tmp_path / "site.key")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                Exchange(0, b"", writer).answer()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        job = LoadJob(url, rate=200, connections=2, duration_s=0.2)
        report = await Load(job, should_stop=lambda: False, on_steady=lambda: None).run()
    assert report.failed == 0
    assert report.ok >= 10
