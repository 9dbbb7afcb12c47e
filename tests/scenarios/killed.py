"""`dockgate up` killed with SIGKILL while it works, and what of ours is on the hosts afterwards.

The real program in a process of its own, without a hook in it: its progress lines say where it is. When line k appears,
step k is done and step k+1 has just begun; that is where it dies.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from tests.scenarios.stage import DOCKGATE, Stage, eventually

from dockgate.lab import Lab

Thing: TypeAlias = tuple[str, str, str]
"""Host, kind (container, volume, network) and name."""

_STEP_ENDED = re.compile(r"\[ *(\d+)/(\d+)\] ok ")


def steps_of(stage: Stage, file: Path) -> list[str]:
    """The actions that ``up`` would carry out now, by their type's name."""
    plan = json.loads(stage.dockgate("plan", file, "-o", "json", code=None).stdout)
    return [step["action"] for step in plan["steps"]]


def up_killed_after(file: Path, step: int) -> None:
    """Run ``up`` and kill it the moment it says that this step (from 1) is done. It must get that far."""
    with subprocess.Popen(
        [*DOCKGATE, "up", "--file", str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            ended = _STEP_ENDED.match(line)
            if ended and int(ended[1]) == step:
                process.kill()
                return
    raise AssertionError(f"up ended with {process.returncode} before step {step} was done:\n{''.join(said)}")


def up_killed_when(file: Path, condition: Callable[[], object], what: str) -> None:
    """Run ``up`` and kill it the moment the condition holds. It must get that far."""
    with subprocess.Popen(
        [*DOCKGATE, "up", "--file", str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            eventually(condition, what, within_s=10, every_s=0.002)
            assert process.poll() is None, f"up was over before: {what}"
        finally:
            process.kill()


def ours(lab: Lab, project: str, *hosts: str) -> set[Thing]:
    """Every object on these hosts (default: all) with the project's label. Overlays count where they are seen."""
    label = f"label=dockgate.project={project}"
    words = {
        "container": ["container", "ls", "-a", "--format", "{{.Names}}"],
        "volume": ["volume", "ls", "--format", "{{.Name}}"],
        "network": ["network", "ls", "--format", "{{.Name}}"],
    }
    return {
        (host, kind, name)
        for host in hosts or lab.hosts
        for kind, argv in words.items()
        for name in lab.docker(host, *argv, "--filter", label).stdout.split()
    }


def at_once(jobs: Sequence[Callable[[], object]]) -> None:
    """Run the jobs side by side; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()
