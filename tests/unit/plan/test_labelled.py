"""Members by label: who gets a slot, who keeps it, and what those who get none are told."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.scene import desired

from dockgate.haproxy.build import ResolvedServer
from dockgate.model.desired import ByLabel, Desired
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    LoadBalancer,
    Observed,
    ObservedHost,
    RunningHaproxy,
    ServerState,
    Unknown,
)
from dockgate.plan.labelled import refusals, seat_labelled


def wanted(maximum: int = 3) -> Desired:
    base = desired()
    return replace(base, pools=(replace(base.pools[0], membership=ByLabel(maximum)),))


def member(name: str, address: str, **labels: str) -> Container:
    marks = {"dockgate.pool": "pres"} | {f"dockgate.{key}": value for key, value in labels.items()}
    return Container(name * 8, name, "web", "running", Labels.of(marks), (Attachment("backend", address),))


def world(*containers: Container, unknown: bool = False) -> Observed:
    other = Unknown("cut off") if unknown else ObservedHost("docker3", "26")
    hosts = (
        ("docker1", ObservedHost("docker1", "26")),
        ("docker2", ObservedHost("docker2", "26", containers=containers)),
    )
    return Observed((*hosts, ("docker3", other)))


def running(*servers: tuple[str, str]) -> LoadBalancer:
    states = tuple(ServerState("pres", name, address, 80, "UP", 100) for name, address in servers)
    return LoadBalancer("lb", "", RunningHaproxy("3.2", "x", 7, 60, states))


def seats(world: Observed, balancer: LoadBalancer | None = None, *, maximum: int = 3) -> dict[str, str | None]:
    it = wanted(maximum)
    return {each.name: each.address for each in seat_labelled(it, it.pools[0], world, balancer)}


def test_each_that_asks_gets_a_slot() -> None:
    found = seats(world(member("a", "10.0.0.1"), member("b", "10.0.0.2")))
    assert found == {"slot1": "10.0.0.1", "slot2": "10.0.0.2", "slot3": None}


def test_nobody_is_moved_because_somebody_else_left() -> None:
    now = running(("slot1", "10.0.0.1"), ("slot2", "10.0.0.2"))
    assert seats(world(member("b", "10.0.0.2")), now) == {"slot1": None, "slot2": "10.0.0.2", "slot3": None}


def test_a_newcomer_takes_a_free_slot() -> None:
    found = seats(world(member("b", "10.0.0.2"), member("c", "10.0.0.3")), running(("slot2", "10.0.0.2")))
    assert found == {"slot1": "10.0.0.3", "slot2": "10.0.0.2", "slot3": None}


def test_while_a_host_is_unknown_a_slot_keeps_what_it_has() -> None:
    now = running(("slot1", "10.0.0.1"))
    assert seats(world(member("b", "10.0.0.2"), unknown=True), now)["slot1"] == "10.0.0.1"


def test_port_and_weight_are_the_labels_own() -> None:
    it = wanted()
    found = seat_labelled(it, it.pools[0], world(member("a", "10.0.0.1", port="8000", weight="7")), None)
    assert found[0] == ResolvedServer("slot1", "10.0.0.1", 8000, 7)


def test_what_is_refused_is_told_with_the_reason() -> None:
    other = replace(member("d", "10.0.0.4"), attachments=(Attachment("bridge", "172.17.0.2"),))
    there = world(
        member("a", "10.0.0.1", pool="nope"),
        member("b", "10.0.0.2", port="x"),
        member("c", "10.0.0.3", weight="300"),
        other,
    )
    assert list(refusals(wanted(), there)) == [
        "a on docker2 asks to join pool nope by label and is refused: the file has no pool 'nope'",
        "b on docker2 asks to join pool pres by label and is refused: its dockgate.port is 'x', which is no port",
        "c on docker2 asks to join pool pres by label and is refused: its dockgate.weight is '300' and not 0 to 256",
        "d on docker2 asks to join pool pres by label and is refused:"
        " it is not on network backend, on which that pool is reached",
    ]


def test_a_pool_that_takes_nobody_by_label_says_so() -> None:
    (said,) = refusals(desired(), world(member("a", "10.0.0.1")))
    assert said.endswith("pool pres does not take members by label (labels: true)")


def test_when_there_are_more_than_slots_it_is_said() -> None:
    there = world(member("a", "10.0.0.1"), member("b", "10.0.0.2"))
    assert list(refusals(wanted(1), there)) == [
        "2 containers ask to join pool pres by label and it has room for 1: raise its maximum"
    ]
