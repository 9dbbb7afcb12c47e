"""Our configurations, runtime commands and readings against the real HAProxy, both versions, from the lab's cache."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.certificates import pair
from tests.contract.haproxy_process import FakeDns, Haproxy, WebMember, vanish, wait_until
from tests.contract.haproxy_stage import CHECK, NAMED, all_up, ask, config, one_pool
from tests.golden.haproxy.cases import CASES, STATS, VIP, Case, at
from tests.strategies import desireds

from dockgate.haproxy.build import build
from dockgate.haproxy.messages import explain
from dockgate.haproxy.render import render
from dockgate.model.desired import (
    ByName,
    ByService,
    Check,
    Desired,
    HaproxyVersion,
    Listen,
    Member,
    Pool,
    Route,
)
from dockgate.model.objects import CONFIG_DIR

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]


# --- what HAProxy thinks of a file ---


@pytest.mark.parametrize("name", CASES)
def test_every_kept_configuration_is_accepted_without_a_warning(
    checker: Haproxy, version: HaproxyVersion, name: str
) -> None:
    made = config(CASES[name], version)
    certificate = pair("shop.example")
    for file in CASES[name].desired(version).tls_files(CASES[name].vip):
        (checker.root / CONFIG_DIR.lstrip("/") / file.name).write_bytes(certificate.cert + certificate.key)
    checker.put(made.beside)
    code, output = checker.check(made.text)
    assert (code, explain(output, made)) == (0, ())


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes a process for each try
)
@given(desired=desireds())
def test_every_generated_configuration_is_accepted(checker: Haproxy, version: HaproxyVersion, desired: Desired) -> None:
    desired = replace(desired, images=replace(desired.images, haproxy_version=version))
    for vip in desired.vips:
        made = render(build(desired, vip, {}))
        checker.put(made.beside)
        code, output = checker.check(made.text)
        assert (code, explain(output, made)) == (0, ())


def test_what_haproxy_refuses_is_told_against_the_line_of_the_users_file(
    checker: Haproxy, version: HaproxyVersion
) -> None:
    check = Check(path="/", expect="no status", source=at(20))
    made = config(one_pool(replace(NAMED, check=check)), version)
    code, output = checker.check(made.text)
    (message,) = explain(output, made)
    assert code != 0
    assert message.startswith("dockgate.yaml:20:5: HAProxy says: ")


# --- a process ---


def test_it_starts_while_no_name_resolves_and_answers_503_at_once(haproxy: Haproxy, version: HaproxyVersion) -> None:
    haproxy.start(config(one_pool(NAMED), version).text)
    wait_until(lambda: haproxy.running().uptime_s >= 1, "it has asked for the names")
    began = time.monotonic()
    assert ask()[0] == 503
    assert time.monotonic() - began < 2


def test_the_running_process_tells_its_structure(haproxy: Haproxy, version: HaproxyVersion) -> None:
    made = config(one_pool(NAMED), version)
    haproxy.start(made.text)
    assert haproxy.running().structure == made.structure
    assert haproxy.running().version.startswith(version)


def test_a_member_that_appears_gets_no_request_before_its_first_good_check(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember
) -> None:
    web.status = 503
    haproxy.start(config(one_pool(NAMED), version).text)
    wait_until(lambda: not haproxy.status("named", "w1").startswith("UP"), "w1 is known to be away")
    dns.names["w1"] = ["127.1.0.1"]
    wait_until(lambda: len(web.checks) >= 2, "w1 was checked twice")
    assert ask()[0] == 503
    assert web.received == []
    web.status = 200
    all_up(haproxy, ("named", "w1"))
    assert ask() == (200, "127.1.0.1")


def test_a_member_that_comes_back_at_another_address_is_followed_and_checked_first(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names["w1"] = ["127.1.0.1"]
    haproxy.start(config(one_pool(NAMED), version).text)
    all_up(haproxy, ("named", "w1"))
    other.status = 503
    web.status = 503
    dns.names["w1"] = []
    wait_until(lambda: "MAINT" in haproxy.status("named", "w1"), "w1 is gone")
    dns.names["w1"] = ["127.1.0.2"]
    wait_until(lambda: len(other.checks) >= 2, "w1 was checked twice at its new address")
    assert (ask()[0], other.received) == (503, [])
    other.status = 200
    all_up(haproxy, ("named", "w1"))
    assert ask() == (200, "127.1.0.2")


def test_a_dns_that_falls_silent_costs_no_member(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember
) -> None:
    dns.names["w1"] = ["127.1.0.1"]
    haproxy.start(config(one_pool(NAMED), version).text)
    all_up(haproxy, ("named", "w1"))
    dns.silent = True
    began = time.monotonic()
    while time.monotonic() - began < 7:  # longer than a name that is gone is held
        assert haproxy.status("named", "w1") == "UP"
        time.sleep(0.1)
    assert ask() == (200, "127.1.0.1")


def test_a_service_has_a_server_for_each_address(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names["api"] = ["127.1.0.1", "127.1.0.2"]
    pool = Pool("svc", ByService("api", 3), 8080, "back", check=CHECK)
    haproxy.start(config(one_pool(pool), version).text)
    wait_until(lambda: sum(each.status == "UP" for each in haproxy.running().servers) == 2, "two servers are up")
    assert {ask()[1] for _ in range(4)} == {"127.1.0.1", "127.1.0.2"}


# --- requests ---


def dying_and_well(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, members: tuple[WebMember, WebMember], pool: Pool = NAMED
) -> tuple[WebMember, WebMember]:
    """Both members up, then one of them takes requests and dies."""
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    haproxy.start(config(one_pool(pool), version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"))
    members[0].dies = True
    return members


def test_a_get_that_a_server_died_with_is_answered_by_the_next(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dying, well = dying_and_well(haproxy, version, dns, (web, other))
    assert {ask() for _ in range(6)} == {(200, well.address)}
    assert dying.received


def test_a_post_reaches_one_server_only(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dying, well = dying_and_well(haproxy, version, dns, (web, other))
    for number in range(6):
        ask(f"/{number}", "POST", body=b"x" * 2000)
    assert dying.received
    assert len(dying.received) + len(well.received) == 6


@pytest.mark.parametrize("key", [{"Idempotency_Key": "k1"}, {}], ids=["by its key", "by the pool's word"])
def test_a_post_that_may_be_repeated_is_answered_by_the_next(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember, key: dict[str, str]
) -> None:
    pool = NAMED if key else replace(NAMED, retry_non_idempotent=True)
    dying, well = dying_and_well(haproxy, version, dns, (web, other), pool)
    assert {ask("/", "POST", body=b"x", **key) for _ in range(6)} == {(200, well.address)}
    assert dying.received


def test_a_request_that_a_vanished_member_had_taken_is_answered_by_the_next(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember, tools: Path
) -> None:
    """The member's kernel had acknowledged the request, so neither the check nor ``tcp-ut`` alone would tell."""
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    haproxy.start(config(one_pool(NAMED), version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"))
    web.may_answer.clear()
    with ThreadPoolExecutor() as asking:
        answers = [asking.submit(ask) for _ in range(2)]
        wait_until(lambda: bool(web.received), "w1 has a request")
        vanish("127.1.0.1", tools)
        began = time.monotonic()
        assert [answer.result() for answer in answers] == [(200, "127.1.0.2")] * 2
        assert time.monotonic() - began < 3


def test_routes_go_by_host_and_whole_segments_of_the_path(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    one = replace(NAMED, name="one", membership=ByName((Member("w1"),)))
    two = replace(NAMED, name="two", membership=ByName((Member("w2"),)))
    routes = (
        Route("two", "api.example.org", "/v1"),
        Route("one", "api.example.org"),
        Route("two", "*.example.org"),
        Route("one", None, "/x"),
    )
    listens = (Listen(80), Listen(81, pool="one"))
    haproxy.start(config(Case((one, two), replace(VIP, listens=listens, routes=routes)), version).text)
    all_up(haproxy, ("one", "w1"), ("two", "w2"))
    asked = {
        ("api.example.org", "/v1"): "127.1.0.2",
        ("API.Example.org:80", "/v1/x?y"): "127.1.0.2",
        ("api.example.org.", "/v1x"): "127.1.0.1",
        ("a.b.example.org", "/"): "127.1.0.2",
        ("example.org", "/"): "no route for this host and path",
        ("evilexample.org", "/x/y"): "127.1.0.1",
        ("other", "/xy"): "no route for this host and path",
    }
    assert {(host, path): ask(path, Host=host)[1] for host, path in asked} == asked
    assert ask("/nothing")[0] == 404
    assert ask("/nothing", port=81) == (200, "127.1.0.1")


def test_the_statistics_page_wants_its_password_even_with_no_member(haproxy: Haproxy, version: HaproxyVersion) -> None:
    case = replace(one_pool(NAMED), vip=replace(VIP, listens=(Listen(80, pool="named"), Listen(81)), stats=STATS))
    haproxy.start(config(case, version).text)

    def page(password: str, port: int = 80) -> tuple[int, str]:
        return ask("/lbstats", port=port, Authorization="Basic " + base64.b64encode(password.encode()).decode())

    assert ask("/lbstats")[0] == 401
    assert page("user:wrong")[0] == 401
    status, text = page("user:password")
    assert (status, "w1" in text, haproxy.running().version in text) == (200, True, False)
    assert page("user:password", 81)[0] == 200
