"""Swarm's JSON: what is asked for comes back as what was asked for, and a change by hand is seen."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dockgate.edges import swarm_json as wire
from dockgate.model.objects import labels_for
from dockgate.model.swarm import ServiceSpec, SwarmFile, SwarmTask

API = (1, 45)
SPEC = ServiceSpec(
    "dockgate-shop-controller",
    "dockgate/controller:1",
    ("run", "--file", "/f"),
    (("PW_FILE", "/run/secrets/PW"),),
    (SwarmFile("config", "c-0", "/f"), SwarmFile("secret", "c-1", "/run/secrets/PW")),
    labels_for("shop", "controller", "controller", "salt:digest"),
)


def answered() -> dict[str, Any]:
    """As Docker answers: defaults of its own added, empty values left out, networks by id."""
    request = copy.deepcopy(wire.service_request(SPEC, {"c-0": "id0", "c-1": "id1"}, API))
    request["TaskTemplate"] |= {"ForceUpdate": 0, "Runtime": "container", "Networks": [{"Target": "t0bcb1sd"}]}
    request["TaskTemplate"]["ContainerSpec"] |= {"Isolation": "default", "DNSConfig": {}}
    return {"ID": "s", "Version": {"Index": 7}, "Spec": request}


def test_what_was_asked_for_comes_back_whole() -> None:
    found = wire.service(answered(), (), API)
    assert (found.spec, found.whole) == (SPEC, True)


def scaled(spec: dict[str, Any]) -> None:
    spec["Mode"]["Replicated"]["Replicas"] = 0


def privileged(spec: dict[str, Any]) -> None:
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"] = []


def writable(spec: dict[str, Any]) -> None:
    del spec["TaskTemplate"]["ContainerSpec"]["ReadOnly"]


def anywhere(spec: dict[str, Any]) -> None:
    spec["TaskTemplate"]["Placement"] = {}


@pytest.mark.parametrize("change", [scaled, privileged, writable, anywhere])
def test_a_change_by_hand_is_seen(change: Any) -> None:
    answer = answered()
    change(answer["Spec"])
    assert not wire.service(answer, (), API).whole


def test_it_may_do_nothing_that_it_need_not() -> None:
    container = answered()["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert (container["CapabilityDrop"], container["ReadOnly"]) == (["ALL"], True)
    assert container["Privileges"] == {"NoNewPrivileges": True}
    assert [mount["Type"] for mount in container["Mounts"]] == ["tmpfs"]


def test_a_task_of_before_an_update_is_not_taken_for_the_new_one() -> None:
    answer = answered()
    answer["Spec"]["TaskTemplate"]["ForceUpdate"] = 2
    listed = [task(1, "running", "node1"), task(2, "starting", "node2")]
    assert wire.tasks(answer, listed, {"node2": "docker2"}) == (SwarmTask("docker2", "starting", "said"),)


def task(updates: int, state: str, node: str) -> dict[str, Any]:
    return {
        "DesiredState": "running",
        "NodeID": node,
        "Version": {"Index": updates},
        "Spec": {"ForceUpdate": updates},
        "Status": {"State": state, "Message": "said"},
    }
