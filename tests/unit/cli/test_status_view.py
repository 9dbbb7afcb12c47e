"""What a person sees of a member and of a load balancer, and that it stays within 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dockgate.cli.status import render
from dockgate.cli.status_view import MemberRow, StatusView, VipRow, duration


def member(name: str, *, health: str, why: str = "", host: str = "docker1") -> MemberRow:
    return MemberRow(
        pool="pres_containers",
        member=name,
        vip="web",
        host=host,
        address="",
        port=80,
        health=health,
        up=not why,
        since="3m10s",
        since_s=190,
        sessions=0,
        requests=0,
        weight=100,
        several_balancers=host != "docker1",
        why=why,
    )


def shown(view: StatusView) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(render(view))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def vip(*, state: str, why: str = "") -> VipRow:
    return VipRow("web", "docker1", "192.168.50.11:80", state, well=not why, runs=True, why=why)


def test_a_member_that_is_not_up_takes_one_line_in_its_table() -> None:
    absent = "absent (Docker's DNS does not know the name)"
    rows = (member("web1", health="absent", why=absent), member("web2", health="absent", why=absent))
    lines = shown(StatusView((vip(state="no member up", why="no member is up in pool pres_containers"),), rows, ()))
    assert [line.split()[0] for line in lines[3:6]] == ["POOL", "pres_containers", "web2"]


def test_members_that_share_a_reason_are_told_together_below_the_tables() -> None:
    rows = (member("web1", health="DOWN L4CON", why="down (x)"), member("web2", health="DOWN L4CON", why="down (x)"))
    lines = shown(StatusView((vip(state="answers"),), rows, ()))
    assert lines[-1] == "down (x): pres_containers/web1, pres_containers/web2"


def test_nothing_stands_below_the_tables_when_all_is_well() -> None:
    lines = shown(StatusView((vip(state="answers"),), (member("web1", health="UP L7OK/200"),), ()))
    assert lines[-1].startswith("pres_containers  web1")


def test_several_load_balancers_have_a_table_each() -> None:
    rows = (member("web1", health="UP", host="docker2"), member("web1", health="UP", host="docker3"))
    lines = shown(StatusView((vip(state="answers"),), rows, ()))
    assert [line for line in lines if line.startswith("web on")] == ["web on docker2", "web on docker3"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (190, "3m10s"), (7500, "2h05m"), (356_400, "4d3h")], ids=lambda value: str(value)
)
def test_a_time_has_at_most_two_units(seconds: int, text: str) -> None:
    assert duration(seconds) == text
