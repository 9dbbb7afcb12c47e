"""The guard's ear against a real kernel: whose table a change was about, told without a look at any table."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.contract.firewall_stage import run
from tests.programs import program as loaded

pytestmark = pytest.mark.lab

NEWNET = 0x40000000
TABLES = """\
table inet dockgate {
	set bridges { type ifname; elements = { "docker0" }; }
	chain c_forward { type filter hook forward priority -10; }
}
table ip filter { chain DOCKER { }; }
table inet other { set bridges { type ifname; }; }
"""
OTHERS = (
    "add rule ip filter DOCKER tcp dport 80 accept",
    "add chain ip filter DOCKER-USER",
    'add element inet other bridges { "docker0" }',
    "delete table inet other",
    "add table ip dockgate",
    "flush chain ip filter DOCKER; add rule ip filter DOCKER counter",
)
OURS = (
    "add rule inet dockgate c_forward accept",
    "flush set inet dockgate bridges",
    'delete element inet dockgate bridges { "docker0" }',
    "add chain inet dockgate c_more",
    "add map inet dockgate m { type ifname : verdict; }",
    "add rule ip filter DOCKER accept; delete table inet dockgate; add table ip more",
    "flush ruleset",
)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return loaded("node", "firewall")


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """``os.setns`` came with Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as home, namespace.open() as there:
        assert libc.setns(there.fileno(), NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), NEWNET) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture
def namespace() -> Iterator[Path]:
    name = f"dgear{os.getpid()}"
    run("ip", "netns", "add", name)
    try:
        yield Path("/run/netns") / name
    finally:
        run("ip", "netns", "delete", name)


@pytest.fixture
def heard(program: ModuleType, namespace: Path) -> Iterator[tuple[ModuleType, Any]]:
    """The program and its ear, in a namespace with these tables."""
    with inside(namespace):
        program.nft("-f", "-", feed=TABLES)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, program.NETLINK_NETFILTER) as events:
            events.bind((0, 1 << 6))
            events.setblocking(False)
            yield program, program.Changes(events)


@pytest.mark.parametrize("words", OTHERS)
def test_a_change_of_anothers_table_is_spared(heard: tuple[ModuleType, Any], words: str) -> None:
    program, changes = heard
    before = program.generation()
    program.nft("-f", "-", feed=words)
    assert program.generation() > before
    assert changes.spared(before, program.generation())


@pytest.mark.parametrize("words", OURS)
def test_a_change_of_ours_is_not(heard: tuple[ModuleType, Any], words: str) -> None:
    program, changes = heard
    before = program.generation()
    program.nft("-f", "-", feed=OTHERS[0])
    program.nft("-f", "-", feed=words)
    assert not changes.spared(before, program.generation())


def test_more_changes_than_the_kernel_keeps_for_us_are_looked_at(heard: tuple[ModuleType, Any]) -> None:
    """It drops what does not fit, and says so: what was not told may have been about our table."""
    program, changes = heard
    before = program.generation()
    many = "\n".join(f"add rule ip filter DOCKER tcp dport {port} accept" for port in range(1, 20_000))
    program.nft("-f", "-", feed=many)
    for _ in range(3):
        program.nft("-f", "-", feed=OTHERS[0])
    program.nft("-f", "-", feed=OURS[0])
    assert not changes.spared(before, program.generation())
    program.nft("-f", "-", feed=OTHERS[0])  # the first after that may be the end of what was lost
    changes.listen(0.0)
    after = program.generation()
    program.nft("-f", "-", feed=OTHERS[0])
    assert changes.spared(after, program.generation())


def test_the_guard_lists_no_table_for_changes_of_others(
    heard: tuple[ModuleType, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing of ten thousand rules takes a second or two, and each container that starts changes Docker's rules."""
    program, changes = heard
    store = program.Store(tmp_path)
    text = f"table inet dockgate\ndelete table inet dockgate\n{TABLES.partition('table ip ')[0]}"
    place = {"place": "host", "network": "", "text": text}
    program.nft("delete", "table", "inet", "dockgate")
    program.load(store, place, None)
    store.write("kept.json", {"hash": "h", "places": [place]})
    guard = program.Guard(store, changes)
    guard.turn()
    looked: list[int] = []
    look = program.fingerprint
    monkeypatch.setattr(program, "fingerprint", lambda: [looked.append(1), look()][1])
    for words in OTHERS:
        program.nft("-f", "-", feed=words)
        guard.turn()
    assert looked == []
    program.nft("-f", "-", feed="flush ruleset")
    guard.turn()
    assert program.exists()
    assert looked
