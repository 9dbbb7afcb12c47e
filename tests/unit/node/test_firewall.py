"""The firewall's program in the node container, as far as it needs no kernel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TRACKED = (
    "tcp      6 431999 ESTABLISHED src=192.168.50.100 dst=192.168.50.11 sport=41000 dport=8080 "
    "src=172.17.0.2 dst=192.168.50.100 sport=80 dport=41000 [ASSURED] mark=0 use=1"
)
PING = "icmp     1 29 src=172.17.0.1 dst=172.17.0.2 type=8 code=0 id=7 src=172.17.0.2 dst=172.17.0.1 type=0 code=0 id=7"


@pytest.fixture(scope="module")
def program(node: ModuleType, engine: ModuleType) -> ModuleType:
    """``node``, ``engine``: the modules that it imports."""
    assert engine.CHAINS
    place = Path(str(node.__file__)).with_name("dockgate_firewall.py")
    spec = importlib.util.spec_from_file_location("dockgate_firewall", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dockgate_firewall"] = module
    spec.loader.exec_module(module)
    return module


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
