"""dockgate killed -9 at every action of a first `up`, and again and again: the next one gets there all the same.

A file of its own beside test_crash.py, so that the two can run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.scenarios.killed import at_once, ours, steps_of, up_killed_after
from tests.scenarios.stage import Stage

from dockgate.lab import Lab

pytestmark = pytest.mark.lab


def lane_text(lab: Lab, host: str) -> str:
    return (
        f'project: first-{host}\nhosts:\n  {host}: {{engine: "unix:///run/dockgate-lab/{host}/docker.sock",'
        f" address: {lab.address(host)}}}\n"
        "networks: {first_net: {driver: bridge, internal: true}}\n"
        "vips: {first: {listen: [{port: 8220}], pool: web}}\n"
        "pools: {web: {network: first_net, port: 80, members: [first1]}}\n"
    )


def test_a_first_up_killed_at_any_action_is_finished_by_the_next_one(lab: Lab, tmp_path: Path) -> None:
    stage = Stage(lab, tmp_path)
    files = {host: stage.write(lane_text(lab, host), tmp_path / host / "dockgate.yaml") for host in lab.hosts}
    try:
        steps = steps_of(stage, files["docker1"])
        assert {"CreateNetwork", "CreateContainer", "Prove"} <= set(steps)
        numbers = range(1, len(steps) + 1)
        shares = [numbers[place :: len(files)] for place in range(len(files))]
        lanes = zip(files.items(), shares, strict=True)
        at_once([partial(first_ups, stage, host, file, share) for (host, file), share in lanes])
    finally:
        stage.clear()


def first_ups(stage: Stage, host: str, file: Path, steps: Sequence[int]) -> None:
    project = f"first-{host}"
    stage.up(file)
    wanted = ours(stage.lab, project, host)
    stage.dockgate("down", file)
    assert ours(stage.lab, project, host) == set()
    for step in steps:
        up_killed_after(file, step)
        stage.up(file)
        assert "nothing to do" in stage.plan(file), f"killed after step {step}"
        assert ours(stage.lab, project, host) == wanted, f"killed after step {step}"
        stage.dockgate("down", file)
        assert ours(stage.lab, project, host) == set()


def test_a_first_up_killed_again_and_again_gets_there_all_the_same(lab: Lab, tmp_path: Path) -> None:
    """Each run is killed after one action, or more where one alone leaves nothing that the next run could build on: a
    configuration counts once it is written, judged and activated."""
    stage = Stage(lab, tmp_path)
    file = stage.write(lane_text(lab, "docker1"))
    try:
        left, kills, step = steps_of(stage, file), 0, 1
        while left:
            up_killed_after(file, step)
            kills += 1
            before, left = left, steps_of(stage, file)
            step = step + 1 if left == before else 1
            assert step <= 3, f"three actions bring it no further: {left}"
        assert kills >= 8
        assert "done: 0 changes" in stage.up(file)
        assert stage.get("http://docker1.lab.lab:8220/")[0] == 503
    finally:
        stage.clear()
