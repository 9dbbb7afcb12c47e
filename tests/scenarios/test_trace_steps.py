"""The running example told by `dockgate trace`: its nine steps, there and back, and what overlay tables have wrong.

Every field is held against the world as it is at that moment: containers' addresses, host ports, the chosen server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.scenarios.stage import eventually
from tests.scenarios.tracer import (
    ADDRESS,
    CLIENT_ADDRESS,
    OLD_URL,
    URL,
    Tracer,
    added_rule,
    overlay_tracer,
    published_tracer,
)

from dockgate.lab import Lab

pytestmark = pytest.mark.lab

NETWORK = "presentation_backend"


@pytest.fixture(scope="module")
def overlay(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    yield from overlay_tracer(lab, tmp_path_factory.mktemp("steps-overlay"))


@pytest.fixture(scope="module")
def published(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    yield from published_tracer(lab, tmp_path_factory.mktemp("steps-published"))


def way(ends: dict[str, Any]) -> tuple[str, int, str, int]:
    return ends["source"], ends["sport"], ends["address"], ends["dport"]


def test_the_nine_steps_over_published_ports_are_the_worlds(published: Tracer) -> None:
    walk = published.trace(OLD_URL)
    steps, server = walk["steps"], walk["haproxy"]["server"]
    home = {"pub1": "docker2", "pub2": "docker3"}[server]
    front = published.address("docker1", published.balancer, "bridge")
    target = published.address(home, server, "bridge")
    port = int(published.inspect(home, server, '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'))
    mine, its = steps[0]["before"]["sport"], steps[3]["before"]["sport"]
    client, balancer, member = CLIENT_ADDRESS, ADDRESS["docker1"], ADDRESS[home]
    told = [
        way(steps[0]["before"]),  # 1 the client asks docker1's port
        way(steps[1]["after"]),  # 2 DNAT to HAProxy
        way(steps[3]["before"]),  # 3 HAProxy picks a server, at its host's port
        way(steps[4]["after"]),  # 4 MASQUERADE behind docker1
        way(steps[5]["before"]),  # 5 across the LAN
        way(steps[5]["after"]),  # 6 DNAT to the member
        way(steps[6]["back"]["came"]),  # 7 the member answers
        way(steps[5]["back"]["left"]),  # 8 its host translates back
        way(steps[1]["back"]["left"]),  # 9 and so does docker1, towards the client
    ]
    assert told == [
        (client, mine, balancer, 8080),
        (client, mine, front, 8080),
        (front, its, member, port),
        (balancer, its, member, port),
        (balancer, its, member, port),
        (balancer, its, target, 80),
        (target, 80, balancer, its),
        (member, port, balancer, its),
        (balancer, 8080, client, mine),
    ]
    assert way(steps[4]["back"]["left"]) == (member, port, front, its)
    assert [step["translation"] for step in steps] == [None, "DNAT", None, None, "MASQUERADE", "DNAT", None]
    assert [step["back"]["translated_back"] for step in steps] == [False, True, False, False, True, True, False]
    assert steps[6]["place"]["name"] == server
    assert walk["disagreements"] == []


def test_the_nine_hops_over_the_overlay_are_the_worlds_both_ways(overlay: Tracer) -> None:
    walk = overlay.trace(URL)
    steps, server = walk["steps"], walk["haproxy"]["server"]
    home = {"web1": "docker2", "web2": "docker3"}[server]
    front = overlay.address("docker1", overlay.balancer, "bridge")
    inside = overlay.address("docker1", overlay.balancer, NETWORK)
    target = overlay.address(home, server, NETWORK)
    mine, its = steps[0]["before"]["sport"], steps[3]["before"]["sport"]
    assert way(steps[1]["after"]) == (CLIENT_ADDRESS, mine, front, 80)
    assert {way(step["after"]) for step in steps[3:]} == {(inside, its, target, 80)}
    assert {way(step["back"]["came"]) for step in steps[3:]} == {(target, 80, inside, its)}
    assert way(steps[1]["back"]["left"]) == (ADDRESS["docker1"], 80, CLIENT_ADDRESS, mine)
    assert [number for number, step in enumerate(steps) if step["back"]["translated_back"]] == [1]
    form = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").MacAddress}}}}'
    near, far = steps[4]["forwarding"], steps[7]["forwarding"]
    assert (near["address"], near["mac"], near["host"]) == (target, overlay.inspect(home, server, form), ADDRESS[home])
    own = overlay.inspect("docker1", overlay.balancer, form)
    assert (far["address"], far["mac"], far["host"]) == (inside, own, ADDRESS["docker1"])


def test_the_way_back_is_told_with_the_rules_that_let_it_pass(overlay: Tracer) -> None:
    overlay.nft("docker1", "add", "table", "inet", "others")
    try:
        overlay.nft("docker1", "add chain inet others fw { type filter hook forward priority -5; }")
        overlay.nft("docker1", "add", "rule", "inet", "others", "fw", "tcp", "sport", "80", "accept")
        rules = overlay.trace(URL)["steps"][1]["back"]["rules"]
    finally:
        overlay.nft("docker1", "delete", "table", "inet", "others")
    assert ("others", "fw", "accept") in {(rule["table"], rule["chain"], rule["verdict"]) for rule in rules}


def test_a_drop_of_the_answer_is_named_as_one_on_the_way_back(overlay: Tracer) -> None:
    with added_rule(overlay, "docker1", "ip", "filter", "DOCKER-USER", "tcp", "sport", "80", "drop") as handle:
        stop = overlay.stopped(URL)
    assert stop["where"] == "docker1"
    assert "dropped the answer to it, on its way back" in stop["why"], stop
    assert f"handle {handle}" in stop["why"]


# --- the overlay's own tables


@contextmanager
def checks_far_apart(tracer: Tracer) -> Iterator[None]:
    """So that HAProxy has not found out by itself."""
    tracer.stage.edit(tracer.file, "check: {", "check: {interval: 60s, ")
    tracer.stage.up(tracer.file)
    tracer.stage.members_up(tracer.file, "web1", "web2", within_s=40)
    try:
        yield
    finally:
        tracer.stage.edit(tracer.file, "check: {interval: 60s, ", "check: {")
        tracer.stage.up(tracer.file)
        tracer.stage.members_up(tracer.file, "web1", "web2", within_s=40)


class Tables:
    """The forwarding tables of the overlay's namespace on docker1."""

    def __init__(self, tracer: Tracer) -> None:
        ident = tracer.lab.docker("docker1", "network", "inspect", "-f", "{{.Id}}", NETWORK).stdout.strip()
        self._tracer, self._enter = tracer, ["nsenter", f"--net=/run/docker/netns/1-{ident[:10]}"]
        form = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").MacAddress}}}}'
        homes = {"web1": "docker2", "web2": "docker3"}
        self.members = {
            name: (tracer.address(home, name, NETWORK), tracer.inspect(home, name, form), ADDRESS[home])
            for name, home in homes.items()
        }

    def run(self, *words: str) -> None:
        self._tracer.lab.exec("docker1", [*self._enter, *words], check=True)

    def restore(self) -> None:
        for address, mac, host in self.members.values():
            self.run("ip", "neigh", "replace", address, "lladdr", mac, "nud", "permanent", "dev", "vxlan0")
            self.run("bridge", "fdb", "replace", mac, "dev", "vxlan0", "dst", host, "self", "permanent")


def test_entries_of_the_overlay_that_are_missing_or_stale_are_named_as_the_cause(overlay: Tracer) -> None:
    tables = Tables(overlay)
    with checks_far_apart(overlay):
        eventually(lambda: overlay.stage.get(URL)[0] == 200, "the VIP answers")
        try:
            for _, mac, _ in tables.members.values():
                tables.run("bridge", "fdb", "replace", mac, "dev", "vxlan0", "dst", ADDRESS["docker1"], "self")
            stale = overlay.stopped(URL)
            for address, mac, _ in tables.members.values():
                tables.run("bridge", "fdb", "del", mac, "dev", "vxlan0", "self")
                tables.run("ip", "neigh", "del", address, "dev", "vxlan0")
            missing = overlay.stopped(URL)
        finally:
            tables.restore()
    assert stale["where"] == missing["where"] == f"overlay {NETWORK} on docker1", (stale, missing)
    assert f"to {ADDRESS['docker1']}, and not to 192.168.50.1" in stale["why"], stale
    assert "it has no neighbour entry for " in missing["why"], missing
    assert "web" in stale["why"], stale
    assert "docker restart web" in missing["hint"]
