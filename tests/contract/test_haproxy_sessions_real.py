"""What HAProxy says of an open session, on both real versions."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import all_up, config
from tests.golden.haproxy.cases import VIP, Case

from dockgate.haproxy.sessions import number_of, parse
from dockgate.model.desired import Check, Endpoint, Endpoints, HaproxyVersion, Listen, Pool

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]


def start(haproxy: Haproxy, version: HaproxyVersion, check: Check | None) -> None:
    pool = Pool("db", Endpoints((Endpoint("one", "127.1.0.1", 8080),)), 0, mode="tcp", check=check)
    haproxy.start(config(Case((pool,), replace(VIP, listens=(Listen(80, "tcp", "db"),))), version).text)


def test_the_session_of_a_clients_port_tells_its_server_and_both_ends(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, Check("tcp"))
    all_up(haproxy, ("db", "one"))
    with socket.create_connection(("127.0.0.1", 80)) as other, socket.create_connection(("127.0.0.1", 80)) as ours:
        found: list[str] = []

        def listed() -> bool:
            found.append(number_of(haproxy.ask("show sess"), "web-80", ours.getsockname()[1]))
            return bool(found[-1])

        wait_until(listed, "the session is there")
        assert found[-1] != number_of(haproxy.ask("show sess"), "web-80", other.getsockname()[1])
        session = parse(haproxy.ask(f"show sess {found[-1]}"))
        assert session is not None
        assert (session.pool, session.server, session.address, session.port) == ("db", "one", "127.1.0.1", 8080)
        assert session.established
        assert session.source == "127.0.0.1"
        assert session.sport > 0
    assert number_of(haproxy.ask("show sess"), "web-81", 1) == ""


def test_a_session_whose_server_does_not_answer_is_not_established(haproxy: Haproxy, version: HaproxyVersion) -> None:
    start(haproxy, version, None)
    with socket.socket() as silent:
        silent.bind(("127.1.0.1", 8080))
        silent.listen(0)
        full = [socket.socket() for _ in range(2)]
        for each in full:
            each.setblocking(False)
            each.connect_ex(("127.1.0.1", 8080))
        with socket.create_connection(("127.0.0.1", 80)) as ours:
            seen = []

            def told() -> bool:
                number = number_of(haproxy.ask("show sess"), "web-80", ours.getsockname()[1])
                seen.append(parse(haproxy.ask(f"show sess {number}")) if number else None)
                return seen[-1] is not None

            wait_until(told, "a server is chosen", every_s=0.005)
            assert seen[-1] is not None
            assert not seen[-1].established
        for each in full:
            each.close()
