"""What is set over the runtime socket, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.golden.haproxy.cases import CASES, Case

from dockgate.haproxy.build import ResolvedServer
from dockgate.haproxy.model import apply, fresh
from dockgate.haproxy.runtime import changes, commands, inverse, parse_command_output
from dockgate.model.actions import ServerChange
from dockgate.model.desired import ByName, Member
from dockgate.model.observed import RunningHaproxy, ServerState

POOL = "pres_containers"
NAMED = CASES["running-example"]


def slots(**places: tuple[str, int] | None) -> Case:
    """The published case with its two members at these places."""
    resolved = tuple(
        ResolvedServer(name, place[0] if place else None, place[1] if place else 0, {"web1": 100, "web2": 50}[name])
        for name, place in places.items()
    )
    return replace(CASES["published"], resolved={POOL: resolved})


def process(case: Case) -> RunningHaproxy:
    return fresh(case.tree("3.2"), version="3.2.26")


def with_server(running: RunningHaproxy, name: str, **fields: object) -> RunningHaproxy:
    changed = [replace(each, **fields) if each.name == name else each for each in running.servers]  # type: ignore[arg-type]
    return replace(running, servers=tuple(changed))


def test_nothing_is_set_on_a_process_that_is_as_configured() -> None:
    for case in CASES.values():
        assert changes(case.tree("3.2"), process(case)) == ()


def test_a_weight_is_set_on_a_server_that_dns_resolves_and_nothing_else() -> None:
    pool = replace(NAMED.pools[0], membership=ByName((Member("web1", 7), Member("web2"))))
    wanted = replace(NAMED, pools=(pool,)).tree("3.2")
    assert changes(wanted, process(NAMED)) == (ServerChange(POOL, "web1", weight=7),)


def test_a_member_that_moved_becomes_ready_at_its_new_place() -> None:
    before, after = slots(web1=("10.0.0.1", 80)), slots(web1=("10.0.0.1", 81))
    assert changes(after.tree("3.2"), process(before)) == (
        ServerChange(POOL, "web1", state="ready", address="10.0.0.1", port=81, afresh=True),
    )


def test_a_member_that_is_gone_leaves_an_empty_slot() -> None:
    before, after = slots(web1=("10.0.0.1", 80), web2=("10.0.0.2", 80)), slots(web2=("10.0.0.2", 80))
    assert changes(after.tree("3.2"), process(before)) == (
        ServerChange(POOL, "web1", state="maint", address="0.0.0.0", port=80),
    )


def test_an_empty_slot_is_filled() -> None:
    assert changes(slots(web2=("10.0.0.2", 8080)).tree("3.2"), process(slots())) == (
        ServerChange(POOL, "web2", state="ready", address="10.0.0.2", port=8080, afresh=True),
    )


@pytest.mark.parametrize("status", ["DRAIN", "MAINT"])
def test_a_server_that_a_person_took_out_stays_out(status: str) -> None:
    case = slots(web1=("10.0.0.1", 80))
    assert changes(case.tree("3.2"), with_server(process(case), "web1", status=status)) == ()


@pytest.mark.parametrize("status", ["DRAIN", "MAINT"])
def test_a_server_that_a_person_took_out_follows_its_member_and_stays_out(status: str) -> None:
    before, after = slots(web1=("10.0.0.1", 80)), slots(web1=("10.0.0.9", 80))
    assert changes(after.tree("3.2"), with_server(process(before), "web1", status=status)) == (
        ServerChange(POOL, "web1", address="10.0.0.9", port=80),
    )


def test_a_server_that_the_process_does_not_know_is_left_to_a_reload() -> None:
    pool = replace(NAMED.pools[0], membership=ByName((Member("web1"), Member("web2"), Member("web3", 3))))
    assert changes(replace(NAMED, pools=(pool,)).tree("3.2"), process(NAMED)) == ()


def test_commands_go_through_maintenance_to_a_new_place() -> None:
    assert commands(ServerChange("p", "s", "ready", 9, "10.0.0.1", 80)) == [
        "set server p/s state maint",
        "set server p/s addr 10.0.0.1 port 80",
        "set server p/s weight 9",
        "set server p/s state ready",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ServerChange("p", "s", weight=0), ["weight 0"]),
        (ServerChange("p", "s", "drain"), ["state drain"]),
        (ServerChange("p", "s", "ready"), ["state ready"]),
        (ServerChange("p", "s", "drain", afresh=True), ["state drain", "health down"]),
        (ServerChange("p", "s", "ready", afresh=True), ["state drain", "health down", "state ready"]),
        (ServerChange("p", "s", "maint", None, "0.0.0.0", 80), ["state maint", "addr 0.0.0.0 port 80"]),
        (ServerChange("p", "s", address="10.0.0.1", port=80), ["addr 10.0.0.1 port 80"]),
        (ServerChange("p", "s"), []),
    ],
)
def test_commands_say_what_the_change_says(change: ServerChange, expected: list[str]) -> None:
    assert commands(change) == [f"set server p/s {each}" for each in expected]


@pytest.mark.parametrize(
    "answer",
    [
        "\n",
        "",
        "nothing changed\n\n",
        "IP changed from '0.0.0.0' to '127.1.0.1' by 'stats socket command'\n\n",
        "IP changed from '1.0.0.1' to '0.0.0.0', port changed from '1' to '2' by 'stats socket command'\n\n",
        "port changed from '8080' to '8081' by 'stats socket command'\n\n",
    ],
)
def test_an_answer_to_a_command_that_was_done_is_no_error(answer: str) -> None:
    assert parse_command_output(answer) is None


@pytest.mark.parametrize(
    "answer",
    ["No such server.\n\n", "Invalid addr 'x'\n\n", "Absolute weight can only be between 0 and 256 inclusive.\n\n"],
)
def test_any_other_answer_is_an_error_in_haproxys_words(answer: str) -> None:
    assert parse_command_output(answer) == answer.strip()


@pytest.mark.parametrize("status", ["UP", "DRAIN", "MAINT"])
def test_the_inverse_of_a_change_brings_back_what_was(status: str) -> None:
    change = ServerChange(POOL, "web1", "ready", 9, "10.0.0.9", 99)
    running = with_server(process(slots(web1=("10.0.0.1", 80))), "web1", status=status)
    assert apply(inverse(change, running), apply(change, running)) == running


def test_the_inverse_of_filling_a_slot_empties_it() -> None:
    change = ServerChange(POOL, "web1", "ready", None, "10.0.0.9", 99)
    assert inverse(change, process(slots())) == ServerChange(POOL, "web1", "maint", None, "0.0.0.0", 80)


def test_the_inverse_of_a_change_to_no_server_changes_nothing() -> None:
    change = ServerChange("elsewhere", "x", "ready", 9)
    assert commands(inverse(change, RunningHaproxy("3.2", "", 1, 1, (ServerState("a", "b", "", 0, "UP", 1),)))) == []
