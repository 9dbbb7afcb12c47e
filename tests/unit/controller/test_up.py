"""Turns of observe, plan and execute on fakes: what holds, and what a refusal or a lost proof leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes.engine import FakeContainer
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import add_members, desired, see, turn, with_check

from dockgate.errors import ConfigRefused, ProofFailed
from dockgate.model.actions import CreateContainer, ReloadConfig
from dockgate.model.desired import Network
from dockgate.plan import plan


def balancer(network: FakeNetwork) -> FakeContainer:
    (found,) = [each for each in network.engines["docker1"].kept.values() if each.volume]
    return found


async def test_up_brings_the_vip_and_a_second_one_changes_nothing(network: FakeNetwork) -> None:
    _, report = await turn(network, desired())
    assert report.ok
    before = len(network.changes())
    decided, _ = await turn(network, desired())
    assert decided.empty
    assert len(network.changes()) == before


async def test_a_vip_without_members_is_proved_and_the_remark_says_why_it_answers_503(network: FakeNetwork) -> None:
    _, report = await turn(network, desired())
    assert report.steps[-1].remark == "answers 503: no member of pool pres is up yet"


async def test_a_change_of_structure_is_a_reload_of_the_same_container(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    before = balancer(network)
    decided, report = await turn(network, with_check(desired(), "/healthz"))
    assert report.ok
    assert any(isinstance(step.action, ReloadConfig) for step in decided.steps)
    assert balancer(network) is before
    assert before.haproxy.pid == 2
    assert plan(with_check(desired(), "/healthz"), await see(network)).empty


async def test_a_refused_configuration_is_kept_for_reading_and_the_old_one_goes_on(network: FakeNetwork) -> None:
    await turn(network, desired())
    before = balancer(network).haproxy.text
    network.faults.refuse = "[ALERT]    (7) : config : parsing [/etc/haproxy/candidate.cfg:9] : unknown keyword 'x'\n"
    _, report = await turn(network, with_check(desired(), "/healthz"))
    (failed,) = report.failures
    assert isinstance(failed.error, ConfigRefused)
    assert failed.error.messages == ("haproxy.cfg:9: HAProxy says: unknown keyword 'x'",)
    files = network.folder / "docker1" / balancer(network).volume
    assert "/healthz" in (files / "refused.cfg").read_text()
    assert (files / "haproxy.cfg").read_text() == before == balancer(network).haproxy.text


async def test_a_change_that_fails_its_proof_is_taken_back(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    before = balancer(network).haproxy.text
    network.faults.status = 504
    _, report = await turn(network, with_check(desired(), "/healthz"))
    (failed,) = report.failures
    assert isinstance(failed.error, ProofFailed)
    assert "http://192.168.50.11:80/" in failed.error.what
    assert "asked from docker2, answers 504" in failed.error.what
    assert balancer(network).haproxy.text == before
    assert not report.left_over


async def test_a_change_that_fails_its_proof_goes_back_to_members_on_the_network_it_wanted_to_leave(
    network: FakeNetwork,
) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    elsewhere = replace(
        desired(),
        networks=(*desired().networks, Network("empty", "overlay", internal=True)),
        pools=tuple(replace(pool, network="empty") for pool in desired().pools),
    )
    _, report = await turn(network, elsewhere)
    assert [type(each.error) for each in report.failures] == [ProofFailed]
    assert "backend" in balancer(network).seen.networks()


async def test_503_is_no_proof_for_a_pool_that_served_before(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    network.faults.status = 503
    _, report = await turn(network, with_check(desired(), "/healthz"))
    assert [type(each.error) for each in report.failures] == [ProofFailed]


async def test_a_new_port_is_served_before_the_old_container_goes(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    old = balancer(network).seen
    decided, report = await turn(network, desired(port=81))
    assert report.ok
    assert any(isinstance(step.action, CreateContainer) for step in decided.steps)
    proved = next(i for i, call in enumerate(network.calls) if "python3" in call and i > 60)
    removed = network.calls.index(f"docker1: remove_container {old.id}")
    assert proved < removed


async def test_an_image_comes_from_a_host_that_has_it(network: FakeNetwork) -> None:
    network.engines["docker3"].tags.clear()
    _, report = await turn(network, desired())
    assert report.ok
    assert any("save_image dockgate/node:3" in call for call in network.calls)
    assert "dockgate/node:3" in network.engines["docker3"].tags


@pytest.mark.parametrize("host", ["docker2", "docker3"])
async def test_a_host_that_is_off_does_not_keep_the_vip_from_coming_up(network: FakeNetwork, host: str) -> None:
    network.faults.off = {host}
    _, report = await turn(network, desired())
    assert report.ok
    assert balancer(network).seen.state == "running"
