"""The controller as a Swarm service on fakes: installed, updated, rolled back, removed; killed at every change."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.network import FakeNetwork, Killed
from tests.fakes.scene import PROJECT, see, three_hosts, world
from tests.fakes.swarm import KeptFile, scaled_to_nothing

from dockgate.controller.execute import execute
from dockgate.controller.report import Report
from dockgate.controller.swarm import swarm_state
from dockgate.edges.carried import content_mark
from dockgate.model.observed import Unknown
from dockgate.model.plan import Plan
from dockgate.model.swarm import FileKind, Installation, SwarmTask
from dockgate.model.swarm_actions import AwaitService
from dockgate.plan import describe
from dockgate.plan.swarm import no_manager, plan_installation, plan_removal

IMAGE = "dockgate/controller:1"
FILES: dict[str, tuple[FileKind, bytes]] = {
    "/etc/dockgate/example/dockgate.yaml": ("config", b"vips: {}"),
    "/etc/dockgate/example/secrets/pw": ("secret", b"hunter2"),
}


@pytest.fixture
def network(tmp_path: Path) -> FakeNetwork:
    network = three_hosts(tmp_path)
    for engine in network.engines.values():
        engine.swarm = "manager"
        engine.tags.add(IMAGE)
    return network


async def planned(
    network: FakeNetwork, files: dict[str, tuple[FileKind, bytes]], *, salt: str = "5a17", image: str = IMAGE
) -> Plan:
    observed = await see(network)
    manager, swarm = await swarm_state(network.engines, observed, PROJECT)
    assert not isinstance(swarm, Unknown)
    before = swarm.service.content if swarm.service else ""
    wanted = Installation(
        PROJECT,
        image,
        content_mark(files, before=before, fresh=salt),
        tuple((kind, target) for target, (kind, _) in files.items()),
        ("run", "--file", "/etc/dockgate/example/dockgate.yaml"),
        manager=manager,
    )
    return plan_installation(wanted, observed, swarm)


async def install(
    network: FakeNetwork, files: dict[str, tuple[FileKind, bytes]] = FILES, *, salt: str = "5a17", image: str = IMAGE
) -> tuple[Plan, Report]:
    plan = await planned(network, files, salt=salt, image=image)
    carrying = replace(world(network), carried={target: content for target, (_, content) in files.items()})
    return plan, await execute(_in_no_time(plan), carrying)


def _in_no_time(plan: Plan) -> Plan:
    """Nobody waits 90 s for a fake."""
    steps = [
        replace(step, action=replace(step.action, limit_s=0)) if isinstance(step.action, AwaitService) else step
        for step in plan.steps
    ]
    return replace(plan, steps=tuple(steps))


def contents(network: FakeNetwork) -> dict[str, bytes]:
    """What the service's container would see."""
    service = network.swarm.service
    assert service is not None
    return {file.target: network.swarm.files[file.kind, file.name].content for file in service.spec.files}


def plain(files: dict[str, tuple[FileKind, bytes]]) -> dict[str, bytes]:
    return {target: content for target, (_, content) in files.items()}


async def test_it_is_installed_with_exactly_its_file_and_secrets(network: FakeNetwork) -> None:
    _, report = await install(network)
    assert report.ok
    assert contents(network) == plain(FILES)
    assert len(network.swarm.files) == len(FILES)


async def test_a_second_run_has_nothing_to_do(network: FakeNetwork) -> None:
    await install(network)
    plan, _ = await install(network, salt="0ther")
    assert plan.empty


async def test_the_plan_says_each_thing_and_why_and_no_secret(network: FakeNetwork) -> None:
    network.engines["docker3"].tags.discard(IMAGE)
    mark = "dockgate-example-controller-5a17"
    assert describe(await planned(network, FILES)) == (
        f"image {IMAGE} on docker3\n"
        f"  docker3: load image {IMAGE}, copied from docker1 - Swarm may start the controller there\n"
        "service dockgate-example-controller\n"
        f"  docker1: create config {mark}-0 for /etc/dockgate/example/dockgate.yaml - there is none\n"
        f"  docker1: create secret {mark}-1 for /etc/dockgate/example/secrets/pw - there is none\n"
        f"  docker1: create service dockgate-example-controller from {IMAGE}, one replica on a manager"
        " - there is none\n"
        "  docker1: wait until dockgate-example-controller runs and is healthy - it is kept only if it works\n"
    )


async def test_another_secret_is_a_new_object_and_the_old_one_goes(network: FakeNetwork) -> None:
    await install(network)
    old = set(network.swarm.files)
    changed: dict[str, tuple[FileKind, bytes]] = {**FILES, "/etc/dockgate/example/secrets/pw": ("secret", b"hunter3")}
    _, report = await install(network, changed, salt="0ther")
    assert report.ok
    assert contents(network) == plain(changed)
    assert not old & set(network.swarm.files)


async def test_another_image_takes_over_the_files_that_are_there(network: FakeNetwork) -> None:
    await install(network)
    files = set(network.swarm.files)
    for engine in network.engines.values():
        engine.tags.add("dockgate/controller:2")
    _, report = await install(network, salt="0ther", image="dockgate/controller:2")
    assert report.ok
    assert network.swarm.service is not None
    assert (network.swarm.service.spec.image, set(network.swarm.files)) == ("dockgate/controller:2", files)


async def test_one_that_does_not_become_healthy_is_taken_back_with_its_files(network: FakeNetwork) -> None:
    network.swarm.healthy = False
    _, report = await install(network)
    assert not report.ok
    assert (network.swarm.service, network.swarm.files) == (None, {})
    assert "its task is failed (no) on docker1" in str(report.failures[0].error)


async def test_an_update_that_does_not_become_healthy_is_rolled_back(network: FakeNetwork) -> None:
    await install(network)
    network.swarm.healthy = False
    changed: dict[str, tuple[FileKind, bytes]] = {**FILES, "/etc/dockgate/example/dockgate.yaml": ("config", b"x: 1")}
    _, report = await install(network, changed, salt="0ther")
    assert not report.ok
    assert contents(network) == plain(FILES)
    assert len(network.swarm.files) == len(FILES)


async def test_what_somebody_changed_by_hand_is_as_it_was_asked_for_again(network: FakeNetwork) -> None:
    await install(network)
    scaled_to_nothing(network.swarm)
    plan, report = await install(network, salt="0ther")
    assert report.ok
    assert {step.cause for step in plan.steps} == {"somebody changed it by hand", "it is kept only if it works"}


async def test_a_removal_takes_exactly_what_an_installation_left(network: FakeNetwork) -> None:
    await install(network)
    foreign = KeptFile("another", "secret", b"theirs")
    network.swarm.files["secret", "theirs"] = foreign
    observed = await see(network)
    manager, swarm = await swarm_state(network.engines, observed, PROJECT)
    assert not isinstance(swarm, Unknown)
    report = await execute(plan_removal(manager, swarm, "down was asked for"), world(network))
    assert report.ok
    assert (network.swarm.service, network.swarm.files) == (None, {("secret", "theirs"): foreign})


async def test_killed_at_any_change_the_next_run_ends_where_it_should(network: FakeNetwork, tmp_path: Path) -> None:
    await install(network)
    changing = [number for number, call in enumerate(network.calls, 1) if " create " in call]
    assert len(changing) == len(FILES) + 1
    for number in changing:
        for moment in ("kill_before", "kill_after"):
            fresh = three_hosts(tmp_path / f"{moment}{number}")
            for engine in fresh.engines.values():
                engine.swarm = "manager"
                engine.tags.add(IMAGE)
            setattr(fresh.faults, moment, number)
            with suppress(Killed):
                await install(fresh)
            fresh.faults.kill_before = fresh.faults.kill_after = 0
            _, report = await install(fresh, salt="0ther")
            assert report.ok, f"{moment} call {number}: {report.failures}"
            assert contents(fresh) == plain(FILES), f"{moment} call {number}"
            assert len(fresh.swarm.files) == len(FILES), f"{moment} call {number}: {fresh.swarm.files}"


async def test_too_few_managers_and_managers_out_of_reach_are_told(network: FakeNetwork) -> None:
    network.engines["docker3"].swarm = "worker"
    network.faults.off.add("docker2")
    notes = (await planned(network, FILES)).notes
    assert notes[0].startswith("a Swarm with 2 managers does not survive the loss of one")
    assert notes[1:] == (f"manager docker2 is no host of the file that answers: it must have or pull {IMAGE}",)


async def test_one_that_is_as_asked_for_and_does_not_run_is_not_called_well(network: FakeNetwork) -> None:
    await install(network)
    assert network.swarm.service is not None
    network.swarm.service = replace(network.swarm.service, tasks=(SwarmTask("docker1", "starting"),))
    plan, report = await install(network)
    assert [step.cause for step in plan.steps] == ["it does not run"]
    assert not report.ok


async def test_without_a_manager_it_is_blocked_and_says_who_is_what(network: FakeNetwork) -> None:
    for engine in network.engines.values():
        engine.swarm = "worker"
    blocked = no_manager(await see(network))
    assert "docker1: worker, docker2: worker, docker3: worker" in blocked.why


async def test_a_swarm_that_does_not_answer_is_unknown_and_not_empty(network: FakeNetwork) -> None:
    observed = await see(network)
    network.faults.off.add("docker1")
    _, swarm = await swarm_state(network.engines, observed, PROJECT)
    assert isinstance(swarm, Unknown)
