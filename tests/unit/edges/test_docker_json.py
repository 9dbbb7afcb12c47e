"""What we ask of Docker, and how its answers read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dockgate.edges import docker_json as wire
from dockgate.model.objects import ContainerSpec, NetworkSpec
from dockgate.model.observed import Attachment, PublishedPort

LB = ContainerSpec(
    name="dockgate-web",
    kind="lb",
    image="dockgate/haproxy:3.2-1",
    networks=("bridge", "backend"),
    publish=(PublishedPort(80, 80, "10.10.10.150"), PublishedPort(80, 8080)),
    config_volume="dockgate-web",
    run_tmpfs=True,
    dns_options=("ndots:1",),
)


def host_config(spec: ContainerSpec, api: tuple[int, int] = (1, 45)) -> dict[str, Any]:
    config: dict[str, Any] = wire.container_request(spec, api)["HostConfig"]
    return config


def test_our_containers_may_do_as_little_as_possible() -> None:
    config = host_config(LB)
    assert config["CapDrop"] == ["ALL"]
    assert config["CapAdd"] == []
    assert config["ReadonlyRootfs"] is True
    assert config["SecurityOpt"] == ["no-new-privileges:true"]
    assert config["Memory"] == config["MemorySwap"] == 512 * 1024 * 1024
    assert config["PidsLimit"] == 256
    assert config["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert "Privileged" not in config
    assert "Binds" not in config


def test_a_load_balancer_has_its_volume_its_socket_folder_and_nothing_else() -> None:
    config = host_config(LB)
    (mount,) = config["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Target"]) == ("volume", "dockgate-web", "/etc/haproxy")
    assert mount["VolumeOptions"] == {"NoCopy": True}
    assert config["Tmpfs"] == {"/run/haproxy": "rw,nosuid,nodev,noexec,size=16m,uid=99,gid=99,mode=0700"}


def test_ports_are_published_on_their_addresses() -> None:
    assert host_config(LB)["PortBindings"] == {
        "80/tcp": [{"HostIp": "10.10.10.150", "HostPort": "80"}, {"HostIp": "0.0.0.0", "HostPort": "8080"}]
    }


@pytest.mark.parametrize(("api", "place"), [((1, 47), {}), ((1, 48), {"GwPriority": 100})])
def test_the_first_network_carries_the_default_route_where_that_can_be_said(api: tuple[int, int], place: Any) -> None:
    assert wire.container_request(LB, api)["NetworkingConfig"] == {"EndpointsConfig": {"bridge": place}}


def test_a_node_container_is_in_the_hosts_network() -> None:
    spec = ContainerSpec("n", "node", "dockgate/node:3", networks=("host",), capabilities=("NET_RAW",))
    assert host_config(spec)["NetworkMode"] == "host"
    assert host_config(spec)["PidMode"] == "host"
    assert host_config(LB)["PidMode"] == ""
    assert host_config(spec)["CapAdd"] == ["NET_RAW"]
    assert "NetworkingConfig" not in wire.container_request(spec, (1, 48))


def test_a_network_has_a_subnet_only_if_one_is_given() -> None:
    spec = NetworkSpec("a", "bridge", subnet="10.10.10.150/32", gateway="10.10.10.150")
    assert wire.network_request(spec)["IPAM"] == {"Config": [{"Subnet": "10.10.10.150/32", "Gateway": "10.10.10.150"}]}
    assert wire.network_request(replace(spec, gateway=""))["IPAM"] == {"Config": [{"Subnet": "10.10.10.150/32"}]}
    assert "IPAM" not in wire.network_request(replace(spec, subnet="", gateway=""))


ANSWER: dict[str, Any] = {
    "Id": "e9cefb419959" + "0" * 52,
    "Name": "/web1",
    "State": {"Status": "running", "StartedAt": "2026-11-22T23:49:12Z", "Health": {"Status": "healthy"}},
    "Config": {"Image": "dockgate/web:1", "Labels": None},
    "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "0"}], "81/tcp": [{"HostPort": "8081"}]}},
    "NetworkSettings": {
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32769"}, {"HostIp": "::", "HostPort": "32769"}],
            "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
            "9/tcp": None,
        },
        "Networks": {
            "z": {"IPAddress": "10.0.1.2", "Aliases": None, "DNSNames": ["web1", "green", "e9cefb419959"]},
            "a": {"IPAddress": "", "Aliases": ["e9cefb419959", "old"]},
        },
    },
}


def test_a_container_reads_without_what_docker_adds_by_itself() -> None:
    found = wire.container(ANSWER)
    assert found.name == "web1"
    assert found.attachments == (Attachment("a", "", ("old",)), Attachment("z", "10.0.1.2", ("green",)))
    assert found.published == (PublishedPort(80, 32769),)
    assert found.wanted_ports == (PublishedPort(81, 8081),)
    assert found.health == "healthy"


def test_a_container_has_its_process_id_and_its_ipv6_addresses() -> None:
    place = {"IPAddress": "10.0.1.2", "GlobalIPv6Address": "fd00::2"}
    state = {"Status": "running", "Pid": 4711}
    found = wire.container({**ANSWER, "State": state, "NetworkSettings": {"Networks": {"a": place}}})
    assert (found.pid, found.attachments[0].address6) == (4711, "fd00::2")


def test_a_network_tells_its_ipv6_subnet_and_the_name_of_its_bridge() -> None:
    ranges = [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}, {"Subnet": "fd00:18::/64"}]
    options = {"com.docker.network.bridge.name": "br-apps"}
    found = wire.network({"Id": "1", "Name": "n", "Driver": "bridge", "Scope": "local", "IPAM": {"Config": ranges},
                          "Options": options})  # fmt: skip
    assert (found.subnet, found.subnet6, found.interface) == ("172.18.0.0/16", "fd00:18::/64", "br-apps")


def test_one_that_never_ran_has_no_start_time() -> None:
    state = {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}
    assert wire.container({**ANSWER, "State": state}).since == ""


@pytest.mark.parametrize(
    ("swarm", "role"),
    [
        (None, "none"),
        ({"LocalNodeState": "inactive"}, "none"),
        ({"LocalNodeState": "active", "ControlAvailable": False, "NodeAddr": "192.168.50.12"}, "worker"),
        ({"LocalNodeState": "active", "ControlAvailable": True, "NodeAddr": "192.168.50.11"}, "manager"),
    ],
)
def test_a_part_in_a_swarm(swarm: Any, role: str) -> None:
    assert wire.swarm_role({"Swarm": swarm}) == role
    assert wire.vxlan_port({"Swarm": swarm}) is None


def test_a_manager_tells_the_swarms_data_path_port() -> None:
    assert wire.vxlan_port({"Swarm": {"LocalNodeState": "active", "Cluster": {"DataPathPort": 7777}}}) == 7777
