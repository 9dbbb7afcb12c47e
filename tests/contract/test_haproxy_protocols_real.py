"""Checks in a service's own protocol, and an expert's own lines, on the real HAProxy, both versions."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import CHECK, all_up, ask, config
from tests.golden.haproxy.cases import VIP, Case

from dockgate.haproxy.messages import explain
from dockgate.model.desired import Check, CheckKind, Endpoint, Endpoints, HaproxyVersion, Listen, Pool
from dockgate.model.http import Snippet
from dockgate.model.source import Source

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]

GREETINGS: dict[CheckKind, tuple[bytes, dict[bytes, bytes], bytes]] = {
    "redis": (b"", {b"*1\r\n$4\r\nPING\r\n": b"+PONG\r\n"}, b"-LOADING still reading\r\n"),
    "smtp": (
        b"220 mail\r\n",
        {b"EHLO dockgate.invalid\r\n": b"250 hello\r\n", b"QUIT\r\n": b"221 bye\r\n"},
        b"421 later\r\n",
    ),
    "postgres": (b"", {b"user\0dockgate\0": b"R\0\0\0\x08\0\0\0\x03"}, b"E\0\0\0\x08SFATAL\0\0"),
}
"""What each says first; what it answers to which words; what it answers when it cannot serve. From the protocols'
own descriptions: RESP, RFC 5321, PostgreSQL's message formats."""


@contextmanager
def service(kind: CheckKind, *, ready: bool) -> Iterator[list[bytes]]:
    """A service at 127.1.0.1:8080 that knows as much of its protocol as a check needs; what it was told."""
    first, answers, refusal = GREETINGS[kind]
    heard: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if first:
                self.request.sendall(first if ready else refusal)
            while data := self.request.recv(4096):
                heard.append(data)
                said = next((answer for words, answer in answers.items() if words in data), b"")
                self.request.sendall(said if ready and said else refusal)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.1.0.1", 8080), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def checked_by(kind: CheckKind, version: HaproxyVersion) -> str:
    members = Endpoints((Endpoint("one", "127.1.0.1", 8080),))
    pool = Pool("kept", members, 0, mode="tcp", check=Check(kind, interval_ms=200, timeout_ms=200))
    return config(Case((pool,), replace(VIP, listens=(Listen(80, "tcp", "kept"),))), version).text


@pytest.mark.parametrize("kind", GREETINGS)
def test_a_service_that_greets_is_up(haproxy: Haproxy, version: HaproxyVersion, kind: CheckKind) -> None:
    with service(kind, ready=True) as heard:
        haproxy.start(checked_by(kind, version))
        all_up(haproxy, ("kept", "one"))
        assert any(next(iter(GREETINGS[kind][1])) in each for each in heard)
        haproxy.stop()


@pytest.mark.parametrize("kind", GREETINGS)
def test_a_service_that_cannot_serve_is_down(haproxy: Haproxy, version: HaproxyVersion, kind: CheckKind) -> None:
    """Its port is open, which is all that a tcp check asks."""
    with service(kind, ready=False):
        haproxy.start(checked_by(kind, version))
        wait_until(lambda: haproxy.running().servers[0].check.startswith("L7"), "it was asked")
        assert haproxy.status("kept", "one") == "DOWN"
        haproxy.stop()


SITE = Pool("site", Endpoints((Endpoint("w1", "127.1.0.1", 8080),)), 0, check=CHECK)


def test_an_experts_line_does_what_it_says(haproxy: Haproxy, version: HaproxyVersion, web: WebMember) -> None:
    own = Snippet(
        'http-request return status 418 content-type text/plain lf-string "%[src] # is a teapot" if { path /tea }',
        Source("f.yaml", 7, 9),
    )
    vip = replace(VIP, listens=(Listen(80, pool="site"),), snippets=(own,))
    haproxy.start(config(Case((SITE,), vip), version).text)
    all_up(haproxy, ("site", "w1"))
    assert ask("/tea") == (418, "127.0.0.1 # is a teapot")
    assert ask("/coffee")[0] == 200


def test_a_line_that_haproxy_cannot_read_is_told_with_its_place_in_the_file(
    haproxy: Haproxy, version: HaproxyVersion
) -> None:
    vip = replace(
        VIP, listens=(Listen(80, pool="site"),), snippets=(Snippet("optoin httpclose", Source("f.yaml", 7, 9)),)
    )
    made = config(Case((SITE,), vip), version)
    code, said = haproxy.check(made.text)
    assert code != 0
    (told,) = [each for each in explain(said, made) if "optoin" in each]
    assert told.startswith("f.yaml:7:9: HAProxy says: unknown keyword 'optoin'")
