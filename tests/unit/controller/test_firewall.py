"""Turns of observe, plan and execute with a firewall, on fakes: what is tried, proved, kept, and taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.firewall import FakeFirewall
from tests.fakes.network import FakeNetwork, Faults, Killed
from tests.fakes.scene import add_members, desired, see, three_hosts, turn, world

from dockgate.controller import rules
from dockgate.controller.execute import execute
from dockgate.errors import ProofFailed
from dockgate.model.desired import Desired
from dockgate.model.policy import ContainerZone, Firewall, HostZone, Rule, WorldZone
from dockgate.model.rules_actions import ApplyRules, KeepRules
from dockgate.plan import plan, plan_down

DENY = replace(desired(), firewall=Firewall("deny"))
MORE = replace(desired(), firewall=Firewall("deny", rules=(Rule("in", WorldZone(), ContainerZone("web1")),)))
OFF = replace(desired(), firewall=None)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ASK_S", 0.05)


def firewalls(network: FakeNetwork) -> list[FakeFirewall]:
    return [engine.firewall for engine in network.engines.values()]


async def closed(network: FakeNetwork, wanted: Desired = DENY) -> None:
    """The running example with its firewall in force and its members up."""
    add_members(network, "web1", "web2")
    _, report = await turn(network, wanted)
    assert report.ok, report.failures


async def test_up_keeps_rules_on_every_host_and_a_second_one_changes_nothing(network: FakeNetwork) -> None:
    await closed(network)
    assert all(each.kept is not None and each.loaded == each.kept and each.trial is None for each in firewalls(network))
    decided, _ = await turn(network, DENY)
    assert decided.empty


async def test_a_new_load_balancer_is_in_the_rules_before_it_is_asked(network: FakeNetwork) -> None:
    decided = plan(DENY, await see(network))
    group = [type(step.action).__name__ for step in decided.steps if step.group == "VIP web on docker1"]
    assert group.index("StartContainer") < group.index("ApplyRules") < group.index("Prove")


async def test_a_member_that_came_makes_the_rules_stale(network: FakeNetwork) -> None:
    await closed(network)
    network.engines["docker2"].add_container("web1b", networks=("backend",))
    wanted = replace(DENY, firewall=Firewall("deny", rules=(Rule("in", HostZone(), ContainerZone("web1b")),)))
    assert any("not those of the file" in step.cause for step in plan(wanted, await see(network)).steps)


async def test_rules_that_cut_the_vip_are_taken_back_on_every_host(network: FakeNetwork) -> None:
    await closed(network)
    before = [each.kept for each in firewalls(network)]
    network.faults.status = 504
    _, report = await turn(network, MORE)
    assert isinstance(report.failures[0].error, ProofFailed)
    assert "asked from docker2, answers 504" in report.failures[0].error.what
    assert [each.loaded for each in firewalls(network)] == before == [each.kept for each in firewalls(network)]


async def test_rules_that_nft_refuses_change_nothing_anywhere(network: FakeNetwork) -> None:
    await closed(network)
    before = [each.loaded for each in firewalls(network)]
    network.engines["docker3"].firewall.refuse = "nft -c: syntax error"
    _, report = await turn(network, MORE)
    assert "syntax error" in str(report.failures[0].error)
    assert [each.loaded for each in firewalls(network)] == before


async def test_an_overlay_that_nothing_can_be_loaded_into_is_a_failure_where_containers_are_on_it(
    network: FakeNetwork,
) -> None:
    """A container on it was reachable for the whole overlay, and `up` said that all was done."""
    add_members(network, "web1", "web2")
    network.engines["docker2"].firewall.missing = ["backend"]
    _, report = await turn(network, DENY)
    assert "docker2: the namespace of overlay backend was not found" in str(report.failures[0].error)
    assert all(each.loaded is None for each in firewalls(network))


async def test_with_confirm_nothing_is_kept_before_the_operator_says_so(network: FakeNetwork) -> None:
    await closed(network)
    decided = plan(MORE, await see(network), confirm_s=60)
    assert not any(isinstance(step.action, KeepRules) for step in decided.steps)
    assert (await execute(decided, world(network))).ok
    assert all(each.trial is not None and each.confirm for each in firewalls(network))
    again = plan(MORE, await see(network))
    assert again.empty
    assert any("waits to be confirmed" in note for note in again.notes)
    for each in firewalls(network):
        each.expire()
    assert all(each.loaded == each.kept for each in firewalls(network))


async def test_what_somebody_flushed_is_planned_anew(network: FakeNetwork) -> None:
    await closed(network)
    network.engines["docker2"].firewall.lose()
    assert "changed or removed by somebody" in plan(DENY, await see(network)).steps[0].cause


async def test_while_a_host_is_unknown_the_rules_in_force_stay(network: FakeNetwork) -> None:
    """Rules made without it would cut its containers off: unknown is not empty."""
    await closed(network)
    network.faults.off = {"docker3"}
    decided = plan(MORE, await see(network))
    assert not any(isinstance(step.action, ApplyRules) for step in decided.steps)
    assert any("docker3 could not be read" in item.why for item in decided.blocked)


@pytest.mark.parametrize("wanted", [OFF, replace(desired(), firewall=Firewall("off"))])
async def test_a_file_without_a_firewall_takes_the_rules_away(network: FakeNetwork, wanted: Desired) -> None:
    await closed(network)
    _, report = await turn(network, wanted)
    assert report.ok
    assert all(each.kept is each.loaded is None for each in firewalls(network))


async def test_down_takes_the_rules_away_while_the_node_container_is_there(network: FakeNetwork) -> None:
    await closed(network)
    report = await execute(plan_down("example", await see(network)), world(network))
    assert report.ok, report.failures
    assert all(each.kept is each.loaded is None for each in firewalls(network))
    assert not any(engine.volume_labels for engine in network.engines.values())


async def test_only_connections_that_the_new_policy_forbids_are_cut(network: FakeNetwork) -> None:
    await closed(network)
    docker1 = network.engines["docker1"]
    loner = docker1.add_container("loner", networks=("bridge",))
    network.engines["docker1"].local["bridge"] = replace(docker1.local["bridge"], subnet="10.0.0.0/8")
    flow = {
        "place": "host", "network": "", "family": "ipv4", "protocol": "tcp", "source": "192.168.50.11",
        "destination": loner.attachments[0].address, "sport": "40000", "dport": "80", "type": "0",
        "server": loner.attachments[0].address, "server_port": "80",
    }  # fmt: skip
    elsewhere = {**flow, "destination": "192.168.50.99", "server": "192.168.50.99"}
    docker1.firewall.flows = [flow, elsewhere]
    _, report = await turn(network, MORE)
    assert report.ok, report.failures
    assert flow in docker1.firewall.cut
    assert elsewhere not in docker1.firewall.cut


async def test_killed_after_any_call_every_host_has_the_old_rules_or_the_new_ones(tmp_path: Path) -> None:
    counted = three_hosts(tmp_path / "count")
    await closed(counted)
    old = [each.loaded for each in firewalls(counted)]
    counted.calls.clear()
    await turn(counted, MORE)
    new = [each.loaded for each in firewalls(counted)]
    first = next(number for number, call in enumerate(counted.calls, 1) if "put_files candidate" in call)
    for number in range(first, len(counted.calls) + 1):
        network = three_hosts(tmp_path / str(number))
        await closed(network)
        network.calls.clear()
        network.faults = Faults(kill_after=number)
        with pytest.raises(Killed):
            await turn(network, MORE)
        for each, before, after in zip(firewalls(network), old, new, strict=True):
            assert each.loaded in (before, after), network.calls[-1]
            each.expire()
            assert each.loaded == each.kept
        network.faults = Faults()
        _, report = await turn(network, MORE)
        assert report.ok, report.failures
        assert [each.kept for each in firewalls(network)] == new
