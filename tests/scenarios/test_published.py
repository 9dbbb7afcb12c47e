"""The old way: members behind the host ports that Docker published for them, followed by the next ``up``.

And HAProxy 3.0, the oldest one: a death and a reload under load.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.stage import Stage, eventually
from tests.scenarios.traffic import Measurement, Scene, Underway, measure

from dockgate.lab import Lab, faults

pytestmark = [pytest.mark.lab, pytest.mark.alone]


@pytest.fixture(scope="module")
def old_way(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stage = Stage(lab, tmp_path_factory.mktemp("published"))
    scene = Scene(
        stage,
        stage.example("02-published"),
        vip="old",
        url="http://docker1.lab.lab:8080",
        homes={"pub1": "docker2", "pub2": "docker3"},
    )
    try:
        for member in scene.homes:
            scene.start(member, network="bridge", publish=80)
        stage.up(scene.file)
        scene.wait_up()
        yield scene
    finally:
        stage.clear()


def port(scene: Scene, member: str) -> int:
    """The host port that Docker gave the member."""
    said = scene.stage.lab.docker(scene.homes[member], "port", member, "80/tcp").stdout
    return int(said.splitlines()[0].rpartition(":")[2])


def place(scene: Scene, member: str) -> int:
    """The port that HAProxy has for the member."""
    return next(server.port for server in scene.haproxy().servers if server.name == member)


@pytest.fixture(scope="module")
def followed(old_way: Scene) -> Measurement:
    """Traffic while pub1 gets another host port, is out of the pool, and is found again by the next ``up``."""

    def restart(underway: Underway) -> None:
        old = port(old_way, "pub1")
        old_way.stage.lab.docker("docker2", "restart", "pub1")
        underway.mark("fault")
        assert port(old_way, "pub1") != old, "the precondition is missing: Docker gave it the same host port again"
        eventually(lambda: old_way.up() == {"pub2"}, "pub1 is out")
        old_way.stage.up(old_way.file)
        old_way.wait_up()
        underway.mark("back")

    return measure(old_way, restart)


def test_a_published_member_with_a_new_host_port_is_followed_by_the_next_up(
    old_way: Scene, followed: Measurement
) -> None:
    assert place(old_way, "pub1") == port(old_way, "pub1")


def test_a_published_member_is_followed_without_a_reload(followed: Measurement) -> None:
    assert followed.after == followed.before


def test_no_get_fails_while_a_published_member_is_away(followed: Measurement) -> None:
    assert (followed.gets.failed, followed.acceptable) == (0, True), str(followed.gets)


def test_no_post_reaches_two_published_members(followed: Measurement) -> None:
    assert followed.reached_twice() == {}


def test_a_published_member_that_was_followed_answers_again(followed: Measurement) -> None:
    gets = followed.gets
    seen = next(server for server in gets.servers if server.server == "pub1")
    assert seen.last_s > followed.at("back", gets), str(gets)


# --- HAProxy 3.0


@pytest.fixture(scope="module")
def oldest(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stage = Stage(lab, tmp_path_factory.mktemp("oldest"))
    scene = Scene(stage, stage.example("01-overlay"))
    stage.edit(scene.file, "networks:\n", 'haproxy: {version: "3.0"}\n\nnetworks:\n')
    try:
        stage.up(scene.file)
        for member in scene.homes:
            scene.start(member)
        scene.wait_up()
        yield scene
    finally:
        stage.clear()


def test_the_oldest_haproxy_runs_when_the_file_asks_for_it(oldest: Scene) -> None:
    assert oldest.haproxy().version.startswith("3.0.")


def test_no_get_fails_on_the_oldest_haproxy_when_a_member_is_killed(oldest: Scene) -> None:
    def kill(underway: Underway) -> None:
        with faults.container_killed(oldest.stage.lab, "docker2", "web1"):
            eventually(lambda: oldest.up() == {"web2"}, "web1 is out")
        oldest.wait_up()

    measured = measure(oldest, kill)
    assert (measured.gets.failed, measured.acceptable, measured.reached_twice()) == (0, True, {}), str(measured.gets)


def test_no_request_fails_on_the_oldest_haproxy_when_it_is_reloaded(oldest: Scene) -> None:
    text = oldest.file.read_text()

    def reload(underway: Underway) -> None:
        oldest.stage.edit(oldest.file, "check: {method: HEAD", "check: {interval: 500ms, method: HEAD")
        oldest.stage.up(oldest.file)
        oldest.wait_up()

    def back() -> None:
        oldest.stage.write(text, oldest.file)
        oldest.stage.up(oldest.file)

    measured = measure(oldest, reload, again=back)
    assert measured.after.worker != measured.before.worker, "the precondition is missing: it was not reloaded"
    assert (measured.gets.failed, measured.posts.failed, measured.acceptable) == (0, 0, True), str(measured.gets)
