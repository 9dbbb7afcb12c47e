"""A web application firewall on fakes: it comes before what names it, goes after the proof, and never by mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.network import FakeNetwork, Faults, Killed
from tests.fakes.scene import add_members, desired, see, three_hosts, turn

from dockgate.model.actions import CreateContainer, Prove, ReloadConfig, RemoveContainer
from dockgate.model.desired import Desired
from dockgate.model.observed import Container
from dockgate.model.waf import RulesFile, Waf
from dockgate.model.waf_actions import JudgeRules, ProveWaf, PutRules
from dockgate.plan import plan
from dockgate.waf.view import troubles


def guarded(waf: Waf | None) -> Desired:
    wanted = desired()
    return replace(wanted, vips=tuple(replace(vip, waf=waf) for vip in wanted.vips))


STRICTER = Waf(paranoia=2)
WRONG = Waf(own=(RulesFile("own-01-mine.conf", "mine.conf", b"# ours\nSecMistake here\n"),))
CHANGES = {"on": guarded(Waf()), "other rules": guarded(STRICTER), "off": guarded(None)}


async def running(folder: Path, wanted: Desired | None = None) -> FakeNetwork:
    network = three_hosts(folder)
    await turn(network, wanted or desired())
    add_members(network, "web1", "web2")
    await turn(network, wanted or desired())
    return network


def firewalls(network: FakeNetwork) -> list[Container]:
    kept = network.engines["docker1"].kept.values()
    return [each.seen for each in kept if each.is_waf]


def configuration(network: FakeNetwork) -> str:
    (text,) = [each.haproxy.text for each in network.engines["docker1"].kept.values() if each.haproxy.text]
    return text


async def test_it_has_refused_an_attack_before_a_configuration_names_it(tmp_path: Path) -> None:
    network = await running(tmp_path)
    decided, report = await turn(network, guarded(Waf()))
    assert report.ok, report.failures
    kinds = [type(step.action) for step in decided.steps]
    wanted = [CreateContainer, PutRules, JudgeRules, ProveWaf, ReloadConfig, Prove]
    assert [kind for kind in kinds if kind in wanted] == wanted
    (firewall,) = firewalls(network)
    assert firewall.state == "running"
    assert firewall.networks() == ("none",)
    assert "filter spoe engine waf" in configuration(network)
    assert plan(guarded(Waf()), await see(network)).empty


async def test_other_rules_are_another_firewall_and_the_old_one_goes_last(tmp_path: Path) -> None:
    network = await running(tmp_path, guarded(Waf()))
    (before,) = firewalls(network)
    decided, report = await turn(network, guarded(STRICTER))
    assert report.ok, report.failures
    (after,) = firewalls(network)
    assert before.name != after.name
    last = decided.steps[-2].action
    assert isinstance(last, RemoveContainer)
    assert last.container == before.name
    assert before.name not in network.engines["docker1"].volume_labels


async def test_rules_that_the_engine_does_not_understand_change_nothing(tmp_path: Path) -> None:
    network = await running(tmp_path, guarded(Waf()))
    (before,), text = firewalls(network), configuration(network)
    _, report = await turn(network, guarded(WRONG))
    (failure,) = report.failures
    assert "mine.conf:2: Invalid input: SecMistake" in str(failure.error)
    assert configuration(network) == text
    assert before in [each for each in firewalls(network) if each.state == "running"]


async def test_one_that_lets_an_attack_pass_is_not_taken_into_service(tmp_path: Path) -> None:
    network = await running(tmp_path)
    network.faults = Faults(lets_attacks_pass=True)
    _, report = await turn(network, guarded(Waf()))
    (failure,) = report.failures
    assert "let it pass" in str(failure.error)
    assert "filter spoe" not in configuration(network)
    assert [each for each in firewalls(network) if each.state == "running"] == []


async def test_status_and_verify_say_that_one_does_not_work(tmp_path: Path) -> None:
    wanted = guarded(Waf())
    network = await running(tmp_path, wanted)
    assert troubles(wanted, await see(network)) == ()
    network.faults = Faults(lets_attacks_pass=True)
    assert "DOES NOT WORK" in troubles(wanted, await see(network))[0]
    network.faults = Faults()
    network.engines["docker1"].die(firewalls(network)[0].name)
    assert "its container does not run" in troubles(wanted, await see(network))[0]


async def test_one_that_died_is_started_again_by_the_next_up(tmp_path: Path) -> None:
    wanted = guarded(Waf())
    network = await running(tmp_path, wanted)
    network.engines["docker1"].die(firewalls(network)[0].name)
    _, report = await turn(network, wanted)
    assert report.ok, report.failures
    assert firewalls(network)[0].state == "running"


async def test_without_it_nothing_of_it_stays_but_the_place_of_its_sockets(tmp_path: Path) -> None:
    network = await running(tmp_path, guarded(Waf()))
    _, report = await turn(network, guarded(None))
    assert report.ok, report.failures
    assert firewalls(network) == []
    assert "filter spoe" not in configuration(network)
    await turn(network, replace(guarded(None), vips=()))
    assert [name for name in network.engines["docker1"].volume_labels if "web" in name] == []


@pytest.mark.parametrize("change", CHANGES)
async def test_interrupted_after_any_call_the_next_up_reaches_the_same(tmp_path: Path, change: str) -> None:
    first = CHANGES["on"] if change != "on" else desired()
    base = await running(tmp_path / "whole", first)
    base.calls.clear()
    await turn(base, CHANGES[change])
    calls = len(base.calls)
    for number in range(1, calls, max(1, calls // 12)):
        network = await running(tmp_path / str(number), first)
        network.calls.clear()
        network.faults = Faults(kill_after=number)
        with pytest.raises(Killed):
            await turn(network, CHANGES[change])
        network.faults = Faults()
        await turn(network, CHANGES[change])
        assert plan(CHANGES[change], await see(network)).empty, number
        assert [each.name for each in firewalls(network)] == [each.name for each in firewalls(base)]
