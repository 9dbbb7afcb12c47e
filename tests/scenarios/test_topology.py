"""The picture of the live system: what it says is what Docker says, and what is stopped is drawn so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.scenarios.stage import Stage, eventually

pytestmark = pytest.mark.lab

NETWORK = "presentation_backend"


def graph(stage: Stage, file: Path, *more: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stage.dockgate("topology", file, "--output", "json", *more).stdout)
    return answer


def inspect(stage: Stage, host: str, *words: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(stage.lab.docker(host, *words).stdout)
    return found[0]


def by_id(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in nodes}


def labels(picture: Path) -> set[str]:
    """The names of everything in a picture."""
    root = ElementTree.fromstring(picture.read_text())
    return {element.get("aria-label", "") for element in root.iter()}


def overlay(stage: Stage) -> Path:
    file = stage.example("01-overlay")
    stage.up(file)
    stage.start("docker2", "web1", network=NETWORK)
    stage.start("docker3", "web2", network=NETWORK)
    stage.members_up(file, "web1", "web2")
    return file


def published(stage: Stage) -> Path:
    file = stage.example("02-published")
    stage.start("docker2", "pub1", options=["-p", "80"])
    stage.start("docker3", "pub2", options=["-p", "80"])
    stage.up(file)
    stage.members_up(file, "pub1", "pub2")
    return file


def test_the_overlay_is_drawn_as_docker_describes_it(stage: Stage) -> None:
    found = graph(stage, overlay(stage))
    members = by_id(found["members"])
    for host, name in (("docker2", "web1"), ("docker3", "web2")):
        member = members[f"member:pres_containers/{name}"]
        networks = inspect(stage, host, "inspect", name)["NetworkSettings"]["Networks"]
        assert (member["host"], member["address"], member["port"]) == (host, networks[NETWORK]["IPAddress"], 80)
        assert member["condition"]["word"] == "UP"
    network = by_id(found["networks"])[f"network:{NETWORK}"]
    told = inspect(stage, "docker1", "network", "inspect", NETWORK)
    assert (network["driver"], network["internal"], network["subnet"]) == (
        told["Driver"],
        told["Internal"],
        told["IPAM"]["Config"][0]["Subnet"],
    )
    balancer = found["balancers"][0]
    settings = inspect(stage, "docker1", "inspect", balancer["container"])["NetworkSettings"]
    assert {place["network"]: place["address"] for place in balancer["places"]} == {
        "network:bridge@docker1": settings["Networks"]["bridge"]["IPAddress"],
        f"network:{NETWORK}": settings["Networks"][NETWORK]["IPAddress"],
    }
    assert [(nat["kind"], nat["host"]) for nat in found["nat"]] == [("DNAT", "docker1")]
    assert [port["id"] for port in found["ports"] if port["outside"]] == ["port:docker1/0.0.0.0:80"]
    assert all(link["nat"] == [] for link in found["links"])


def test_published_ports_are_drawn_with_the_translations_on_both_hosts(stage: Stage) -> None:
    found = graph(stage, published(stage))
    nat, members = by_id(found["nat"]), by_id(found["members"])
    balancer = found["balancers"][0]
    inside = inspect(stage, "docker1", "inspect", balancer["container"])["NetworkSettings"]["Networks"]["bridge"]
    for host, name in (("docker2", "pub1"), ("docker3", "pub2")):
        settings = inspect(stage, host, "inspect", name)["NetworkSettings"]
        port = int(settings["Ports"]["80/tcp"][0]["HostPort"])
        member = members[f"member:old_web/{name}"]
        assert (member["address"], member["port"]) == (stage.lab.address(host), port)
        link = by_id(found["links"])[f"link:old@docker1/old_web/{name}"]
        steps = [nat[step] for step in link["nat"]]
        assert [(step["kind"], step["host"], step["before"], step["after"]) for step in steps] == [
            ("MASQUERADE", "docker1", inside["IPAddress"], stage.lab.address("docker1")),
            ("DNAT", host, f"{stage.lab.address(host)}:{port}", f"{settings['Networks']['bridge']['IPAddress']}:80"),
        ]


@pytest.mark.parametrize(
    ("way", "host", "name"),
    [(overlay, "docker3", "web2"), (published, "docker3", "pub2")],
    ids=["overlay", "published"],
)
def test_a_member_that_was_stopped_is_drawn_down_and_marked_as_changed(
    stage: Stage, way: Any, host: str, name: str
) -> None:
    file = way(stage)
    before = stage.folder / "before.json"
    before.write_text(stage.dockgate("topology", file, "--output", "json").stdout)
    picture = stage.folder / "topology.svg"
    stage.dockgate("topology", file, "-o", str(picture))
    assert f"Member {name} on {host}: UP" in labels(picture)
    stage.lab.docker(host, "stop", "-t", "0", name)

    def drawn_down() -> bool:
        stage.dockgate("topology", file, "-o", str(picture))
        return f"Member {name} on {host}: DOWN" in labels(picture)

    eventually(drawn_down, f"{name} is drawn DOWN")
    compared = stage.dockgate("topology", file, "--diff", str(before)).stdout
    assert "~ CHANGED member" in compared
    assert "condition UP → DOWN" in compared


def test_a_host_that_cannot_be_read_is_drawn_as_unknown_with_the_reason(stage: Stage) -> None:
    file = overlay(stage)
    stage.edit(file, f"{stage.lab.name}/docker3/docker.sock", "nowhere/docker.sock")
    host = by_id(graph(stage, file)["hosts"])["host:docker3"]
    assert host["condition"]["word"] == "UNKNOWN"
    assert "No such file or directory" in host["condition"]["why"]
    stage.edit(file, "nowhere/docker.sock", f"{stage.lab.name}/docker3/docker.sock")


def test_the_file_is_drawn_before_any_host_is_asked(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.edit(file, f"/run/{stage.lab.name}/", "/run/nowhere/")
    picture = stage.folder / "planned.png"
    stage.dockgate("topology", file, "--desired", "-o", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert graph(stage, file, "--desired")["view"] == "desired"
    stage.edit(file, "/run/nowhere/", f"/run/{stage.lab.name}/")
