"""A Swarm made with `--data-path-port`: firewall, verify, trace and doctor take its overlay networks at that port."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.scenarios.clinic import FILE, NETWORK, Clinic
from tests.scenarios.stage import Stage, eventually
from tests.scenarios.tracer import ADDRESS, Tracer

from dockgate.lab import Lab
from dockgate.lab.swarm import in_swarm, join_all

pytestmark = pytest.mark.lab

PORT = 7789


def leave(lab: Lab) -> None:
    for name in reversed(lab.hosts):
        lab.docker(name, "swarm", "leave", "--force", check=False)
        eventually(lambda name=name: not in_swarm(lab.engine(name)), f"{name} is in no Swarm", within_s=30)  # type: ignore[misc]


@pytest.fixture(scope="module")
def moved(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The hosts' Swarm made anew at another port, everything else denied; then it is the usual one again."""
    stage = Stage(lab, tmp_path_factory.mktemp("data-path-port"))
    pairs = [(lab.host_plan(name), lab.engine(name)) for name in lab.hosts]
    own = ["--advertise-addr", ADDRESS["docker1"], "--data-path-addr", ADDRESS["docker1"]]
    leave(lab)
    try:
        lab.docker("docker1", "swarm", "init", *own, "--data-path-port", str(PORT))
        join_all(pairs)
        file = stage.write(f"{FILE}firewall: {{default: deny}}\n")
        stage.up(file)
        stage.start("docker2", "web1", network=NETWORK)
        stage.start("docker3", "web2", network=NETWORK)
        stage.up(file)
        stage.members_up(file, "web1", "web2", within_s=40)
        yield Clinic(stage, file)
    finally:
        stage.clear()
        leave(lab)
        join_all(pairs)


def test_doctor_tries_that_port_and_not_the_usual_one(moved: Clinic) -> None:
    with moved.dropped("docker2", "ip saddr 192.168.50.11 udp dport 4789"):
        moved.says(within_s=60)
    with moved.dropped("docker2", f"ip saddr 192.168.50.11 udp dport {PORT}"):
        found = moved.says(("vxlan-blocked", "docker1 - docker2"))
        assert f"UDP port {PORT} does not arrive from docker1 to docker2" in found[0]["evidence"]
    moved.well()


def test_a_trace_sees_the_leg_between_the_hosts_at_that_port(moved: Clinic) -> None:
    tracer = Tracer(moved.stage, moved.file, "web")
    walk = tracer.trace("http://docker1.lab.lab/")
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert sum(bool(step["vxlan"]) for step in walk["steps"]) == 2
    assert walk["disagreements"] == []
    told = moved.lab.exec("client", tracer.words("http://docker1.lab.lab/")).stdout
    assert f"UDP {PORT}, 192.168.50.11 > 192.168.50.1" in told


def test_the_firewall_guards_that_port_and_verify_proves_it(moved: Clinic) -> None:
    rules = moved.on("docker1", "nft list table inet dockgate")
    assert str(PORT) in rules
    assert "4789" not in rules
    said = moved.stage.dockgate("verify", moved.file, "--output", "json", timeout=300).stdout
    asked = set(re.findall(r'"asked": "([^"]+)"', said))
    assert f"{ADDRESS['docker1']}:{PORT}" in asked, asked
    assert not any(each.endswith(":4789") for each in asked), asked
    assert said.count('"forged overlay frame"') >= 2, said[:2000]
