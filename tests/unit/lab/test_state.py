"""The state file survives what happens to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockgate.lab.errors import NotRight
from dockgate.lab.kind import USUAL, Kind
from dockgate.lab.process import Process
from dockgate.lab.state import LabState, from_json, read_state, record_process, to_json, write_state

STATE = LabState(
    name="lab",
    hosts=2,
    rootfs=Path("/cache/rootfs"),
    disks=Path("/cache/labs/lab"),
    complete=True,
    processes={"docker2": Process(11, 200), "docker1": Process(10, 100)},
    kinds={"docker2": Kind("20.10", iptables=False)},
    roots={"docker2": Path("/cache/rootfs/old")},
)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    write_state(tmp_path / "lab" / "state.json", STATE)
    assert read_state(tmp_path / "lab" / "state.json") == STATE


def test_the_same_state_gives_the_same_text() -> None:
    turned = LabState(**{**vars(STATE), "processes": dict(sorted(STATE.processes.items()))})
    assert to_json(STATE) == to_json(turned)


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9}', to_json(STATE)[:-20]])
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotRight, match=r"/run/lab/state\.json"):
        from_json(text, where="/run/lab/state.json")


def test_a_hosts_process_is_recorded_and_taken_out_without_touching_the_others(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_state(path, STATE)
    record_process(path, "docker1", None)
    record_process(path, "docker3", Process(12, 300))
    state = read_state(path)
    assert state
    assert state.processes == {"docker2": Process(11, 200), "docker3": Process(12, 300)}


def test_a_state_of_before_there_were_kinds_has_usual_hosts_only() -> None:
    raw = json.loads(to_json(STATE))
    old = from_json(json.dumps({key: value for key, value in raw.items() if key not in ("kinds", "roots")}), where="x")
    assert (old.kind("docker2"), old.root("docker2")) == (USUAL, STATE.rootfs)
