"""dockgate killed -9 at every action of an `up`: the next `up` converges, and traffic that flowed keeps flowing.

Three lanes, one on each host, so that three kills can be tried at a time. On each lane VIP `steady` serves under a
light load through all of it; the changes happen to it and beside it. What an `up` that nobody disturbs leaves on the
hosts is what must be there in the end: no helper, volume or container more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.scenarios.killed import Thing, at_once, ours, steps_of, up_killed_after, up_killed_when
from tests.scenarios.stage import Stage

from dockgate.lab import Lab

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Lane:
    """One host with a project of its own. ``own``: an address for a VIP on it."""

    stage: Stage
    host: str
    own: str

    @property
    def project(self) -> str:
        return f"crash-{self.host}"

    @property
    def file(self) -> Path:
        return self.stage.folder / self.host / "dockgate.yaml"

    def url(self, port: int) -> str:
        return f"http://{self.host}.lab.lab:{port}/"

    def text(self, *, path: str = "/healthy", weight: int = 100, extra: Sequence[int] = (), own: bool = False) -> str:
        """The file: VIP steady, whose pool is checked at ``path``, and VIP extra if it has ports."""
        listen = ", ".join(f"{{port: {port}}}" for port in extra)
        address = f"address: {self.own}, " if own else ""
        return (
            f'project: {self.project}\nhosts:\n  {self.host}: {{engine: "unix:///run/dockgate-lab/{self.host}/docker.sock",'
            f" address: {self.stage.lab.address(self.host)}}}\n"
            "networks: {crash_net: {driver: bridge, internal: true}}\n"
            "vips:\n  steady: {listen: [{port: 8200}], pool: web}\n"
            + (f"  extra: {{{address}listen: [{listen}], pool: web}}\n" if extra else "")
            + "pools:\n  web:\n    network: crash_net\n    port: 80\n"
            f"    members: [crash1, {{name: crash2, weight: {weight}}}]\n    check: {{path: {path}}}\n"
        )

    def things(self) -> set[Thing]:
        return ours(self.stage.lab, self.project, self.host)

    def write(self, wanted: str) -> None:
        self.stage.write(wanted, self.file)

    def now(self, wanted: str) -> set[Thing]:
        """Bring the file about undisturbed; what is ours on the host then."""
        self.write(wanted)
        self.stage.up(self.file)
        return self.things()

    def steps(self, wanted: str) -> list[str]:
        self.write(wanted)
        return steps_of(self.stage, self.file)

    def killed(self, wanted: str, step: int) -> None:
        self.write(wanted)
        up_killed_after(self.file, step)

    def converges(self, to: set[Thing]) -> None:
        self.stage.up(self.file)
        assert "nothing to do" in self.stage.plan(self.file)
        assert self.things() == to

    def open(self) -> None:
        """VIP steady serves from two members beside it."""
        self.now(self.text())
        for name in ("crash1", "crash2"):
            self.stage.start(self.host, name, network="crash_net")
        self.stage.members_up(self.file, "crash1", "crash2")


@pytest.fixture(scope="module")
def open_lanes(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lane, ...]]:
    stage = Stage(lab, tmp_path_factory.mktemp("crash"))
    lanes = tuple(Lane(stage, host, f"10.10.10.{170 + number}") for number, host in enumerate(lab.hosts))
    try:
        at_once([lane.open for lane in lanes])
        yield lanes
    finally:
        stage.clear()


@pytest.fixture
def lanes(open_lanes: tuple[Lane, ...]) -> Iterator[tuple[Lane, ...]]:
    """Nothing but VIP steady, under a light load during the whole test. Not one request of it may fail."""
    at_once([partial(lane.now, lane.text()) for lane in open_lanes])
    with ExitStack() as stack:
        loads = [stack.enter_context(lane.stage.load(lane.url(8200), rate=100, connections=8)) for lane in open_lanes]
        yield open_lanes
    for load in loads:
        assert load.report.failed == 0, str(load.report)


def killed_after_each(
    lanes: tuple[Lane, ...], steps: list[str], try_it: Callable[[Lane, Sequence[int]], None], *, must_have: set[str]
) -> None:
    """Share the steps (from 1) out among the lanes. ``must_have``: the check that the change is what it is meant to."""
    assert must_have <= set(steps), steps
    numbers = range(1, len(steps) + 1)
    at_once([partial(try_it, lane, numbers[place :: len(lanes)]) for place, lane in enumerate(lanes)])


def test_a_reload_killed_at_any_action_loses_no_request_and_the_next_up_finishes_it(lanes: tuple[Lane, ...]) -> None:
    def try_it(lane: Lane, steps: Sequence[int]) -> None:
        things = lane.things()
        turns = [lane.text(), lane.text(path="/index.html", weight=50)]
        for turn, step in enumerate(steps, start=1):
            lane.killed(turns[turn % 2], step)
            lane.converges(things)

    steps = lanes[0].steps(lanes[0].text(path="/index.html", weight=50))
    kinds = {"WriteConfig", "ValidateConfig", "SetServers", "ActivateConfig", "ReloadConfig", "Prove"}
    killed_after_each(lanes, steps, try_it, must_have=kinds)


def test_a_vip_added_and_removed_killed_at_any_action_disturbs_nobody_and_leaves_nothing(
    lanes: tuple[Lane, ...],
) -> None:
    removing = ["StopContainer", "RemoveContainer", "RemoveVolume", "RemoveVolume", "RemoveNetwork"]

    def try_it(lane: Lane, steps: Sequence[int]) -> None:
        wanted, without = lane.text(extra=[8201], own=True), lane.text()
        before = lane.things()
        for step in steps:
            lane.killed(wanted, step)
            lane.stage.up(lane.file)
            assert "nothing to do" in lane.stage.plan(lane.file)
            assert lane.stage.get(f"http://{lane.own}:8201/")[0] == 200
            assert {(kind, name) for _, kind, name in lane.things() - before} == added(lane)
            assert lane.steps(without) == removing
            lane.killed(without, (step - 1) % len(removing) + 1)
            lane.converges(before)

    def added(lane: Lane) -> set[tuple[str, str]]:
        """A container with its volume, the one for a firewall's sockets, and the address, each once."""
        container = lane.stage.balancer(lane.file, "extra", lane.host)
        address = f"{'dockgate-' + lane.project}-extra-{lane.own.replace('.', '-')}"
        sockets = f"dockgate-{lane.project}-extra-sockets"
        return {("container", container), ("volume", container), ("volume", sockets), ("network", address)}

    steps = lanes[0].steps(lanes[0].text(extra=[8201], own=True))
    killed_after_each(lanes, steps, try_it, must_have={"CreateNetwork", "StartContainer", "Announce", "Prove"})


def test_a_new_port_killed_at_any_action_leaves_the_old_port_serving_until_the_new_one_is_proved(
    lanes: tuple[Lane, ...],
) -> None:
    at_once([partial(lane.now, lane.text(extra=[8211])) for lane in lanes])
    order = lanes[0].steps(lanes[0].text(extra=[8210]))
    proof, stop = order.index("Prove") + 1, order.index("StopContainer") + 1
    assert proof < stop

    def try_it(lane: Lane, steps: Sequence[int]) -> None:
        number = len(lane.things())
        for turn, step in enumerate(steps):
            new, old = (8210, 8211) if turn % 2 == 0 else (8211, 8210)
            wanted = lane.text(extra=[new])
            if step < proof:
                with lane.stage.load(lane.url(old), rate=100, connections=4) as running:
                    lane.killed(wanted, step)
                assert running.report.failed == 0, f"after step {step}: {running.report}"
                assert lane.stage.get(lane.url(old))[0] == 200, f"after step {step}"
            else:
                lane.killed(wanted, step)
                assert lane.stage.get(lane.url(new))[0] == 200, f"after step {step}"
            lane.stage.up(lane.file)
            assert "nothing to do" in lane.stage.plan(lane.file)
            assert len(lane.things()) == number, lane.things()
            assert lane.stage.get(lane.url(new))[0] == 200
            assert lane.stage.curl(lane.url(old)).returncode == 7

    killed_after_each(lanes, order, try_it, must_have={"CreateContainer", "StopContainer", "RemoveContainer"})


def test_an_up_after_a_kill_proves_the_new_container_before_it_stops_the_old_one(lanes: tuple[Lane, ...]) -> None:
    """Killed between start and proof, both run; the next `up` used to stop the old one without asking the new one."""
    lane = lanes[0]
    lane.now(lane.text(extra=[8210]))
    wanted = lane.text(extra=[8211])
    lane.killed(wanted, lane.steps(wanted).index("StartContainer") + 1)
    steps = lane.steps(wanted)
    assert "StopContainer" in steps
    assert "Prove" in steps[: steps.index("StopContainer")], steps


def test_a_replacement_on_the_same_port_is_announced_as_not_seamless_and_finished_by_the_next_up(
    lanes: tuple[Lane, ...],
) -> None:
    """Undisturbed on one lane, killed while nobody holds the port on another, and before the proof on the third."""
    gaps: dict[str, float] = {}

    def try_it(lane: Lane, after: str) -> None:
        lane.now(lane.text(extra=[8210]))
        wanted = lane.text(extra=[8210, 8212])
        lane.write(wanted)
        assert "not seamless, port 8210 changes hands" in lane.stage.plan(lane.file)
        steps = steps_of(lane.stage, lane.file)
        with lane.stage.load(lane.url(8210), rate=200, connections=8) as running:
            if after:
                lane.killed(wanted, steps.index(after) + 1)
            lane.stage.up(lane.file)
        report = running.report
        gaps[after] = report.longest_gap_s
        how = f"killed after {after}" if after else "undisturbed"
        print(f"same port, {how}: {report.failed} requests failed, {report.longest_gap_s:.2f} s without an answer")
        assert "nothing to do" in lane.stage.plan(lane.file)
        for port in (8210, 8212):
            assert lane.stage.get(lane.url(port))[0] == 200

    ways = ("", "StopContainer", "StartContainer")
    at_once([partial(try_it, lane, after) for lane, after in zip(lanes, ways, strict=True)])
    assert gaps[""] < 15.0, gaps
    assert max(gaps.values()) < 25.0, gaps


def test_a_helper_whose_dockgate_was_killed_is_removed_by_the_next_up(lanes: tuple[Lane, ...]) -> None:
    lane = lanes[0]
    after = lane.now(lane.text(extra=[8210]))
    lane.now(lane.text())
    lane.write(lane.text(extra=[8210]))
    engine = lane.stage.lab.engine(lane.host)

    def helpers() -> object:
        wanted = json.dumps({"label": [f"dockgate.project={lane.project}", "dockgate.kind=helper"]})
        return engine.get(f"/containers/json?all=1&filters={quote(wanted)}", attempt="looking for helpers")

    up_killed_when(lane.file, helpers, "a helper container is there")
    assert helpers(), "the control failed: the helper was gone before the kill"
    lane.converges(after)
