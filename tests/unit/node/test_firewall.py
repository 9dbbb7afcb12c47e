"""The firewall's program in the node container, as far as it needs no kernel."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.programs import program as loaded

TRACKED = (
    "tcp      6 431999 ESTABLISHED src=192.168.50.100 dst=192.168.50.11 sport=41000 dport=8080 "
    "src=172.17.0.2 dst=192.168.50.100 sport=80 dport=41000 [ASSURED] mark=0 use=1"
)
PING = "icmp     1 29 src=172.17.0.1 dst=172.17.0.2 type=8 code=0 id=7 src=172.17.0.2 dst=172.17.0.1 type=0 code=0 id=7"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return loaded("node", "firewall")


@pytest.fixture
def store(program: ModuleType, tmp_path: Path):  # type: ignore[no-untyped-def]
    return program.Store(tmp_path)


def test_a_translated_connection_is_told_with_what_was_asked_and_who_answers(program: ModuleType) -> None:
    flow = program.flow_of(TRACKED)
    assert (flow["protocol"], flow["source"], flow["destination"], flow["dport"]) == (
        "tcp",
        "192.168.50.100",
        "192.168.50.11",
        "8080",
    )
    assert (flow["server"], flow["server_port"]) == ("172.17.0.2", "80")


def test_a_ping_has_the_type_with_which_it_began(program: ModuleType) -> None:
    assert program.flow_of(PING)["type"] == "8"


@pytest.mark.parametrize(
    "line", ["", "unknown  2 590 src=10.0.3.1 dst=224.0.0.22 [UNREPLIED] src=1.2.3.4 dst=10.0.3.1"]
)
def test_what_cannot_be_cut_by_itself_is_not_told(program: ModuleType, line: str) -> None:
    """IGMP is protocol "unknown" to conntrack: asking to cut it made a whole apply fail."""
    assert program.flow_of(line) is None


def trial(program: ModuleType, store, **changes: object) -> dict[str, object]:  # type: ignore[no-untyped-def]
    told = {"hash": "new", "places": [], "boot": store.boot, "deadline": program.now() + 60, "confirm": False}
    store.write("trial.json", {**told, **changes})
    return told


def test_a_trial_counts_until_its_deadline(program: ModuleType, store) -> None:  # type: ignore[no-untyped-def]
    store.write("kept.json", {"hash": "old", "places": []})
    trial(program, store)
    assert store.wanted()["hash"] == "new"
    trial(program, store, deadline=program.now() - 1)
    assert store.wanted()["hash"] == "old"


def test_a_trial_does_not_outlive_a_reboot(program: ModuleType, store) -> None:  # type: ignore[no-untyped-def]
    store.write("kept.json", {"hash": "old", "places": []})
    trial(program, store, boot="another")
    assert store.wanted()["hash"] == "old"


def test_what_looks_like_a_table_of_an_earlier_start_is_not_taken_for_ours(store) -> None:  # type: ignore[no-untyped-def]
    store.note_print("4026531840", "text", "seen")
    assert store.prints() == {"4026531840": ["text", "seen"]}
    store.boot = "another"
    assert store.prints() == {}


def test_the_file_of_a_namespace_that_is_gone_is_no_namespace(program: ModuleType, tmp_path: Path) -> None:
    """libnetwork can leave an ordinary file behind; entering it failed with "Invalid argument"."""
    left = tmp_path / "1-abcdefghij"
    left.touch()
    assert not program._is_namespace(left)
    assert program._is_namespace(Path("/proc/self/ns/net"))


def test_the_folder_holds_whole_files_only(program: ModuleType, store) -> None:  # type: ignore[no-untyped-def]
    store.write("kept.json", {"hash": "a"})
    (store.folder / "kept.json.new").write_text('{"hash": "half')
    assert store.read("kept.json") == {"hash": "a"}
    (store.folder / "kept.json").write_text("{")
    with pytest.raises(program.CannotDo, match="is not JSON"):
        store.read("kept.json")


def told(kind: int, *, generation: int = 0, table: str = "", family: int = 1) -> bytes:
    """A message of the kernel about rules: of a table, or the end of a transaction."""
    value = struct.pack("!I", generation) if kind == NEW_GENERATION else table.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), 1) + value
    attribute += bytes(-len(attribute) % 4)
    return struct.pack("=IHHIIBBH", 20 + len(attribute), kind, 0, 0, 0, family, 0, 0) + attribute


NEW_RULE, NEW_GENERATION = 0x0A06, 0x0A0F
OTHERS, OURS = told(NEW_RULE, table="filter", family=2), told(NEW_RULE, table="dockgate")


@pytest.fixture
def heard(program: ModuleType) -> Iterator[tuple[ModuleType, socket.socket]]:
    """What listens, and where to speak."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        here.setblocking(False)
        yield program.Changes(here), there


def test_changes_of_other_tables_need_no_look_at_ours(heard) -> None:  # type: ignore[no-untyped-def]
    changes, kernel = heard
    kernel.send(OTHERS + told(NEW_GENERATION, generation=8))
    kernel.send(OTHERS)
    kernel.send(OTHERS + told(NEW_GENERATION, generation=9))
    assert changes.spared(7, 9)


@pytest.mark.parametrize("ours", [OURS, OTHERS + OURS + OTHERS, told(NEW_RULE, table="dockgate") + OTHERS])
def test_a_change_of_our_table_is_never_spared(heard, ours: bytes) -> None:  # type: ignore[no-untyped-def]
    changes, kernel = heard
    kernel.send(OTHERS + told(NEW_GENERATION, generation=8))
    kernel.send(ours + told(NEW_GENERATION, generation=9))
    kernel.send(OTHERS + told(NEW_GENERATION, generation=10))
    assert not changes.spared(7, 10)
    kernel.send(OTHERS + told(NEW_GENERATION, generation=11))
    assert changes.spared(10, 11)


def test_a_table_of_our_name_in_another_family_is_not_ours(heard) -> None:  # type: ignore[no-untyped-def]
    changes, kernel = heard
    kernel.send(told(NEW_RULE, table="dockgate", family=2) + told(NEW_GENERATION, generation=8))
    assert changes.spared(7, 8)


def test_a_change_that_was_not_heard_is_not_spared(heard) -> None:  # type: ignore[no-untyped-def]
    changes, kernel = heard
    kernel.send(OTHERS + told(NEW_GENERATION, generation=9))
    assert not changes.spared(7, 9)
    assert not changes.spared(9, 10)


def test_what_comes_after_lost_messages_is_not_taken_for_whole(program: ModuleType) -> None:
    """The end of a transaction of which a part was lost looked like one that left our table alone."""
    changes = program.Changes(Losing([OTHERS, None, OTHERS, told(NEW_GENERATION, generation=8)]))
    changes.listen(0.0)
    changes.read(told(NEW_GENERATION, generation=9))
    changes.read(OTHERS + told(NEW_GENERATION, generation=10))
    assert changes.others == {10}


class Losing:
    """A socket of the kernel, with what it gives in order; None: it lost some."""

    def __init__(self, said: list[bytes | None]) -> None:
        self._said = said
        self._always_ready = socket.socketpair()
        self._always_ready[1].send(b"x")

    def fileno(self) -> int:
        return self._always_ready[0].fileno()

    def recv(self, size: int) -> bytes:
        if not self._said:
            for end in self._always_ready:
                end.close()
            raise BlockingIOError
        message = self._said.pop(0)
        if message is None:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return message
