"""Members by label on real hosts: they join wherever they run, leave when they die, and refusals are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.keeping import Keeping, keeping
from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab

pytestmark = pytest.mark.lab

JOIN = ["--label", "dockgate.pool=pres_containers"]
NETWORK = "presentation_backend"


@pytest.fixture(scope="module")
def stage(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(lab, tmp_path_factory.mktemp("labels"))
    try:
        yield stage
    finally:
        stage.clear()


@pytest.fixture(scope="module")
def kept(stage: Stage) -> Iterator[Keeping]:
    file = stage.example("01-overlay")
    stage.edit(file, "members: [web1, web2]", "labels: true")
    stage.up(file)
    with keeping(file) as keeper:
        keeper.wait_for("this controller acts now")
        yield keeper


def test_containers_on_any_host_join_by_their_label(stage: Stage, kept: Keeping) -> None:
    stage.start("docker2", "red", network=NETWORK, options=JOIN)
    stage.start("docker3", "blue", network=NETWORK, options=JOIN)
    stage.members_up(kept.file, "red", "blue")
    assert set(stage.answers("http://docker1.lab.lab")) == {"red", "blue"}


def test_one_that_dies_leaves_and_its_successor_joins_without_a_reload(stage: Stage, kept: Keeping) -> None:
    stage.members_up(kept.file, "red", "blue")
    name = stage.balancer(kept.file, "web")
    pid = _worker(stage, name)
    stage.lab.docker("docker3", "rm", "-f", "blue")
    stage.members_up(kept.file, "red")
    stage.start("docker3", "green", network=NETWORK, options=[*JOIN, "--label", "dockgate.weight=50"])
    rows = stage.members_up(kept.file, "red", "green")
    assert rows["green"]["weight"] == 50
    assert _worker(stage, name) == pid


def test_one_that_is_refused_is_told_why_in_status_and_log(stage: Stage, kept: Keeping) -> None:
    stage.start("docker2", "lost", options=JOIN)
    words = f"is refused: it is not on network {NETWORK}"
    kept.wait_for(words)
    assert any(words in said for said in stage.status(kept.file)["refused"])


def _worker(stage: Stage, balancer: str) -> str:
    ask = "echo 'show info' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep ^Pid:"
    said: str = eventually(
        lambda: stage.lab.docker("docker1", "exec", balancer, "sh", "-c", ask).stdout.strip(), "it tells its pid"
    )
    return said
