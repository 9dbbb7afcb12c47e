"""Limits, passwords and slow clients on the real HAProxy, both versions, and what a reload keeps."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import CHECK, all_up, ask, config
from tests.golden.haproxy.cases import VIP, Case

from dockgate.model.desired import (
    Endpoint,
    Endpoints,
    HaproxyVersion,
    Listen,
    Pool,
    PoolTimeouts,
    Route,
    Vip,
    VipTimeouts,
)
from dockgate.model.http import Auth, Clients, Connections, Http, Maintenance, Page, RateLimit, User
from dockgate.spec.secrets import password_hash

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]

POOL = Pool("site", Endpoints((Endpoint("w1", "127.1.0.1", 8080),)), 0, check=CHECK)
SITE = replace(VIP, listens=(Listen(80, pool="site"),))
HASH = password_hash("correct horse", project="p", vip="v", user="alice")


def start(haproxy: Haproxy, version: HaproxyVersion, vip: Vip) -> None:
    haproxy.start(config(Case((POOL,), vip), version).text)
    all_up(haproxy, ("site", "w1"))


def answer(path: str = "/", **headers: str) -> tuple[int, str | None]:
    """Status and Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    connection.close()
    return response.status, response.getheader("Retry-After")


def credentials(password: str) -> str:
    return "Basic " + base64.b64encode(f"alice:{password}".encode()).decode()


def test_a_client_over_its_rate_gets_429_and_retry_after_also_across_a_reload(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    limited = replace(SITE, http=Http(rate_limits=(RateLimit(5, 60_000),)))
    start(haproxy, version, limited)
    assert [answer()[0] for _ in range(6)] == [200] * 5 + [429]
    assert answer() == (429, "60")
    wait_until(lambda: listens(haproxy), "the master takes commands")
    haproxy.reload(config(Case((POOL,), replace(limited, timeouts=VipTimeouts(client=20_000))), version).text)
    assert answer() == (429, "60")
    assert web.received == ["GET /"] * 5


def test_the_rate_is_let_through_again_when_the_time_has_passed(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, replace(SITE, http=Http(rate_limits=(RateLimit(3, 1000),))))
    assert [answer()[0] for _ in range(4)] == [200, 200, 200, 429]
    time.sleep(2.1)
    assert answer()[0] == 200


def test_each_key_and_each_path_has_a_count_of_its_own(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    limits = (RateLimit(2, 60_000, "header:X-Key"), RateLimit(4, 60_000, "path"))
    start(haproxy, version, replace(SITE, http=Http(rate_limits=limits)))
    assert [answer(f"/{number}", X_Key="a")[0] for number in range(3)] == [200, 200, 429]
    assert answer("/", X_Key="b")[0] == 200
    assert [answer("/none")[0] for _ in range(5)] == [200, 200, 200, 200, 429]


def test_a_routes_limit_holds_on_the_route_only(haproxy: Haproxy, version: HaproxyVersion, web: WebMember) -> None:
    route = Route("site", None, "/api", http=Http(rate_limits=(RateLimit(1, 60_000),)))
    start(haproxy, version, replace(SITE, routes=(route,)))
    assert [answer("/api/x")[0] for _ in range(2)] == [200, 429]
    assert [answer("/apix")[0] for _ in range(3)] == [200] * 3


def test_a_body_that_is_too_large_or_of_unknown_length_never_reaches_a_member(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, replace(SITE, http=Http(max_body=1024)))
    assert ask(method="POST", body=b"x" * 1024)[0] == 200
    assert ask(method="POST", body=b"x" * 1025)[0] == 413
    assert raw(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n") == 411
    assert web.received == ["POST /"]


def test_headers_that_are_too_large_never_reach_a_member(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, replace(SITE, http=Http(max_headers=1024)))
    assert answer(X_Long="x" * 900)[0] == 200
    assert answer(X_Long="x" * 1024)[0] == 431
    assert answer(**{f"X_{number}": "x" * 100 for number in range(12)})[0] == 431
    assert web.received == ["GET /"]


def test_a_route_may_wait_longer_for_its_members_than_their_pool(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    patient = Route("site", None, "/report", http=Http(timeout_ms=5000))
    pool = replace(POOL, timeouts=PoolTimeouts(server=300), retries=0)
    haproxy.start(config(Case((pool,), replace(SITE, routes=(patient,))), version).text)
    all_up(haproxy, ("site", "w1"))
    web.may_answer.clear()
    threading.Timer(1.2, web.may_answer.set).start()
    assert answer("/quick")[0] == 504
    assert answer("/report")[0] == 200


PAGE = b'<h1>\n  it\'s "closed" %[src] $HOME #1\n</h1>\n'
HTML = Page("text/html; charset=utf-8", PAGE)


def page_at(path: str = "/", source: str = "127.0.0.1") -> tuple[int, str | None, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10, source_address=(source, 0))
    connection.request("GET", path)
    response = connection.getresponse()
    found = response.status, response.getheader("Content-Type"), response.read(), response.getheader("Retry-After")
    connection.close()
    return found


def test_in_maintenance_everybody_but_some_gets_the_page_as_it_is(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    closed = Maintenance(HTML, allow=("127.0.0.2/32",), retry_after_s=300)
    start(haproxy, version, replace(SITE, maintenance=closed))
    assert page_at() == (503, "text/html; charset=utf-8", PAGE, "300")
    assert page_at(source="127.0.0.2")[0] == 200
    assert web.received == ["GET /"]


def test_without_a_page_maintenance_says_a_line(haproxy: Haproxy, version: HaproxyVersion, web: WebMember) -> None:
    start(haproxy, version, replace(SITE, maintenance=Maintenance()))
    status, kind, said, later = page_at()
    assert (status, kind, later) == (503, "text/plain", None)
    assert b"come back later" in said


def test_each_answer_of_its_own_has_its_page_and_a_members_answers_are_left_alone(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    pages = tuple((status, Page("text/plain", b"page %d" % status)) for status in
                  (403, 404, 429, 503))  # fmt: skip
    routed = replace(
        SITE,
        listens=(Listen(80),),
        routes=(Route("site", None, "/a"), Route("site", None, "/no", clients=Clients(deny=("127.0.0.0/8",)))),
        http=Http(errors=pages, rate_limits=(RateLimit(2, 60_000, "header:X-Key"),)),
    )
    start(haproxy, version, routed)
    assert page_at("/b")[:3] == (404, "text/plain", b"page 404")
    assert page_at("/no")[:3] == (403, "text/plain", b"page 403")
    assert [answer("/a", X_Key="k")[0] for _ in range(3)] == [200, 200, 429]
    web.status = 503
    wait_until(lambda: haproxy.status("site", "w1") == "DOWN", "its member is down")
    assert page_at("/a")[:3] == (503, "text/plain", b"page 503")


def test_only_who_knows_a_password_is_let_in_and_the_configuration_does_not_hold_it(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    protected = replace(SITE, http=Http(auth=Auth((User("alice", HASH),))))
    assert "correct horse" not in config(Case((POOL,), protected), version).text
    start(haproxy, version, protected)
    assert answer()[0] == 401
    assert answer(Authorization=credentials("wrong"))[0] == 401
    assert web.received == []
    assert answer(Authorization=credentials("correct horse"))[0] == 200


def test_a_client_with_too_many_connections_is_closed_and_others_go_on(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, replace(SITE, connections=Connections(per_client=2)))
    held = [socket.create_connection(("127.0.0.1", 80), timeout=5) for _ in range(2)]
    for each in held:
        each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert each.recv(12) == b"HTTP/1.1 200"
    assert raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 0
    other = socket.create_connection(("127.0.0.1", 80), timeout=5, source_address=("127.0.0.2", 0))
    other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert other.recv(12) == b"HTTP/1.1 200"
    for each in (*held, other):
        each.close()


def test_a_client_that_sends_its_request_too_slowly_is_sent_away(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, replace(SITE, timeouts=VipTimeouts(request=500)))
    began = time.monotonic()
    assert raw(b"GET / HTTP/1.1\r\nHost: x\r\n") == 408
    assert raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123") == 408
    assert time.monotonic() - began < 3
    assert web.received == []


def listens(haproxy: Haproxy) -> bool:
    """The master opens its socket a moment after the worker serves. It keeps the connection after its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0.5)
        try:
            connection.connect(str(haproxy.root / "run/haproxy/master.sock"))
            connection.sendall(b"show proc\n")
            return b"master" in connection.recv(4096)
        except (ConnectionRefusedError, FileNotFoundError, TimeoutError):
            return False


def raw(request: bytes) -> int:
    """The status of the answer to these bytes; 0 when the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", 80), timeout=5) as connection:
        try:
            connection.sendall(request)
            head = connection.recv(4096)
        except ConnectionResetError:
            return 0
    return int(head.split()[1]) if head else 0
