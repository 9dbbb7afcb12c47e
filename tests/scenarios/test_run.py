"""`dockgate run` on real hosts under traffic: members leave before they die and are back at once, drift is repaired,
and without the controller nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest
from tests.scenarios.keeping import Keeping, keeping
from tests.scenarios.stage import WEB, eventually
from tests.scenarios.traffic import Identity, Measurement, Scene, Underway, example_scene, measure

from dockgate.lab import Lab, faults

pytestmark = [pytest.mark.lab, pytest.mark.alone]

STUBBORN = "python3 /srv/web.py & trap 'echo told; sleep 3 & wait $!; exit' TERM; wait"
"""A member that goes on answering, new connections too, for three seconds after it was told to stop."""


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from example_scene(lab, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def kept(scene: Scene) -> Iterator[Keeping]:
    with keeping(scene.file) as keeper:
        keeper.wait_for("this controller acts now")
        yield keeper


def logged(scene: Scene, member: str, words: str) -> float:
    """When a member's log last said this, by the engine's clock, which is the machine's."""
    said = scene.stage.lab.docker(scene.homes[member], "logs", "-t", member).stdout.splitlines()
    (*_, line) = [each for each in said if words in each]
    stamp, _, _ = line.partition(" ")
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", stamp)).timestamp()


def seen(measured: Measurement, member: str) -> tuple[float, float]:
    """When its first and its last answer of the run came, as Unix times."""
    found = next(each for each in measured.gets.servers if each.server == member)
    return measured.gets.started_at + found.first_s, measured.gets.started_at + found.last_s


# --- a member that stops, and one that comes


@dataclass(frozen=True)
class Turn:
    measured: Measurement
    told: float
    listens: float


@pytest.fixture(scope="module")
def turn(scene: Scene, kept: Keeping) -> Turn:
    """web2 is told to stop and goes on answering until it is killed; then web3 comes, which never was there."""
    lab = scene.stage.lab
    options = ["--name", "web2", "--hostname", "web2", "--network", "presentation_backend"]
    told: list[float] = []

    def prepare() -> None:
        lab.docker("docker3", "rm", "-f", "web2")
        lab.docker("docker3", "run", "-d", *options, "-v", "/srv/receipts:/srv/receipts", WEB, "sh", "-c", STUBBORN)
        scene.wait_up()

    def stop_and_come(underway: Underway) -> None:
        lab.docker("docker3", "stop", "-t", "2", "web2")
        told.append(logged(scene, "web2", "told"))
        lab.docker("docker3", "rm", "web2")
        lab.docker("docker3", "run", "-d", *options, "-e", "NAME=web3", WEB)
        scene.wait_up()

    prepare()
    measured = measure(scene, stop_and_come, again=prepare)
    return Turn(measured, told[-1], logged(scene, "web2", "listens on"))


def test_no_request_reaches_a_member_that_was_told_to_stop_50_ms_ago(turn: Turn) -> None:
    _, last = seen(turn.measured, "web2")
    assert last <= turn.told + 0.050 + turn.measured.leeway_s, f"{(last - turn.told) * 1000:.0f} ms"


def test_a_new_member_gets_its_first_request_within_300_ms_of_listening(turn: Turn) -> None:
    first, _ = seen(turn.measured, "web3")
    assert first <= turn.listens + 0.300 + turn.measured.leeway_s, f"{(first - turn.listens) * 1000:.0f} ms"


def test_no_get_fails_when_a_member_stops_and_another_comes(turn: Turn) -> None:
    assert (turn.measured.gets.failed, turn.measured.acceptable) == (0, True), str(turn.measured.gets)


def test_no_post_fails_when_a_member_that_finishes_its_work_stops(turn: Turn) -> None:
    assert turn.measured.posts.failed == 0, str(turn.measured.posts)


def test_members_come_and_go_without_a_reload_or_another_process(turn: Turn) -> None:
    assert turn.measured.after == turn.measured.before


# --- drift


def identity_changes(scene: Scene, before: Identity, what: str) -> Identity:
    def other() -> Identity | None:
        names = scene.stage.lab.docker("docker1", "ps", "-q", "--filter", "label=dockgate.name=web").stdout.split()
        if len(names) != 1:
            return None
        now = scene.identity()
        return now if now != before and scene.up() == set(scene.homes) else None

    found: Identity = eventually(other, what, within_s=40, every_s=0.3)
    return found


def test_a_load_balancer_that_is_removed_is_there_again(scene: Scene, kept: Keeping) -> None:
    scene.wait_up()
    before = scene.identity()
    scene.stage.lab.docker("docker1", "rm", "-f", scene.balancer())
    identity_changes(scene, before, "another load balancer")
    eventually(lambda: scene.stage.get(scene.url)[0] == 200, "it answers")


def test_a_configuration_changed_by_hand_is_as_the_file_says_again(scene: Scene, kept: Keeping) -> None:
    name = scene.balancer()
    path = "/etc/haproxy/haproxy.cfg"
    lab = scene.stage.lab
    edit = f"sed 's/roundrobin/leastconn/' {path} > {path}.x && cat {path}.x > {path} && rm {path}.x"
    lab.docker("docker1", "exec", "-u", "0", name, "sh", "-c", edit)
    assert "leastconn" in lab.docker("docker1", "exec", name, "cat", path).stdout, "the precondition is missing"
    before = len(kept.said())
    eventually(
        lambda: "leastconn" not in lab.docker("docker1", "exec", name, "cat", path).stdout, "it is back", within_s=40
    )
    kept.wait_for("nothing to do", since=before)


def test_two_controllers_do_no_harm_and_the_second_one_says_so(scene: Scene, kept: Keeping) -> None:
    before = scene.identity()
    with keeping(scene.file) as second:
        second.wait_for("another controller acts: it holds the lock in")
        assert second.end() == 0
    assert scene.identity() == before


def test_a_silent_engine_is_noticed_and_the_vip_goes_on_answering(scene: Scene, kept: Keeping) -> None:
    scene.wait_up()
    before = len(kept.said())
    with faults.engine_paused(scene.stage.lab, "docker3"):
        kept.wait_for("docker3 is lost", since=before, within_s=40)
        assert {scene.stage.get(scene.url)[0] for _ in range(8)} == {200}
    kept.wait_for("docker3 is back", since=before, within_s=40)
    scene.wait_up()


# --- the controller dies (these come last: they end the module's controller)


def test_who_was_held_by_a_controller_that_is_killed_is_let_in_without_it(scene: Scene, kept: Keeping) -> None:
    scene.wait_up()
    lab = scene.stage.lab
    lab.docker("docker3", "rm", "-f", "web2")
    options = ["--name", "web2", "--hostname", "web2", "--network", "presentation_backend"]
    lab.docker("docker3", "run", "-d", *options, WEB, "sh", "-c", "trap : TERM; python3 /srv/web.py & wait; wait; wait")
    scene.wait_up()
    lab.docker("docker3", "kill", "-s", "TERM", "web2")
    eventually(lambda: scene.up() == {"web1"}, "it is held")
    kept.kill()
    scene.wait_up(within_s=10)


def test_with_the_controller_dead_a_member_leaves_and_returns_by_itself(scene: Scene, kept: Keeping) -> None:
    assert kept.process.poll() is not None, "the precondition is missing: the controller lives"
    lab = scene.stage.lab
    lab.docker("docker3", "kill", "web2")
    eventually(lambda: scene.up() == {"web1"}, "it is out")
    lab.docker("docker3", "start", "web2")
    scene.wait_up()


def test_the_next_controller_acts_and_ends_cleanly(scene: Scene, kept: Keeping) -> None:
    assert kept.process.poll() is not None, "the precondition is missing: the controller lives"
    with keeping(scene.file) as keeper:
        keeper.wait_for("this controller acts now", within_s=40)
        assert keeper.end() == 0
        assert keeper.said()[-1]["message"].startswith("told to end")
