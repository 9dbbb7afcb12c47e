"""The state file: what a lab is made of, written before it is made.

Role: read and write /run/NAME/state.json whole. Must not: look at the machine.
Invariant: a lab's file is there from before its first namespace is made until after its last one is removed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dockgate.lab.errors import NotRight
from dockgate.lab.kind import USUAL, Kind
from dockgate.lab.process import Process

VERSION = 1


@dataclass(frozen=True)
class LabState:
    """One lab: `complete` once `lab up` has finished; `rootfs` and `disks` where its hosts boot from and keep their
    data; `processes` the one process each running host lives with, by host name. `kinds` and `roots`: what hosts are
    and boot from that are not of the usual kind."""

    name: str
    hosts: int
    rootfs: Path
    disks: Path
    complete: bool = False
    processes: Mapping[str, Process] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    roots: Mapping[str, Path] = field(default_factory=dict)

    def kind(self, host: str) -> Kind:
        """What a host is."""
        return self.kinds.get(host, USUAL)

    def root(self, host: str) -> Path:
        """What a host boots from."""
        return self.roots.get(host, self.rootfs)

    def with_process(self, host: str, process: Process | None) -> LabState:
        """The state with a host's process set, or taken out."""
        others = {name: value for name, value in self.processes.items() if name != host}
        return replace(self, processes=others if process is None else {**others, host: process})


def write_state(path: Path, state: LabState) -> None:
    """Write the file; a reader sees the old one or the new one."""
    text = to_json(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    os.replace(temporary, path)


def record_process(path: Path, host: str, process: Process | None) -> None:
    """Write down the process a host lives with (None: it has none), whoever else writes at the same time."""
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(path)
        if state:
            write_state(path, state.with_process(host, process))


def read_state(path: Path) -> LabState | None:
    """The lab's state, None if there is no file; NotRight if it cannot be understood."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return from_json(text, where=str(path))


def to_json(state: LabState) -> str:
    """The file's text; the same state gives the same text."""
    return (
        json.dumps(
            {
                "version": VERSION,
                "name": state.name,
                "hosts": state.hosts,
                "rootfs": str(state.rootfs),
                "disks": str(state.disks),
                "complete": state.complete,
                "processes": {
                    host: {"pid": process.pid, "started": process.started} for host, process in state.processes.items()
                },
                "kinds": {host: asdict(kind) for host, kind in state.kinds.items()},
                "roots": {host: str(path) for host, path in state.roots.items()},
            },
            indent=2,
            sort_keys=True,
        )
        + "\n"
    )


def from_json(text: str, *, where: str) -> LabState:
    """The state out of a file's text."""
    try:
        raw = json.loads(text)
        if raw["version"] != VERSION:
            raise ValueError(f"its version is {raw['version']}, this dockgate knows {VERSION}")
        return LabState(
            name=str(raw["name"]),
            hosts=int(raw["hosts"]),
            rootfs=Path(raw["rootfs"]),
            disks=Path(raw["disks"]),
            complete=bool(raw["complete"]),
            processes={
                str(host): Process(int(process["pid"]), int(process["started"]))
                for host, process in raw["processes"].items()
            },
            kinds={str(host): Kind(**kind) for host, kind in raw.get("kinds", {}).items()},
            roots={str(host): Path(path) for host, path in raw.get("roots", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotRight(
            f"the state file {where} cannot be understood: {error}",
            attempt="reading the lab's state",
            next_step="Remove the lab with the dockgate that made it, or restart the machine.",
        ) from error
