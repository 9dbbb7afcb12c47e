"""Probes, on loopback: each outcome from a real socket."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ANSWER = b"HTTP/1.1 200 OK\r\nX-Server: web1\r\nContent-Length: 5\r\n\r\nweb1\n"


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], int]]:
    """A server that answers one request with these bytes; it closes only when there are none."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one() -> None:
            connection, _ = listener.accept()
            kept.append(connection)
            with contextlib.suppress(ConnectionError):  # a tcp probe closes without a word
                connection.recv(65536)
                connection.sendall(answer)
            if not answer.startswith(b"HTTP"):
                connection.close()

        threads.append(threading.Thread(target=one, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(timeout=5)
    for one in listeners + kept:
        one.close()


def ask(node: ModuleType, port: int, **fields: Any) -> dict[str, Any]:
    request = {"address": "127.0.0.1", "port": port, "timeout_s": 1.0, **fields}
    answers: list[dict[str, Any]] = node.probe([request])
    return answers[0]


def test_an_http_answer_is_read_without_waiting_for_the_close(node: ModuleType, serve: Callable[[bytes], int]) -> None:
    answer = ask(node, serve(ANSWER), mode="http")
    assert (answer["outcome"], answer["status"], answer["server"], answer["body"]) == ("open", 200, "web1", "web1\n")
    assert answer["local_address"] == "127.0.0.1"
    assert answer["error"] == ""
    assert answer["seconds"] < 0.5


def test_a_port_that_opens_is_open_for_tcp(node: ModuleType, serve: Callable[[bytes], int]) -> None:
    assert ask(node, serve(b""), mode="tcp")["outcome"] == "open"


def test_a_port_that_opens_without_http_has_no_status(node: ModuleType, serve: Callable[[bytes], int]) -> None:
    for said, error in ((b"SSH-2.0\r\n", "the answer is not HTTP"), (b"", "no answer")):
        answer = ask(node, serve(said), mode="http")
        assert (answer["outcome"], answer["status"]) == ("open", 0)
        assert error in answer["error"]


def test_silence_after_the_connection_is_open_and_says_so(node: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask(node, silent.getsockname()[1], mode="http", timeout_s=0.1)
    assert (answer["outcome"], answer["status"]) == ("open", 0)
    assert "no whole answer within 0.1 s" in answer["error"]


def test_a_closed_port_is_refused(node: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(node, port)["outcome"] == "refused"


def test_a_full_listen_queue_is_dropped(node: ModuleType) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            answer = ask(node, full.getsockname()[1], timeout_s=0.2)
    assert answer["outcome"] == "dropped"
    assert 0.2 <= answer["seconds"] < 1


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.ETIMEDOUT, "dropped"),
        (errno.ECONNREFUSED, "refused"),
        (errno.EMFILE, "probe_failed"),
        (errno.EADDRNOTAVAIL, "probe_failed"),
    ],
)
def test_what_the_kernel_says_becomes_an_outcome(node: ModuleType, code: int, outcome: str) -> None:
    assert node.outcome_of(OSError(code, "")) == outcome


@pytest.mark.parametrize(
    "fields",
    [
        {"port": 0},
        {"port": "80"},
        {"mode": "udp"},
        {"path": "/ HTTP/1.1\r\nX: y"},
        {"host_header": "a b"},
        {"headers": {"X A": "b"}},
        {"headers": {"X-A": "b\r\nX-B: c"}},
        {"address": "no-such-name.invalid"},
        {"surprise": 1},
    ],
)
def test_what_cannot_be_asked_is_a_failed_probe_not_a_closed_port(node: ModuleType, fields: dict[str, Any]) -> None:
    answer = node.probe([{"address": "127.0.0.1", "port": 80, **fields}])[0]
    assert answer["outcome"] == "probe_failed"
    assert answer["error"]


def test_many_probes_are_asked_at_the_same_time_and_answered_in_order(node: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent, socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
        taken.close()
        slow = {"address": "127.0.0.1", "port": silent.getsockname()[1], "mode": "http", "timeout_s": 0.3}
        answers = node.probe([*[slow] * 50, {"address": "127.0.0.1", "port": closed}])
    assert [answer["outcome"] for answer in answers] == ["open"] * 50 + ["refused"]
    assert max(answer["seconds"] for answer in answers) < 1


def run(program: Path, *arguments: str, stdin: str = "") -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-I", str(program), *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_the_program_answers_in_json(program: Path, serve: Callable[[bytes], int]) -> None:
    request = json.dumps([{"address": "127.0.0.1", "port": serve(ANSWER), "mode": "http"}])
    code, answers = run(program, "probe", "-", stdin=request)
    assert (code, answers[0]["status"]) == (0, 200)


@pytest.mark.parametrize(
    "arguments", [(), ("dance", "{}"), ("probe", "{"), ("probe", "{}"), ("announce", '{"address": "x"}')]
)
def test_what_cannot_be_carried_out_is_an_error_in_json(program: Path, arguments: tuple[str, ...]) -> None:
    code, answer = run(program, *arguments)
    assert code == 1
    assert answer["error"]
