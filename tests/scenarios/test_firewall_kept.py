"""The firewall kept by `dockgate run` while containers change their addresses and a host's Docker is restarted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.firewalled import NETWORK, URL, Walled
from tests.scenarios.keeping import Keeping, keeping
from tests.scenarios.stage import Stage, engine_restarted, eventually

from dockgate.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def walled(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    stage = Stage(lab, tmp_path_factory.mktemp("kept"))
    walled = Walled(stage, stage.folder / "dockgate.yaml")
    try:
        walled.open()
        yield walled
    finally:
        stage.clear()


@pytest.fixture
def kept(walled: Walled) -> Iterator[Keeping]:
    walled.up()
    with keeping(walled.file) as keeper:
        yield keeper


def answers_from_both(walled: Walled) -> bool:
    return {body for status, body in (walled.stage.get(URL) for _ in range(4)) if status == 200} == {
        "walled1",
        "walled2",
    }


def moved(walled: Walled) -> str:
    """walled2 made anew, after somebody else came; its new address."""
    before = walled.address("docker2", "walled2", NETWORK)
    walled.lab.docker("docker2", "rm", "-f", "walled2", check=True)
    walled.stage.start("docker2", "taker", network=NETWORK)
    walled.stage.start("docker2", "walled2", network=NETWORK)
    after = walled.address("docker2", "walled2", NETWORK)
    assert after != before
    return after


@pytest.mark.usefixtures("kept")
def test_a_member_at_a_new_address_is_let_in_and_nobody_else(walled: Walled) -> None:
    new = moved(walled)
    eventually(lambda: answers_from_both(walled), "the member serves at its new address", within_s=20)
    assert not walled.reaches("docker2", "stranger", new, 80)
    assert not walled.reaches("docker2", "taker", walled.address("docker1", "walled1", NETWORK), 80)


def test_rules_that_somebody_replaced_are_put_back_by_the_controller_too(walled: Walled, kept: Keeping) -> None:
    """The guard in the node container does it; here that one is gone as well."""
    before = walled.table("docker2")
    seen = len(kept.said())
    walled.lab.docker("docker2", "rm", "-f", walled.node("docker2"), check=True)
    walled.lab.exec("docker2", ["nft", "flush", "ruleset"], check=True)
    assert walled.table("docker2") == ""
    walled.loaded_again("docker2", before, within_s=30)
    kept.wait_for("steps done", since=seen)
    assert not walled.reaches("docker2", "stranger", walled.address("docker2", "walled2", NETWORK), 80)


@pytest.mark.usefixtures("kept")
def test_after_a_restart_of_docker_members_serve_and_strangers_are_kept_out(walled: Walled) -> None:
    for name in ("walled2", "stranger", "taker"):
        walled.lab.docker("docker2", "update", "--restart", "always", name, check=True)
    with engine_restarted(walled.lab, "docker2"):
        eventually(lambda: walled.stage.get(URL) == (200, "walled1"), "the other member serves alone", within_s=20)
    eventually(lambda: answers_from_both(walled), "both members serve again", within_s=90)
    assert not walled.reaches("docker2", "stranger", walled.address("docker2", "walled2", NETWORK), 80)
    assert not walled.reaches("docker2", "stranger", walled.address("docker1", "walled1", NETWORK), 80)
    assert "proved" in walled.stage.dockgate("verify", walled.file).stdout
