"""What a copy of a container takes along, and what it leaves to its new image."""

from __future__ import annotations

from typing import Any

from dockgate.edges.copying import copy_request, obstacle

ID = "a" * 64
OLD = {"Env": ["PATH=/bin"], "Cmd": ["serve"], "Labels": {"version": "1"}, "Healthcheck": {"Test": ["CMD", "old"]}}


def original(**config: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": "/web1",
        "Config": {**OLD, "Image": "web:1", "Hostname": ID[:12], "Env": ["PATH=/bin", "KEY=value"], **config},
        "HostConfig": {
            "NetworkMode": "back",
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "RestartPolicy": {"Name": "always"},
            "Binds": ["/srv:/srv"],
        },
        "NetworkSettings": {
            "Networks": {
                "back": {
                    "Aliases": ["web1", ID[:12], "web"],
                    "IPAddress": "10.0.0.9",
                    "MacAddress": "02:42:0a:00:00:09",
                },
                "other": {"IPAMConfig": {"IPv4Address": "10.5.0.7"}, "IPAddress": ""},
            }
        },
    }


def copied(*, stand_in: bool = False, aliases: bool = True, **config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return copy_request(original(**config), OLD, image="web:2", stand_in=stand_in, aliases=aliases)


def test_what_the_old_image_brought_is_left_to_the_new_one() -> None:
    request, _ = copied()
    assert not {"Cmd", "Healthcheck", "Hostname"} & set(request)
    assert (request["Image"], request["Env"], request["Labels"]) == ("web:2", ["KEY=value"], {})


def test_what_a_person_gave_is_kept() -> None:
    request, _ = copied(
        Cmd=["serve", "--fast"], Hostname="shop", Labels={"version": "1", "com.docker.compose.project": "p"}
    )
    assert (request["Cmd"], request["Hostname"]) == (["serve", "--fast"], "shop")
    assert request["Labels"] == {"com.docker.compose.project": "p"}
    assert request["HostConfig"]["Binds"] == ["/srv:/srv"]


def test_it_is_known_by_the_other_names_and_not_by_the_old_id() -> None:
    request, others = copied()
    assert request["NetworkingConfig"]["EndpointsConfig"]["back"]["Aliases"] == ["web"]
    assert set(others) == {"other"}
    assert "MacAddress" not in str(request)


def test_a_stand_in_takes_nothing_that_only_one_can_have() -> None:
    request, others = copied(stand_in=True, aliases=False, Hostname="web1")
    assert request["HostConfig"]["PortBindings"] == {}
    assert request["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert request["Labels"]["dockgate.stand-in"] == "web1"
    assert "Hostname" not in request
    assert request["NetworkingConfig"]["EndpointsConfig"]["back"]["Aliases"] == []
    assert "IPAMConfig" not in others["other"]


def test_the_final_one_keeps_a_fixed_address() -> None:
    _, others = copied()
    assert others["other"]["IPAMConfig"] == {"IPv4Address": "10.5.0.7"}


def test_a_task_of_a_swarm_service_is_left_to_swarm() -> None:
    assert "docker service update" in obstacle(original(Labels={"com.docker.swarm.task.id": "x"}))
