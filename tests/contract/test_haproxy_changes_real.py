"""Changes of a running HAProxy, over its runtime socket and by reloads, on both real versions."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from tests.contract.haproxy_process import FakeDns, Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import CHECK, NAMED, all_up, ask, carry_out, config, one_pool
from tests.golden.haproxy.cases import VIP, Case

from dockgate.haproxy import model
from dockgate.haproxy.build import ResolvedServer
from dockgate.haproxy.render import render
from dockgate.haproxy.runtime import addition, changes, commands, inverse, parse_command_output
from dockgate.haproxy.state import carry_over
from dockgate.model.actions import ServerChange
from dockgate.model.desired import (
    ByName,
    HaproxyVersion,
    Listen,
    Member,
    Pool,
    Published,
    Route,
)

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]


# --- changes of a running process ---

SLOTS = Pool("slots", Published((Member("a"), Member("b", 50))), 8080, check=CHECK)


def test_changes_bring_a_running_process_to_its_configuration_and_their_inverse_back(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember, other: WebMember
) -> None:
    before = one_pool(SLOTS, ResolvedServer("a", "127.1.0.1", 8080)).tree(version)
    weighted = replace(SLOTS, membership=Published((Member("a", 7), Member("b", 50))))
    after = one_pool(weighted, ResolvedServer("a", None, 0, 7), ResolvedServer("b", "127.1.0.2", 8080, 50)).tree(
        version
    )
    assert render(before).structure == render(after).structure
    haproxy.start(render(before).text)
    all_up(haproxy, ("slots", "a"))
    start = haproxy.running()
    assert changes(before, start) == ()

    wanted = changes(after, start)
    carry_out(haproxy, wanted)
    all_up(haproxy, ("slots", "b"))
    assert changes(after, haproxy.running()) == ()
    assert ask() == (200, "127.1.0.2")

    carry_out(haproxy, tuple(inverse(change, start) for change in reversed(wanted)))
    all_up(haproxy, ("slots", "a"))
    assert changes(before, haproxy.running()) == ()
    assert ask() == (200, "127.1.0.1")


def test_the_model_of_a_process_does_what_the_process_does(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember, other: WebMember
) -> None:
    before = one_pool(SLOTS, ResolvedServer("a", "127.1.0.1", 8080)).tree(version)
    after = one_pool(SLOTS, ResolvedServer("b", "127.1.0.2", 8080, 9)).tree(version)
    haproxy.start(render(before).text)
    all_up(haproxy, ("slots", "a"))
    modelled = model.fresh(before, version=version)

    def shown(running: model.RunningHaproxy) -> list[tuple[str, str, int, str, int]]:
        return [(each.name, each.address, each.port, each.status, each.weight) for each in running.servers]

    assert shown(haproxy.running()) == shown(modelled)
    for change in changes(after, modelled):
        modelled = model.apply(change, modelled)
        carry_out(haproxy, (change,))
    all_up(haproxy, ("slots", "b"))
    assert shown(haproxy.running()) == shown(modelled)


def test_what_a_person_did_by_hand_is_left_alone(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember
) -> None:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.1"]}
    case = replace(one_pool(NAMED), pools=(NAMED, SLOTS))
    case = replace(case, vip=replace(case.vip, routes=(Route("slots", None, "/s"),)))
    case = replace(case, resolved={"slots": (ResolvedServer("a", "127.1.0.1", 8080), ResolvedServer("b", None, 0, 50))})
    haproxy.start(config(case, version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"), ("slots", "a"))
    for command in ("named/w1 state drain", "named/w2 state maint", "slots/a state maint"):
        haproxy.ask(f"set server {command}")
    assert changes(case.tree(version), haproxy.running()) == ()


def test_a_refused_command_is_told_in_haproxys_words(haproxy: Haproxy, version: HaproxyVersion) -> None:
    haproxy.start(config(one_pool(NAMED), version).text)
    (command,) = commands(ServerChange("named", "nobody", weight=3))
    assert parse_command_output(haproxy.ask(command)) == "No such server."


# --- reloads ---


def reload_as_dockgate_does(haproxy: Haproxy, text: str) -> None:
    (haproxy.root / "run/haproxy/state").write_text(carry_over(haproxy.ask("show servers state").strip("\n"), text))
    haproxy.reload(text)


def test_a_reload_keeps_health_and_what_was_done_by_hand(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    haproxy.start(config(one_pool(NAMED), version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"))
    haproxy.ask("set server named/w2 state drain")
    after = config(one_pool(replace(NAMED, check=replace(CHECK, fall=3))), version)
    reload_as_dockgate_does(haproxy, after.text)
    assert (haproxy.status("named", "w1"), haproxy.status("named", "w2")) == ("UP", "DRAIN")
    assert haproxy.running().structure == after.structure
    assert {ask() for _ in range(4)} == {(200, "127.1.0.1")}


def test_a_reload_follows_a_changed_port_and_weight_and_fills_an_emptied_slot(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember
) -> None:
    """HAProxy's own state file would keep the old port, the weight set at run time, and the slot in maintenance."""
    dns.names["w1"] = ["127.1.0.1"]
    moved = WebMember("127.1.0.1", 8081)
    try:
        before = replace(one_pool(NAMED), pools=(NAMED, SLOTS))
        before = replace(before, vip=replace(before.vip, routes=(Route("slots", None, "/s"),)))
        before = replace(before, resolved={"slots": (ResolvedServer("a", "127.1.0.1", 8080),)})
        haproxy.start(config(before, version).text)
        all_up(haproxy, ("named", "w1"), ("slots", "a"))
        empty = replace(before, resolved={})
        carry_out(haproxy, changes(empty.tree(version), haproxy.running()))
        haproxy.ask("set server named/w1 weight 3")

        after = replace(before, pools=(replace(NAMED, port=8081), SLOTS))
        reload_as_dockgate_does(haproxy, config(after, version).text)
        states = {(each.pool, each.name): each for each in haproxy.running().servers}
        assert (states["named", "w1"].port, states["named", "w1"].weight) == (8081, 100)
        all_up(haproxy, ("named", "w1"), ("slots", "a"))
        assert changes(after.tree(version), haproxy.running()) == ()
    finally:
        moved.close()


def test_a_member_added_by_a_reload_gets_no_request_before_its_first_good_check(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    other.status = 503
    haproxy.start(config(one_pool(replace(NAMED, membership=ByName((Member("w1"),)))), version).text)
    all_up(haproxy, ("named", "w1"))
    reload_as_dockgate_does(haproxy, config(one_pool(NAMED), version).text)
    while len(other.checks) < 3:
        assert ask() == (200, "127.1.0.1")
    assert other.received == []


def only_the_first_serves_until_the_second_is_well(haproxy: Haproxy, other: WebMember, server: tuple[str, str]) -> None:
    """``server``: the second one's pool and name. Asked from the first moment on that HAProxy knows of it."""
    begun = len(other.checks)
    while len(other.checks) < begun + 3:
        (state,) = [each for each in haproxy.running().servers if (each.pool, each.name) == server]
        assert not state.proved, state
        assert ask() == (200, "127.1.0.1")
    assert other.received == []
    other.status = 200
    all_up(haproxy, server)
    assert {ask()[1] for _ in range(4)} == {"127.1.0.1", "127.1.0.2"}


def test_a_server_added_at_run_time_gets_no_request_before_its_first_good_check(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    """HAProxy lets a server out of maintenance as up until a check fails: `replace` took that for a good check."""
    dns.names["w1"] = ["127.1.0.1"]
    haproxy.start(config(one_pool(replace(NAMED, membership=ByName((Member("w1"),)))), version).text)
    all_up(haproxy, ("named", "w1"))
    other.status = 503
    new = ServerChange("named", "new", "ready", 100, "127.1.0.2", 8080, afresh=True)
    for command in addition(new, ()):
        assert haproxy.ask(command).strip() in ("", "New server registered."), command
    only_the_first_serves_until_the_second_is_well(haproxy, other, ("named", "new"))


def test_a_slot_that_is_filled_gets_no_request_before_its_first_good_check(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember, other: WebMember
) -> None:
    first = ResolvedServer("a", "127.1.0.1", 8080)
    haproxy.start(config(one_pool(SLOTS, first), version).text)
    all_up(haproxy, ("slots", "a"))
    other.status = 503
    after = one_pool(SLOTS, first, ResolvedServer("b", "127.1.0.2", 8080, 50)).tree(version)
    carry_out(haproxy, changes(after, haproxy.running()))
    only_the_first_serves_until_the_second_is_well(haproxy, other, ("slots", "b"))


def test_what_the_checks_said_of_the_one_before_is_forgotten_where_that_is_told(
    haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember, other: WebMember
) -> None:
    dns.names |= {"w1": ["127.1.0.1"], "w2": ["127.1.0.2"]}
    haproxy.start(config(one_pool(NAMED), version).text)
    all_up(haproxy, ("named", "w1"), ("named", "w2"))
    other.status = 503
    carry_out(haproxy, (ServerChange("named", "w2", "drain", afresh=True),))
    checked = len(other.checks)
    while len(other.checks) < checked + 3:
        (state,) = [each for each in haproxy.running().servers if each.name == "w2"]
        assert not state.proved, state
    other.status = 200
    wait_until(lambda: haproxy.status("named", "w2") == "DRAIN", "its check is good, and it is drained still")


def test_requests_go_on_over_reloads(haproxy: Haproxy, version: HaproxyVersion, dns: FakeDns, web: WebMember) -> None:
    dns.names["w1"] = ["127.1.0.1"]
    configs = [config(one_pool(replace(NAMED, check=replace(CHECK, fall=fall))), version) for fall in (2, 3)]
    haproxy.start(configs[0].text)
    all_up(haproxy, ("named", "w1"))
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)  # http.client reopens what was said to close
    for number in range(4):
        reload_as_dockgate_does(haproxy, configs[(number + 1) % 2].text)
        for _ in range(20):
            connection.request("GET", "/")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"127.1.0.1")
    connection.close()


def large(fall: int) -> Case:
    """A VIP with 2,000 members in ten pools and 1,000 routes to them."""
    check = replace(CHECK, interval_ms=10_000, fall=fall)
    names = [f"pool{number}" for number in range(10)]
    pools = tuple(
        Pool(name, Published(tuple(Member(f"m{n}") for n in range(200))), 8080, check=check) for name in names
    )
    routes = tuple(Route(names[number % 10], f"h{number}.example", f"/{number % 7}") for number in range(1000))
    placed = {name: tuple(ResolvedServer(f"m{n}", "127.1.0.1", 8080) for n in range(200)) for name in names}
    return Case(pools, replace(VIP, listens=(Listen(80, pool="pool0"),), routes=routes), placed)


def up(haproxy: Haproxy, wanted: int) -> bool:
    return [each.status for each in haproxy.running().servers].count("UP") == wanted


def test_two_thousand_members_and_a_thousand_routes_are_checked_and_reloaded_without_loss(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    configs = [config(large(fall), version).text for fall in (2, 3)]
    code, output = haproxy.check(configs[0])
    assert code == 0, output
    haproxy.start(configs[0])
    wait_until(partial(up, haproxy, 2000), "all members are up", 60, every_s=0.5)
    answers: list[int] = []
    over = threading.Event()

    def client() -> None:
        number = 0
        while not over.is_set():
            number += 1
            answers.append(ask(f"/{number % 7}", Host=f"h{number % 1000}.example")[0])

    with ThreadPoolExecutor() as asking:
        asked = [asking.submit(client) for _ in range(4)]
        for number in range(3):
            reload_as_dockgate_does(haproxy, configs[(number + 1) % 2])
            wanted = len(answers) + 50
            wait_until(partial(lambda wanted: len(answers) > wanted, wanted), "it serves after the reload")
        over.set()
        for each in asked:
            each.result()
    assert set(answers) == {200}
    assert up(haproxy, 2000)
