"""The demo backend as its clients see it: a real process on loopback, raw bytes in and out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "images" / "web" / "web.py"


class Web:
    """A running backend."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(WEB)],
            env={**os.environ, "NAME": "web1", "PORT": "0", "ADDRESS": "127.0.0.1", **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.log = self.process.stdout
        self.port = int(self.log.readline().rsplit(":", 1)[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=2)

    def ask(self, head: str, body: bytes = b"") -> tuple[str, bytes]:
        """The head and the body of the answer; the server closes afterwards."""
        with self.connect() as connection:
            connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\nConnection: close\r\n\r\n" + body)
            return split(read_all(connection))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Web]]:
    started: list[Web] = []

    def _start(**environment: str) -> Web:
        started.append(Web(**environment))
        return started[-1]

    yield _start
    for web in started:
        web.end()


@pytest.fixture
def web(start: Callable[..., Web]) -> Web:
    return start()


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def split(answer: bytes) -> tuple[str, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), body


def test_any_path_answers_with_the_name(web: Web) -> None:
    head, body = web.ask("GET /any/thing HTTP/1.1\nHost: x\nX-Forwarded-For: 192.0.2.7")
    assert head.startswith("HTTP/1.1 200 OK")
    assert "X-Server: web1" in head
    assert "X-Client: 127.0.0.1" in head
    assert "X-Forwarded-For: 192.0.2.7" in head
    assert body == b"web1\n"


def test_a_head_check_in_http_1_0_gets_no_body_and_a_close(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(b"HEAD /index.html HTTP/1.0\r\n\r\n")
        head, body = split(read_all(connection))
    assert "Content-Length: 5" in head
    assert body == b""


def test_pipelined_requests_are_answered_in_order(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(
            b"GET /slow?ms=20 HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nX-Request-Id: b\r\n\r\nxyz"
            b"GET / HTTP/1.1\r\nX-Request-Id: c\r\nConnection: close\r\n\r\n"
        )
        answers = read_all(connection).decode()
    assert [line[-1] for line in answers.splitlines() if line.startswith("X-Request-Id")] == ["a", "b", "c"]


def test_a_request_that_arrives_byte_by_byte_is_understood(web: Web) -> None:
    with web.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi":
            connection.sendall(bytes([byte]))
        assert split(read_all(connection))[1] == b"web1\n"


def test_every_post_is_a_receipt_in_the_answer_and_in_the_log(web: Web) -> None:
    for _ in range(2):
        web.ask("POST /count HTTP/1.1\nX-Request-Id: r-1\nContent-Length: 0")
    assert json.loads(web.ask("GET /receipts HTTP/1.1\nHost: x")[1]) == {"r-1": 2}
    assert [web.log.readline() for _ in range(2)] == ["received r-1\n"] * 2


def test_a_post_whose_answer_never_went_out_is_a_receipt_too(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(b"POST /slow?ms=60000 HTTP/1.1\r\nX-Request-Id: r-2\r\nContent-Length: 0\r\n\r\n")
        assert web.log.readline() == "received r-2\n"
        web.process.send_signal(signal.SIGTERM)
        assert read_all(connection) == b""


def test_a_request_id_cannot_forge_a_log_line(web: Web) -> None:
    web.ask("POST / HTTP/1.1\nX-Request-Id: a\rreceived b\nContent-Length: 0")
    assert web.log.readline() == "received areceived b\n"


def test_a_status_can_be_asked_for(web: Web) -> None:
    assert web.ask("GET /status/503 HTTP/1.1\nHost: x")[0].startswith("HTTP/1.1 503 Service Unavailable")


def test_a_body_of_any_size_can_be_asked_for(web: Web) -> None:
    head, body = web.ask("GET /size/1234567 HTTP/1.1\nHost: x")
    assert "Content-Length: 1234567" in head
    assert len(body) == 1234567


def test_health_can_be_turned_off_and_on_while_requests_are_served(web: Web) -> None:
    web.ask("POST /health?set=fail HTTP/1.1\nContent-Length: 0")
    assert web.ask("HEAD /index.html HTTP/1.1\nHost: x")[0].startswith("HTTP/1.1 503")
    assert web.ask("GET /healthy HTTP/1.1\nHost: x")[0].startswith("HTTP/1.1 503")
    assert web.ask("GET /index.html HTTP/1.1\nHost: x")[0].startswith("HTTP/1.1 200")
    web.ask("POST /health?set=ok HTTP/1.1\nContent-Length: 0")
    assert web.ask("HEAD /index.html HTTP/1.1\nHost: x")[0].startswith("HTTP/1.1 200")


def test_info_tells_how_the_request_arrived(web: Web) -> None:
    info = json.loads(web.ask("GET /info?x=1 HTTP/1.1\nHost: shop.example\nX-Odd: 1")[1])
    assert info["pid"] == web.process.pid
    assert info["client"] == "127.0.0.1"
    assert info["target"] == "/info?x=1"
    assert ["X-Odd", "1"] in info["headers"]


@pytest.mark.parametrize("line", ["nonsense", "GET / HTTP/2", "GET /status/1000x HTTP/1.1", "GET /status/99 HTTP/1.1"])
def test_what_is_not_understood_is_refused(web: Web, line: str) -> None:
    assert web.ask(f"{line}\nHost: x")[0].startswith("HTTP/1.1 400")


def test_sigterm_ends_it_at_once_by_default(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(b"GET /slow?ms=60000 HTTP/1.1\r\n\r\nGET /")
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(timeout=2) == 128 + signal.SIGTERM


def test_a_graceful_server_finishes_what_is_in_flight(start: Callable[..., Web]) -> None:
    web = start(GRACEFUL="1")
    with web.connect() as idle, web.connect() as busy:
        busy.sendall(b"POST /slow?ms=150 HTTP/1.1\r\nX-Request-Id: last\r\nContent-Length: 0\r\n\r\n")
        assert web.log.readline() == "received last\n"
        web.process.send_signal(signal.SIGTERM)
        assert read_all(idle) == b""
        assert read_all(busy).endswith(b"web1\n")
    assert web.process.wait(timeout=2) == 0


def test_it_does_not_listen_before_its_start_delay(start: Callable[..., Web]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-I", str(WEB)],
        env={**os.environ, "PORT": str(port), "ADDRESS": "127.0.0.1", "START_DELAY": "60"},
        stdout=subprocess.PIPE,
    )
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
