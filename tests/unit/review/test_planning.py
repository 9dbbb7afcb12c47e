"""Worlds in which a plan did harm, or could never succeed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.unit.review.scenes import FILE, balancer, change_container, known, reached, with_containers, with_vip
from tests.worlds import bare_world, member, with_container

from dockgate.haproxy.render import alike
from dockgate.model import actions as a
from dockgate.model.desired import ByName, Desired, Listen, Member, Network, Vip
from dockgate.model.observed import Attachment, Observed
from dockgate.plan import plan, plan_down, simulate, trees_of


def kinds(desired: Desired, world: Observed) -> list[type[a.Action]]:
    return [type(step.action) for step in plan(desired, world).steps]


def on_disk(world: Observed, text: str) -> Observed:
    host = known(world, "docker1")
    (held,) = host.loadbalancers
    return with_containers(world, replace(host, loadbalancers=(replace(held, config=text),)))


def text_of(world: Observed) -> str:
    (held,) = known(world, "docker1").loadbalancers
    assert isinstance(held.config, str)
    return held.config


def test_a_configuration_edited_by_hand_is_written_and_reloaded_although_its_structure_still_stands_in_it() -> None:
    world = reached(FILE)
    edited = on_disk(world, text_of(world).replace("maxconn 8192", "maxconn 77"))
    assert [a.WriteConfig, a.ValidateConfig, a.ActivateConfig, a.ReloadConfig, a.Prove] == kinds(FILE, edited)


def test_weights_and_comments_are_no_reason_for_a_reload() -> None:
    text = text_of(reached(FILE))
    assert alike(text, re.sub("weight 100", "weight 7", text.replace("# Project", "# project")))
    assert not alike(text, text.replace("fall 2", "fall 3"))


@pytest.mark.parametrize("verb", ["plan", "down"])
def test_a_network_is_not_removed_under_a_stopped_container_that_could_then_never_start_again(verb: str) -> None:
    stopped = replace(member("web1", state="exited"), attachments=(Attachment("backend"),))
    world = with_container(reached(FILE), "docker2", stopped)
    without = replace(FILE, vips=(), pools=(), networks=())
    decided = plan(without, world) if verb == "plan" else plan_down("example", world)
    assert not [step for step in decided.steps if isinstance(step.action, a.RemoveNetwork)]
    assert any("web1 attached" in note for note in decided.notes)


def test_a_stopped_load_balancer_leaves_the_networks_it_has_nothing_to_do_on() -> None:
    world = reached(FILE)
    place = balancer(world, "docker1")
    world = change_container(
        world,
        "docker1",
        place.name,
        state="exited",
        published=(),
        attachments=(*place.attachments, Attachment("by-hand")),
    )
    trees = trees_of(FILE, world)
    for step in plan(FILE, world).steps:
        world = simulate(world, step.action, trees)
    assert plan(FILE, world).empty


@pytest.mark.parametrize("state", ["paused", "restarting"])
def test_a_node_container_that_is_paused_or_restarts_is_stopped_and_started(state: str) -> None:
    world = reached(FILE)
    (node,) = [item for item in known(world, "docker2").containers if item.labels.get("dockgate.kind") == "node"]
    assert kinds(FILE, change_container(world, "docker2", node.name, state=state)) == [
        a.StopContainer,
        a.StartContainer,
    ]


def test_a_dead_node_container_is_replaced() -> None:
    world = reached(FILE)
    (node,) = [item for item in known(world, "docker2").containers if item.labels.get("dockgate.kind") == "node"]
    assert kinds(FILE, change_container(world, "docker2", node.name, state="dead")) == [
        a.RemoveContainer,
        a.CreateContainer,
        a.StartContainer,
    ]


def test_a_paused_load_balancer_gives_its_port_to_its_successor() -> None:
    world = reached(FILE)
    paused = change_container(world, "docker1", balancer(world, "docker1").name, state="paused")
    more = with_vip(FILE, listens=(Listen(80, "http", "pres"), Listen(81, "http", "pres")))
    steps = kinds(more, paused)
    assert steps.index(a.StopContainer) < steps.index(a.StartContainer)


def test_a_vip_does_not_wait_for_a_port_that_a_load_balancer_which_has_to_stay_holds() -> None:
    missing = Network("missing", "overlay", internal=True)
    world = reached(FILE)
    host = known(world, "docker1")
    local = replace(host.networks[0], id="local", name="missing", scope="local")
    world = with_containers(world, replace(host, networks=(*host.networks, local)))
    web = replace(FILE.vips[0], listens=(Listen(81, "http", "stuck"),))
    other = Vip("other", ("docker1",), (Listen(80, "http", "pres"),))
    stuck = replace(FILE.pools[0], name="stuck", membership=ByName((Member("web9"),)), network="missing")
    wanted = replace(
        FILE,
        networks=(*FILE.networks, missing),
        pools=(*FILE.pools, stuck),
        vips=(other, web),
    )
    decided = plan(wanted, world)
    assert decided.steps == ()
    assert [item.what for item in decided.blocked] == ["network missing", "VIP web on docker1", "VIP other on docker1"]
    assert "holds port 80 until VIP web can be made" in decided.blocked[-1].why


def test_a_vip_on_a_host_outside_the_swarm_is_blocked_with_that_reason() -> None:
    world = bare_world(FILE)
    world = with_containers(world, replace(known(world, "docker2"), swarm="none"))
    decided = plan(with_vip(FILE, hosts=("docker2",)), world)
    assert [item.why for item in decided.blocked] == [
        "network backend is an overlay, and docker2 is not in the Swarm",
    ]


def test_what_may_have_had_its_effect_is_taken_back_also_when_it_failed() -> None:
    more = with_vip(FILE, listens=(Listen(80, "http", "pres"), Listen(81, "http", "pres")))
    steps = [step for step in plan(more, reached(FILE)).steps if step.undo]
    assert [type(s.action) for s in steps if s.undo_if_failed] == [a.StopContainer, a.StartContainer]


def test_one_long_request_does_not_hold_up_everybody_while_a_port_changes_hands() -> None:
    more = with_vip(FILE, listens=(Listen(80, "http", "pres"), Listen(81, "http", "pres")))
    (stop,) = [s.action for s in plan(more, reached(FILE)).steps if isinstance(s.action, a.StopContainer)]
    assert stop.grace_s <= 2
