"""Members die, stop, vanish and are replaced under constant load: what clients notice.

Each fault is measured once, under GETs and POSTs at the same time; the tests are what must hold of the measurement.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.scenarios.stage import Stage, eventually
from tests.scenarios.traffic import (
    Measurement,
    Scene,
    Underway,
    answered_between,
    ids,
    measure,
    read_receipts,
    slowest_ms,
    traffic,
)

from dockgate.lab import Lab, faults

pytestmark = [pytest.mark.lab, pytest.mark.alone]

OUT_S = 1.0
"""How long after a fault requests may still be under way in the member that it hit."""


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stage = Stage(lab, tmp_path_factory.mktemp("under-load"))
    file = stage.example("01-overlay")
    try:
        stage.up(file)
        scene = Scene(stage, file)
        for member in scene.homes:
            scene.start(member)
        scene.wait_up()
        yield scene
    finally:
        stage.clear()


# --- what can happen to web1 while web2 is well


def kill(scene: Scene, underway: Underway) -> None:
    with faults.container_killed(scene.stage.lab, "docker2", "web1"):
        underway.mark("fault")
        eventually(lambda: scene.up() == {"web2"}, "web1 is out")


def crash(scene: Scene, underway: Underway) -> None:
    with faults.container_crashed(scene.stage.lab, "docker2", "web1"):
        underway.mark("fault")
        eventually(lambda: scene.up() == {"web2"}, "web1 is out")


def stop(scene: Scene, underway: Underway) -> None:
    scene.stage.lab.docker("docker2", "stop", "web1")
    underway.mark("fault")
    eventually(lambda: scene.up() == {"web2"}, "web1 is out")
    scene.stage.lab.docker("docker2", "start", "web1")


def remove(scene: Scene, underway: Underway) -> None:
    scene.stage.lab.docker("docker2", "rm", "-f", "web1")
    underway.mark("fault")
    eventually(lambda: scene.up() == {"web2"}, "web1 is out")
    scene.start("web1")


def restart(scene: Scene, underway: Underway) -> None:
    scene.stage.lab.docker("docker2", "restart", "web1")
    underway.mark("fault")


def replace(scene: Scene, underway: Underway) -> None:
    """By a container of the same name."""
    scene.stage.lab.docker("docker2", "rm", "-f", "web1")
    underway.mark("fault")
    scene.start("web1")


def move(scene: Scene, underway: Underway) -> None:
    """By a container of the same name, which takes its place on another host, at another address."""
    host = scene.homes["web1"]
    scene.stage.lab.docker(host, "rm", "-f", "web1")
    underway.mark("fault")
    scene.start("web1", "docker1" if host == "docker2" else "docker2")


FAULTS: dict[str, Callable[[Scene, Underway], None]] = {
    "docker kill": kill,
    "crash": crash,
    "docker stop": stop,
    "docker rm -f": remove,
    "docker restart": restart,
    "replaced": replace,
    "replaced on another host": move,
}


@pytest.fixture(scope="module", params=FAULTS)
def measured(request: pytest.FixtureRequest, scene: Scene) -> Measurement:
    """Traffic through the fault and until web1 is back and has answered again."""

    def fault(underway: Underway) -> None:
        FAULTS[request.param](scene, underway)
        scene.wait_up()
        underway.mark("back")

    scene.wait_up()
    return measure(scene, fault)


def test_no_get_fails(measured: Measurement) -> None:
    assert measured.gets.failed == 0, str(measured.gets)


def test_no_get_takes_longer_than_half_a_second(measured: Measurement) -> None:
    assert slowest_ms(measured.gets) <= measured.most_ms, str(measured.gets)


def test_the_load_was_really_put_on(measured: Measurement) -> None:
    assert measured.gets.achieved_rate >= measured.least_rate, str(measured.gets)


def test_both_members_answer_before_the_fault_and_after_it(measured: Measurement) -> None:
    gets = measured.gets
    both = answered_between(gets, measured.at("begin", gets), measured.at("back", gets))
    assert both == {"web1", "web2"}, str(gets)


def test_the_load_balancer_is_neither_restarted_nor_reloaded(measured: Measurement) -> None:
    assert measured.after == measured.before


def test_no_post_reaches_two_members(measured: Measurement) -> None:
    assert measured.reached_twice() == {}


def test_only_posts_under_way_in_the_member_that_died_fail(
    measured: Measurement, request: pytest.FixtureRequest
) -> None:
    failed = measured.failed_posts()
    request.node.user_properties.append(("failed posts", len(failed)))
    at_survivor = ids(failed) & set(measured.received["web2 on docker3"])
    late = [one for one in failed if one.at_s > measured.at("fault", measured.posts) + OUT_S + measured.leeway_s]
    assert (at_survivor, late) == (set(), []), str(measured.posts)
    assert len(failed) <= measured.posts.connections, str(measured.posts)


# --- the whole host of a member is gone

HOST_FAULTS = {"link cut": faults.link_cut, "power cut": faults.powered_off}
LOST_MS = 2000.0
LATEST_MS = 2500.0
"""For a request that is in a host without power. When the load balancer has not cut it off at the third failed check,
after a second at most, the kernel's probes do: they count in whole seconds, so it takes two and the time to say so."""
OBSERVED_S = 2.5
GOSSIP_S = 6.0
"""How long Docker's gossip must have been silent: its rounds of suspicion are a second apart, a verdict takes five."""


@pytest.fixture(scope="module", params=HOST_FAULTS)
def lost(request: pytest.FixtureRequest, scene: Scene) -> Measurement:
    """Traffic until web2 is out of the pool and for some time more; its host comes back when the traffic is over."""
    scene.wait_up()
    with ExitStack() as undo:
        with traffic(scene) as underway:
            undo.enter_context(HOST_FAULTS[request.param](scene.stage.lab, "docker3"))
            underway.mark("fault")
            eventually(lambda: scene.up() == {"web1"}, "web2 is out")
            underway.mark("out")
            time.sleep(OBSERVED_S)
        print(underway.measured.gets, underway.measured.posts, underway.measured.marks, sep="\n")
    bring_back(scene)
    return read_receipts(underway)


def bring_back(scene: Scene) -> None:
    """web2 runs and is up, and Docker's gossip has stopped talking about the host that was away.

    For some seconds after a partition Docker's hosts still declare each other dead, which has nothing to do with us.
    """
    lab = scene.stage.lab
    eventually(lambda: lab.docker("docker3", "start", "web2", check=False).returncode == 0, "web2 runs", within_s=30)
    log = lab.paths.host("docker1") / "dockerd.log"
    eventually(lambda: gossip_rests(log), "the gossip between the hosts is at rest", within_s=60)
    scene.wait_up(within_s=30)


def gossip_rests(log: Path) -> bool:
    said = [line for line in log.read_text(errors="replace").splitlines() if "memberlist" in line or "gossip" in line]
    stamp = re.search(r'time="([^"]+?)(?:\.\d+)?Z"', said[-1]) if said else None
    if stamp is None:
        return True
    last = datetime.fromisoformat(stamp[1]).replace(tzinfo=UTC)
    return (datetime.now(UTC) - last).total_seconds() > GOSSIP_S


def test_no_get_fails_when_a_host_is_lost(lost: Measurement) -> None:
    assert lost.gets.failed == 0, str(lost.gets)


def test_every_get_is_answered_within_two_seconds_when_a_host_is_lost(lost: Measurement) -> None:
    assert slowest_ms(lost.gets) <= LOST_MS + 1000 * lost.leeway_s, str(lost.gets)


def test_only_posts_sent_to_the_lost_host_fail_and_soon(lost: Measurement, request: pytest.FixtureRequest) -> None:
    failed = lost.failed_posts()
    request.node.user_properties.append(("failed posts", len(failed)))
    survivor = {one for place, counted in lost.received.items() if place.startswith("web1 on ") for one in counted}
    assert survivor, "the member that stayed kept no receipts: nothing can be said"
    at_survivor = ids(failed) & survivor
    late = [one for one in failed if one.at_s > lost.at("out", lost.posts)]
    slow = [one for one in failed if one.after_ms > LATEST_MS + 1000 * lost.leeway_s]
    assert (at_survivor, late, slow) == (set(), [], []), str(lost.posts)


def test_no_post_reaches_two_members_when_a_host_is_lost(lost: Measurement) -> None:
    assert lost.reached_twice() == {}


def test_the_survivor_carries_the_load_when_a_host_is_lost(lost: Measurement) -> None:
    gets = lost.gets
    assert lost.gets.achieved_rate >= lost.least_rate, str(gets)
    assert answered_between(gets, lost.at("begin", gets), lost.at("end", gets)) == {"web1"}, str(gets)


def test_the_load_balancer_stays_as_it_is_when_a_host_is_lost(lost: Measurement) -> None:
    assert lost.after == lost.before
