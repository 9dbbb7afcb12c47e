"""Removing a lab: everything it made, and nothing else.

Role: end its processes, remove its namespaces, cgroups, disks and run directory, in that order.
Must not: go by patterns of names. What belongs to a lab is what its state file names, and every process that lives in
one of its network namespaces (compared by inode), which finds also what an interrupted run did not come to record.
Invariant: the state file goes last, so an interrupted removal can be taken up again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from dockgate.lab import net
from dockgate.lab.address import LabPlan
from dockgate.lab.paths import LabPaths
from dockgate.lab.process import Process, wait_until
from dockgate.lab.state import LabState


def remove(state: LabState, plan: LabPlan, paths: LabPaths) -> None:
    """Remove a lab, whole or in part."""
    for process in state.processes.values():
        process.kill()
    end_inhabitants(plan.namespaces())
    net.remove_namespaces(plan.namespaces())
    remove_cgroups(plan.name)
    wait_until(partial(_remove_directory, state.disks), seconds=60, what=f"{state.disks} cannot be removed")
    for path in paths.run.iterdir():
        if path != paths.state:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(paths.run)


def end_inhabitants(namespaces: Iterable[str]) -> None:
    """End every process in these network namespaces; a host's containers end with the host."""
    names = list(namespaces)
    if not net.existing(names):
        return

    def none_left() -> bool:
        left = list(inhabitants(names))
        for process in left:
            process.kill()
        return not left

    wait_until(none_left, seconds=30, what=f"processes in the namespaces {', '.join(names)} do not end")


def inhabitants(names: Iterable[str]) -> Iterator[Process]:
    """Every process that lives in one of these network namespaces, however it came there; not this one."""
    inodes = {(Path("/run/netns") / name).stat().st_ino for name in net.existing(names)}
    ours = os.getpid()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == ours:
            continue
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (entry / "ns" / "net").stat().st_ino in inodes:
                process = Process.of(int(entry.name))
                if process:
                    yield process


def remove_cgroups(*parts: str) -> None:
    """Remove the cgroups below /NAME (or /NAME/HOST) in every hierarchy; their processes were told to end.

    A paused container's are frozen and do not end before they are thawed."""
    tops = [root.joinpath(*parts) for root in _cgroup_roots()]
    for top in tops:
        _thaw(top)
    for top in tops:
        if top.is_dir():
            wait_until(partial(_remove_tree, top), seconds=10, what=f"the cgroup {top} is still in use")


def _thaw(top: Path) -> None:
    for name, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        for file in top.rglob(name):
            with suppress(OSError):
                file.write_text(thawed)


def _remove_directory(directory: Path) -> bool:
    """Try to remove a directory; True when it is gone. A copy that was just killed may still add a file to it."""
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


def _cgroup_roots() -> list[Path]:
    roots = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in {"cgroup", "cgroup2"}:
            roots.append(Path(place))
    return roots


def _remove_tree(top: Path) -> bool:
    """Try to remove a tree of cgroups from its leaves up; True when it is gone."""
    for directory, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
    return not top.exists()
