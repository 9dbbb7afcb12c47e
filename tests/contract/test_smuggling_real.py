"""What one parser takes for one request and another for two never gets past the VIP: real HAProxy, five real servers.

Seen from the servers: none logs the hidden request. Seen from the next clients, whose requests go over the same kept
connections: each gets its own answer.
"""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import Haproxy, wait_until
from tests.contract.haproxy_stage import CHECK, all_up, config
from tests.contract.real_servers import RealServer
from tests.contract.smuggling import BEHIND_LINE_FEEDS, HIDDEN, HTTP1, HTTP2
from tests.golden.haproxy.cases import VIP, Case

from dockgate.model.desired import Endpoint, Endpoints, HaproxyVersion, Listen, Pool

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures", "tests.contract.server_fixtures"]

PATIENCE_S = 0.1
FIRST_PORT = 81


@pytest.fixture
def ports(
    haproxy: Haproxy, version: HaproxyVersion, real_servers: tuple[RealServer, ...]
) -> tuple[tuple[RealServer, int], ...]:
    """Each server behind a port of the VIP, up."""
    check = replace(CHECK, path="/check.txt")
    pools = tuple(
        Pool(each.name, Endpoints((Endpoint(each.name, each.address, 8080),)), 0, check=check) for each in real_servers
    )
    listens = tuple(Listen(FIRST_PORT + number, pool=pool.name) for number, pool in enumerate(pools))
    haproxy.start(config(Case(pools, replace(VIP, listens=listens)), version).text)
    all_up(haproxy, *((each.name, each.name) for each in real_servers))
    return tuple((each, FIRST_PORT + number) for number, each in enumerate(real_servers))


def send(address: str, port: int, data: bytes) -> bytes:
    """What comes back to these bytes until the other side closes or is silent."""
    said = b""
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.settimeout(PATIENCE_S)
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                said += part
        except (TimeoutError, ConnectionError):
            pass
    return said


def victim(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/victim.txt")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("cases", [HTTP1, HTTP2], ids=["http1", "http2"])
def test_no_server_sees_a_hidden_request_and_every_other_client_gets_its_own_answer(
    ports: tuple[tuple[RealServer, int], ...], haproxy: Haproxy, cases: dict[str, bytes]
) -> None:
    with ThreadPoolExecutor(len(ports)) as pool:
        jobs = [pool.submit(tried, server, port, cases) for server, port in ports]
        wrong = [line for job in jobs for line in job.result()]
    assert not wrong, "\n".join(wrong)
    assert haproxy.process is not None
    assert haproxy.process.poll() is None


def tried(server: RealServer, port: int, cases: dict[str, bytes]) -> list[str]:
    """What went wrong with each of the cases at one server."""
    wrong = []
    before = len(server.requests())
    for name, data in cases.items():
        send("127.0.0.1", port, data)
        answers = [victim(port) for _ in range(2)]
        if answers != [(200, b"victim")] * 2:
            wrong.append(f"{server.name}, {name}: the next clients got {answers}")
    # lighttpd writes its log every few seconds only, so it is read at the end.
    seen = requests_since(server, before, at_least=2 * len(cases))
    return [*wrong, *(f"{server.name} saw {line}" for line in seen if hidden(line))]


def hidden(line: str) -> bool:
    """A request whose own target is the hidden one; a body or a header may hold anything."""
    words = line.split()
    return len(words) > 1 and words[1].startswith("/smuggled.txt")


def requests_since(server: RealServer, before: int, *, at_least: int) -> list[str]:
    wait_until(lambda: len(server.requests()) >= before + at_least, f"{server.name} logs {at_least} requests")
    return server.requests()[before:]


def test_what_follows_bare_line_feeds_is_a_second_request_for_haproxy_too(
    ports: tuple[tuple[RealServer, int], ...], haproxy: Haproxy
) -> None:
    """Its rules and its log see both, so nothing is hidden from it: HAProxy lets a line feed end a trailer's line."""
    for server, port in ports:
        before = len(server.requests())
        send("127.0.0.1", port, BEHIND_LINE_FEEDS)
        assert [hidden(line) for line in requests_since(server, before, at_least=2)] == [False, True]
    wait_until(lambda: haproxy.log().count('"GET /smuggled.txt HTTP/1.1"') == len(ports), "HAProxy logs each of them")


def test_a_tunnel_to_a_member_that_would_take_it_is_refused(ports: tuple[tuple[RealServer, int], ...]) -> None:
    """gunicorn answers CONNECT with 200, and HAProxy passed on whatever came after it, past every rule."""
    server, port = next(each for each in ports if each[0].name == "gunicorn")
    asked = b"CONNECT hidden:80 HTTP/1.1\r\nHost: hidden:80\r\n\r\n"
    assert send(server.address, 8080, asked).startswith(b"HTTP/1.1 200")
    before = len(server.requests())
    assert send("127.0.0.1", port, asked + HIDDEN).startswith(b"HTTP/1.1 405")
    assert not any(line.startswith("CONNECT") for line in server.requests()[before:])


def test_the_control_a_second_request_sent_openly_is_seen_by_every_server(
    real_servers: tuple[RealServer, ...],
) -> None:
    first = b"GET /victim.txt HTTP/1.1\r\nHost: site\r\n\r\n"
    for server in real_servers:
        send(server.address, 8080, first + HIDDEN)
        wait_until(lambda: any("/smuggled.txt" in line for line in server.requests()), f"{server.name} logs it")  # noqa: B023
