"""Text, origins and structure of a configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.golden.haproxy.cases import CASES, Case, at

from dockgate.haproxy.build import ResolvedServer
from dockgate.haproxy.render import render, structure
from dockgate.model.desired import ByName, Check, HaproxyVersion, Member, Published
from dockgate.model.objects import ADMIN_SOCKET, STATE_FILE
from dockgate.model.source import Source

NAMED, SLOTS = CASES["running-example"], CASES["published"]


def changed(case: Case, **fields: object) -> str:
    return structure(replace(case, pools=(replace(case.pools[0], **fields),)).tree("3.2"))  # type: ignore[arg-type]


def origin_of(case: Case, start: str) -> Source | None:
    config = render(case.tree("3.2"))
    lines = config.text.splitlines()
    return config.origins[next(number for number, line in enumerate(lines) if line.strip().startswith(start))]


def test_there_is_one_origin_for_each_line() -> None:
    for case in CASES.values():
        config = render(case.tree("3.2"))
        assert len(config.origins) == len(config.text.splitlines())


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("server web2", at(18, 11)),
        ("http-check send", at(20)),
        ("backend pres_containers", at(15)),
        ("bind", at(10)),
        ("stats uri", at(12)),
        ("log stdout", None),
    ],
)
def test_a_line_knows_where_it_comes_from(line: str, source: Source | None) -> None:
    assert origin_of(NAMED, line) == source


def test_the_description_tells_the_structure() -> None:
    config = render(NAMED.tree("3.2"))
    assert f"description 'dockgate demo/web {config.structure}'" in config.text


def test_a_weight_does_not_change_the_structure() -> None:
    lighter = ByName((Member("web1", 1), Member("web2")))
    assert changed(NAMED, membership=lighter) == structure(NAMED.tree("3.2"))


def test_where_published_members_are_does_not_change_the_structure() -> None:
    moved = (ResolvedServer("web2", "192.168.50.13", 1, 50),)
    assert structure(replace(SLOTS, resolved={"pres_containers": moved}).tree("3.2")) == structure(SLOTS.tree("3.2"))


@pytest.mark.parametrize(
    "fields",
    [
        {"check": Check(path="/other")},
        {"check": None},
        {"membership": ByName((Member("web1"),))},
        {"membership": Published((Member("web1"), Member("web2")))},
        {"port": 81},
        {"balance": "leastconn"},
        {"retry_non_idempotent": True},
    ],
)
def test_what_needs_a_reload_changes_the_structure(fields: dict[str, object]) -> None:
    assert changed(NAMED, **fields) != structure(NAMED.tree("3.2"))


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_sockets_and_state_are_where_everybody_looks_for_them(version: HaproxyVersion) -> None:
    text = render(NAMED.tree(version)).text
    assert f"stats socket unix@{ADMIN_SOCKET} mode 600 level admin" in text
    assert f"server-state-file {STATE_FILE}" in text


def test_tcp_ut_stands_on_every_server_line() -> None:
    for case in CASES.values():
        lines = [line for line in render(case.tree("3.2")).text.splitlines() if line.startswith("    server")]
        servers = [line for line in lines if not line.startswith("    server-state-file") and " unix@" not in line]
        assert servers
        assert all(" tcp-ut " in line for line in servers)
