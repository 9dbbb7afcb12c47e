"""Clients that stick to a member, and requests of which a part goes elsewhere, on the real HAProxy, both versions."""

from __future__ import annotations

import http.client
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import FakeDns, Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import CHECK, NAMED, all_up, ask, config, one_pool
from tests.contract.test_haproxy_limits_real import listens
from tests.golden.haproxy.cases import VIP, Case

from dockgate.haproxy.hold import hold
from dockgate.haproxy.runtime import commands
from dockgate.model.actions import ServerChange
from dockgate.model.desired import ByService, Endpoint, Endpoints, HaproxyVersion, Listen, Pool, Route, Sticky
from dockgate.model.http import HeaderMatch

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]

BY_COOKIE = replace(NAMED, sticky=Sticky(cookie="STAY"))
BY_CLIENT = replace(NAMED, sticky=Sticky("client"))
SERVICE = Pool("named", ByService("web", 3), 8080, "back", check=CHECK, sticky=Sticky(cookie="STAY"))
BOTH = {"127.1.0.1", "127.1.0.2"}


def asked(cookie: str | None = None, source: str = "127.0.0.1") -> tuple[str, str | None]:
    """Who answered, and the cookie that came with it (without its attributes)."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10, source_address=(source, 0))
    connection.request("GET", "/", headers={"Cookie": f"other=1; {cookie}"} if cookie else {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200, body
    given = response.getheader("Set-Cookie")
    return body, given.partition(";")[0] if given else None


@pytest.fixture
def names(dns: FakeDns, web: WebMember, other: WebMember) -> FakeDns:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"], "web": ["127.1.0.1", "127.1.0.2"]}
    return dns


def start(haproxy: Haproxy, version: HaproxyVersion, pool: Pool) -> None:
    haproxy.start(config(one_pool(pool), version).text)
    wait_until(lambda: sum(each.status == "UP" for each in haproxy.running().servers) == 2, "both are up")


def homes() -> dict[str, str]:
    """By member, the cookie of a client that it got."""
    found: dict[str, str] = {}
    while set(found) != BOTH:
        who, cookie = asked()
        assert cookie
        found[who] = cookie
    return found


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("pool", [BY_COOKIE, SERVICE], ids=["by name", "by service"])
def test_a_client_with_a_cookie_stays_also_across_a_reload(
    haproxy: Haproxy, version: HaproxyVersion, pool: Pool
) -> None:
    start(haproxy, version, pool)
    for _ in range(2):
        for who, cookie in homes().items():
            assert {asked(cookie) for _ in range(4)} == {(who, None)}
            assert "w1" not in cookie
            assert "127" not in cookie
        before, wanted = homes(), config(one_pool(replace(pool, retries=2)), version)
        wait_until(lambda: listens(haproxy), "the master takes commands")
        haproxy.reload(wanted.text)
        wait_until(lambda: sum(each.status == "UP" for each in haproxy.running().servers) == 2, "both are up")
        assert {who: asked(cookie)[0] for who, cookie in before.items()} == {who: who for who in before}


@pytest.mark.usefixtures("names")
def test_a_client_stays_by_its_address_also_across_a_reload(haproxy: Haproxy, version: HaproxyVersion) -> None:
    start(haproxy, version, BY_CLIENT)
    clients = [f"127.0.1.{number}" for number in range(1, 9)]
    home = {client: asked(source=client)[0] for client in clients}
    assert set(home.values()) == BOTH
    wait_until(lambda: listens(haproxy), "the master takes commands")
    haproxy.reload(config(one_pool(replace(BY_CLIENT, retries=2)), version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"))
    assert {client: asked(source=client)[0] for client in clients} == home


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("pool", [BY_COOKIE, BY_CLIENT], ids=["cookie", "client"])
def test_a_member_that_is_told_to_stop_gets_not_even_who_sticks_to_it(
    haproxy: Haproxy, version: HaproxyVersion, pool: Pool, web: WebMember
) -> None:
    """A drained server still gets its own clients: they would meet it as it dies."""
    start(haproxy, version, pool)
    cookie = homes()["127.1.0.1"] if pool is BY_COOKIE else None
    clients = [f"127.0.1.{number}" for number in range(1, 9)]
    home = {client: asked(cookie, client)[0] for client in clients}
    assert "127.1.0.1" in home.values()
    assert haproxy.ask(hold("named", "w1", sticky=True)).strip() == ""
    before = len(web.received)
    assert {asked(cookie, client)[0] for client in clients} == {"127.1.0.2"}
    assert len(web.received) == before
    for command in commands(ServerChange("named", "w1", "ready", afresh=True)):
        assert haproxy.ask(command).strip() == ""
    all_up(haproxy, ("named", "w1"))


@pytest.mark.usefixtures("names")
def test_a_client_whose_member_died_gets_another_and_its_cookie(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    start(haproxy, version, BY_COOKIE)
    cookies = homes()
    web.status = 503
    wait_until(lambda: haproxy.status("named", "w1") == "DOWN", "it is found out")
    who, cookie = asked(cookies["127.1.0.1"])
    assert (who, cookie) == ("127.1.0.2", cookies["127.1.0.2"])


# --- a part of the requests


def test_a_part_of_the_requests_and_who_asks_for_it_get_another_pool(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember, other: WebMember
) -> None:
    """The bounds hold 10 % of 2,000 requests and 20 % of them in all but one of some 10,000 runs."""
    pools = tuple(
        Pool(name, Endpoints((Endpoint("w", address, 8080),)), 0, check=CHECK)
        for name, address in (("old", "127.1.0.1"), ("new", "127.1.0.2"))
    )
    routes = (
        Route("new", None, None, header=HeaderMatch("x-version", "next")),
        Route("old", None, "/half", percent=30),
        Route("new", None, "/half", percent=20),
        Route("new", None, None, percent=10),
    )
    haproxy.start(config(Case(pools, replace(VIP, listens=(Listen(80, pool="old"),), routes=routes)), version).text)
    all_up(haproxy, ("old", "w"), ("new", "w"))
    assert {ask(X_Version="next")[1] for _ in range(10)} == {"127.1.0.2"}
    assert "127.1.0.1" in {ask(X_Version="Next")[1] for _ in range(10)}
    for path, share in (("/", 0.1), ("/half", 0.2 + 0.5 * 0.1)):
        new = sum(ask(path)[1] == "127.1.0.2" for _ in range(2000))
        assert abs(new / 2000 - share) < 4 * (share * (1 - share) / 2000) ** 0.5, (path, new)
