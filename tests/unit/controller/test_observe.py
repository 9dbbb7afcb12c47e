"""What is read of the world, and what is said of the parts that could not be read."""

from __future__ import annotations

import asyncio

from tests.fakes.network import FakeNetwork
from tests.fakes.scene import add_members, desired, see, turn

from dockgate.model.observed import ObservedHost, RunningHaproxy, Unknown


async def known(network: FakeNetwork, name: str) -> ObservedHost:
    host = (await see(network)).host(name)
    assert isinstance(host, ObservedHost)
    return host


async def test_a_host_that_is_off_is_unknown_and_the_others_are_read(network: FakeNetwork) -> None:
    network.faults.off = {"docker2"}
    observed = await see(network)
    assert [type(state) for _, state in observed.hosts] == [ObservedHost, Unknown, ObservedHost]
    assert "docker2" in dict(observed.unknown())["docker2"].reason


async def test_a_host_that_never_answers_delays_nobody_beyond_the_limit(network: FakeNetwork) -> None:
    network.faults.silent = {"docker1", "docker3"}
    async with asyncio.timeout(2):
        observed = await see(network)
    assert [name for name, _ in observed.unknown()] == ["docker1", "docker3"]
    assert "did not answer within 0.2 s" in dict(observed.unknown())["docker1"].reason


async def test_a_load_balancer_shows_its_configuration_and_its_process(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web1", "web2")
    (balancer,) = (await known(network, "docker1")).loadbalancers
    assert isinstance(balancer.running, RunningHaproxy)
    assert isinstance(balancer.config, str)
    assert balancer.running.structure in balancer.config
    assert [(s.name, s.status) for s in balancer.running.servers] == [("web1", "UP"), ("web2", "UP")]


async def test_a_stopped_load_balancer_still_shows_its_configuration(network: FakeNetwork) -> None:
    await turn(network, desired())
    engine = network.engines["docker1"]
    (name,) = [each.name for each in await engine.containers() if each.wanted_ports]
    await engine.stop_container(name, grace_s=1)
    (balancer,) = (await known(network, "docker1")).loadbalancers
    assert balancer.running is None
    assert isinstance(balancer.config, str)
    assert "backend pres" in balancer.config


async def test_a_haproxy_that_does_not_answer_is_unknown_and_its_host_is_not(network: FakeNetwork) -> None:
    await turn(network, desired())
    network.faults.fail = lambda call: "show info" in call
    (balancer,) = (await known(network, "docker1")).loadbalancers
    assert isinstance(balancer.running, Unknown)


async def test_a_configuration_that_cannot_be_read_is_unknown_not_empty(network: FakeNetwork) -> None:
    await turn(network, desired())
    network.faults.fail = lambda call: "get_file" in call
    (balancer,) = (await known(network, "docker1")).loadbalancers
    assert isinstance(balancer.config, Unknown)


async def test_a_network_lists_the_living_containers_on_it(network: FakeNetwork) -> None:
    await turn(network, desired())
    engine = network.engines["docker1"]
    engine.add_container("alive", networks=("backend",))
    engine.add_container("dead", networks=("backend",), running=False)
    host = await known(network, "docker1")
    found = host.network("backend")
    assert found is not None
    assert "alive" in found.containers
    assert "dead" not in found.containers


async def test_the_same_world_gives_the_same_value(network: FakeNetwork) -> None:
    await turn(network, desired())
    add_members(network, "web2", "web1")
    assert await see(network) == await see(network)
