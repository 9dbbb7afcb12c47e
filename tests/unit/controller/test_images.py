"""Images that are not ours, and images whose tag says what they stand on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fakes.network import FakeNetwork
from tests.fakes.scene import world
from tests.golden.test_plan import RUNNING
from tests.worlds import bare_world

from dockgate.controller.execute import execute
from dockgate.model.actions import LoadImage
from dockgate.model.plan import Plan, Step
from dockgate.plan import plan

RECIPES = Path(__file__).resolve().parents[3] / "images"


def load(image: str, origin: str) -> Plan:
    return Plan((Step(LoadImage("docker1", image, origin), "a test", "one"),))


def test_an_image_of_somebody_else_is_pulled_and_never_built() -> None:
    desired = replace(RUNNING, images=replace(RUNNING.images, haproxy="example.org/lb:7"))
    steps = plan(desired, bare_world(RUNNING, with_images=False)).steps
    origins = {step.action.image: step.action.origin for step in steps if isinstance(step.action, LoadImage)}
    assert origins == {"example.org/lb:7": "pull", "dockgate/node:3": "build"}


async def test_pulling_is_left_to_the_engine(network: FakeNetwork) -> None:
    assert (await execute(load("example.org/lb:7", "pull"), world(network))).ok
    assert "docker1: pull_image example.org/lb:7" in network.calls


async def test_the_3_0_image_is_built_on_haproxy_3_0(network: FakeNetwork) -> None:
    await execute(load("dockgate/haproxy:3.0-1", "build"), replace(world(network), recipes=RECIPES))
    wanted = "docker1: build_image dockgate/haproxy:3.0-1 {'BASE': 'haproxy:3.0'"
    assert any(call.startswith(wanted) for call in network.calls)
