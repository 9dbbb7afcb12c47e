"""What a run did wrong on engines that fail half way, are named twice, or hold other people's images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import add_members, desired, see, three_hosts, turn, world

from dockgate.cli.status_view import status_view
from dockgate.controller import configs, prove
from dockgate.controller.acts import act
from dockgate.controller.observe import observe
from dockgate.edges import node
from dockgate.errors import ActionFailed, EngineError
from dockgate.model.actions import ActivateConfig, HaproxyConfig, LoadImage
from dockgate.model.desired import ByService, Listen, Route
from dockgate.model.observed import Unknown
from dockgate.model.proof import ProofRequest


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "READY_S", 0.05)
    monkeypatch.setattr(prove, "ASK_S", 0.05)


@pytest.fixture
def network(tmp_path: Path) -> FakeNetwork:
    return three_hosts(tmp_path)


async def test_a_stop_that_had_its_effect_and_failed_all_the_same_is_taken_back(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    stop = FakeEngine.stop_container

    async def stop_and_lose_the_answer(self: FakeEngine, container: str, *, grace_s: int) -> None:
        await stop(self, container, grace_s=grace_s)
        raise EngineError("no answer within 70 s")

    monkeypatch.setattr(FakeEngine, "stop_container", stop_and_lose_the_answer)
    wanted = desired()
    more = replace(wanted.vips[0], listens=(*wanted.vips[0].listens, Listen(81, pool="pres")))
    _, report = await turn(network, replace(wanted, vips=(more,)))
    assert report.failures
    running = [each for each in network.engines["docker1"].kept.values() if each.volume and each.seen.published]
    assert len(running) == 1


async def test_one_engine_under_two_names_is_not_two_hosts_that_undo_each_other(network: FakeNetwork) -> None:
    await turn(network, desired())
    engines = {"docker1": network.engines["docker1"], "again": network.engines["docker1"]}
    observed = await observe(engines, "example")
    assert observed.host("docker1") == Unknown("it is the same Docker engine as again")


async def test_an_image_of_somebody_elses_name_is_never_built_over(network: FakeNetwork, tmp_path: Path) -> None:
    (tmp_path / "haproxy").mkdir()
    (tmp_path / "haproxy" / "Dockerfile").write_text("FROM scratch\n")
    here = replace(world(network), recipes=tmp_path)
    with pytest.raises(ActionFailed, match="no Dockerfile"):
        await act(here, LoadImage("docker1", "haproxy:3.2", "build"))
    await act(here, LoadImage("docker1", "dockgate/haproxy:9", "build"))


async def test_activating_without_a_candidate_leaves_the_previous_configuration_alone(network: FakeNetwork) -> None:
    await turn(network, desired())
    (held,) = (each for each in network.engines["docker1"].kept.values() if each.volume)
    folder = network.folder / "docker1" / held.volume
    (folder / "previous.cfg").write_text("the one before")
    with pytest.raises(ActionFailed):
        await configs.activate(world(network), ActivateConfig("docker1", held.seen.name, HaproxyConfig("", "")))
    assert (folder / "previous.cfg").read_text() == "the one before"


async def test_an_absent_member_whose_name_ends_in_a_number_is_shown(network: FakeNetwork) -> None:
    wanted = desired(members=("web-1", "web-2"))
    await turn(network, wanted)
    add_members(network, "web-1")
    view = status_view(wanted, await see(network))
    assert [row.member for row in view.members] == ["web-1", "web-2"]
    assert (view.vips[0].members_up, view.vips[0].members) == (1, 2)


async def test_the_spare_places_of_a_service_are_nobodys_members_whatever_their_status(network: FakeNetwork) -> None:
    wanted = desired()
    pool = replace(wanted.pools[0], membership=ByService("web", 3))
    wanted = replace(wanted, pools=(pool,))
    await turn(network, wanted)
    assert status_view(wanted, await see(network)).members == ()


async def test_hundreds_of_routes_are_not_asked_all_at_once(network: FakeNetwork) -> None:
    wanted = desired()
    routes = tuple(Route("pres", host=f"h{number}.example.org") for number in range(900))
    wanted = replace(wanted, vips=(replace(wanted.vips[0], routes=routes),))
    await turn(network, wanted)
    add_members(network, "web1", "web2")
    teller = await world(network).node("docker2")
    requests = tuple(ProofRequest("192.168.50.11", 80, "http", "pres", host_header=r.host or "") for r in routes)
    before = len(network.calls)
    answers = await node.probe(network.engines["docker2"], teller.id, requests)
    assert len(answers) == 900
    assert len(network.calls) - before > 900 // 32
