"""What may be relied on of an engine: the same words tried on the fake and on real Docker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

import pytest
from tests.contract.conftest import PORT, PROJECT, Pair

from dockgate.controller.wait import until
from dockgate.edges import haproxy_socket, node
from dockgate.edges.api import HelperSpec
from dockgate.errors import ActionFailed, EngineError, NotFound
from dockgate.model.actions import ServerChange
from dockgate.model.objects import CONFIG_DIR, NetworkSpec, labels_for
from dockgate.model.observed import PublishedPort
from dockgate.model.proof import ProofRequest

CONFIG = b"""global
    description 'dockgate contract/web abcdef012345'
    stats socket unix@/run/haproxy/admin.sock mode 600 level admin
    server-state-file /run/haproxy/state
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    load-server-state-from-file global
frontend web
    bind :80
    default_backend pres
backend pres
    server web1 127.0.0.1:1 disabled weight 100 check
    server web2 127.0.0.1:1 disabled weight 100 check
"""
NETWORK = NetworkSpec("contract-net", "bridge", internal=True, labels=labels_for(PROJECT, "network", "net"))
OVERLAY = NetworkSpec("contract-over", "overlay", attachable=True, labels=labels_for(PROJECT, "network", "over"))


async def start_balancer(pair: Pair, config: bytes = CONFIG) -> str:
    container = await pair.first.create_container(await pair.balancer())
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": config})
    await pair.first.start_container(container)

    async def answers() -> object:
        return await haproxy_socket.running(pair.first, container)

    assert await until(answers, limit_s=5.0)
    return container


async def test_it_says_who_it_is(pair: Pair) -> None:
    info = await pair.first.info()
    assert info.version.startswith("26.1.5")
    assert (info.swarm, info.node_address) == ("manager", pair.addresses[0])
    assert (await pair.second.info()).swarm == "worker"


async def test_a_container_goes_from_created_over_running_to_exited(pair: Pair) -> None:
    name = "contract-lb"
    container = await pair.first.create_container(await pair.balancer())
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": CONFIG})
    made = await pair.first.container(name)
    assert (made.id, made.state, made.since, made.published) == (container, "created", "", ())
    assert made.wanted_ports == (PublishedPort(80, PORT),)
    assert made.networks() == ("bridge",)
    assert made.labels.get("dockgate.hash") == "abc"
    await pair.first.start_container(container)
    runs = await pair.first.container(container)
    assert (runs.state, runs.published) == ("running", (PublishedPort(80, PORT),))
    assert runs.since
    assert runs.attachments[0].address
    await pair.first.stop_container(container, grace_s=5)
    ended = await pair.first.container(container)
    assert (ended.state, ended.published, ended.attachments[0].address) == ("exited", (), "")


async def test_starting_what_runs_and_stopping_what_does_not_is_nothing(pair: Pair) -> None:
    container = await start_balancer(pair)
    await pair.first.start_container(container)
    await pair.first.stop_container(container, grace_s=5)
    await pair.first.stop_container(container, grace_s=5)


async def test_a_name_is_given_once(pair: Pair) -> None:
    spec = await pair.balancer()
    await pair.first.create_container(spec)
    with pytest.raises(EngineError, match="could not create container contract-lb"):
        await pair.first.create_container(spec)


async def test_a_taken_port_keeps_a_container_from_starting(pair: Pair) -> None:
    await start_balancer(pair)
    await pair.first.create_volume("contract-other", labels_for(PROJECT, "config", "web"))
    spec = replace(await pair.balancer(), name="contract-other", config_volume="contract-other")
    other = await pair.first.create_container(spec)
    await pair.first.put_files(other, CONFIG_DIR, {"haproxy.cfg": CONFIG})
    with pytest.raises(EngineError, match="port is already allocated"):
        await pair.first.start_container(other)


async def test_what_is_not_there_is_not_found(pair: Pair) -> None:
    spec = replace(await pair.balancer(), image="dockgate/nobody:9")
    for attempt in (
        pair.first.container("nobody"),
        pair.first.start_container("nobody"),
        pair.first.create_container(spec),
        pair.first.remove_volume("nobody", project=PROJECT),
        pair.first.remove_network("nobody", project=PROJECT),
        pair.first.remove_container("nobody", project=PROJECT),
    ):
        with pytest.raises(NotFound, match="docker1: "):
            await attempt


async def test_nothing_is_removed_without_the_mark_or_by_its_name(pair: Pair) -> None:
    container = await pair.first.create_container(await pair.balancer())
    network = await pair.first.create_network(NETWORK)
    for attempt in (
        pair.first.remove_container(container, project="another"),
        pair.first.remove_container("contract-lb", project=PROJECT),
        pair.first.remove_network(network, project="another"),
        pair.first.remove_volume("contract-lb", project="another"),
    ):
        with pytest.raises(EngineError):
            await attempt
    assert (await pair.first.container(container)).state == "created"
    assert network in {each.id for each in await pair.first.networks()}
    assert "contract-lb" in {each.name for each in await pair.first.volumes()}


async def test_a_network_is_as_specified_and_its_name_is_given_once(pair: Pair) -> None:
    network = await pair.first.create_network(NETWORK)
    found = next(each for each in await pair.first.networks() if each.id == network)
    assert (found.name, found.driver, found.scope, found.internal) == ("contract-net", "bridge", "local", True)
    assert found.labels == NETWORK.labels
    with pytest.raises(EngineError, match="there already is one"):
        await pair.first.create_network(NETWORK)
    await pair.first.remove_network(network, project=PROJECT)
    assert network not in {each.id for each in await pair.first.networks()}


async def test_a_worker_joins_an_overlay_that_it_does_not_list(pair: Pair) -> None:
    await pair.first.create_network(OVERLAY)
    assert OVERLAY.name not in {each.name for each in await pair.second.networks()}
    with pytest.raises(EngineError):
        await pair.second.create_network(OVERLAY)


async def test_a_volume_with_other_labels_is_not_taken_for_ours(pair: Pair) -> None:
    ours = labels_for(PROJECT, "config", "web")
    await pair.first.create_volume("contract-v", ours)
    await pair.first.create_volume("contract-v", ours)
    with pytest.raises(EngineError, match="could not create volume contract-v"):
        await pair.first.create_volume("contract-v", labels_for(PROJECT, "config", "other"))


async def test_a_volume_in_use_stays(pair: Pair) -> None:
    await pair.first.create_container(await pair.balancer())
    with pytest.raises(EngineError, match="volume is in use"):
        await pair.first.remove_volume("contract-lb", project=PROJECT)


async def test_networks_are_connected_and_disconnected_before_and_after_the_start(pair: Pair) -> None:
    await pair.first.create_network(NETWORK)
    container = await pair.first.create_container(await pair.balancer())
    await pair.first.connect(container, NETWORK.name)
    assert (await pair.first.container(container)).networks() == ("bridge", NETWORK.name)
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": CONFIG})
    await pair.first.start_container(container)
    assert all(place.address for place in (await pair.first.container(container)).attachments)
    await pair.first.disconnect(container, NETWORK.name)
    assert (await pair.first.container(container)).networks() == ("bridge",)
    await pair.first.connect(container, NETWORK.name)
    assert (await pair.first.container(container)).networks() == ("bridge", NETWORK.name)


async def test_files_are_written_and_read_whether_it_runs_or_not(pair: Pair) -> None:
    container = await pair.first.create_container(await pair.balancer())
    with pytest.raises(NotFound):
        await pair.first.get_file(container, f"{CONFIG_DIR}/haproxy.cfg")
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": CONFIG})
    assert await pair.first.get_file(container, f"{CONFIG_DIR}/haproxy.cfg") == CONFIG
    await pair.first.start_container(container)
    await pair.first.put_files(container, CONFIG_DIR, {"candidate.cfg": b"later\n"})
    assert await pair.first.get_file(container, f"{CONFIG_DIR}/candidate.cfg") == b"later\n"
    await pair.first.stop_container(container, grace_s=5)
    assert await pair.first.get_file(container, f"{CONFIG_DIR}/candidate.cfg") == b"later\n"


async def test_a_command_tells_its_code_and_both_streams(pair: Pair) -> None:
    container = await start_balancer(pair)
    result = await pair.first.exec(container, ["sh", "-c", "echo out; echo err >&2; exit 3"], user="0")
    assert (result.code, result.stdout, result.stderr) == (3, "out\n", "err\n")


async def test_a_command_that_is_not_there_is_an_error_and_no_answer(pair: Pair) -> None:
    container = await start_balancer(pair)
    with pytest.raises(EngineError, match="could not run nonesuch"):
        await pair.first.exec(container, ["nonesuch"])


async def test_a_log_is_read_from_a_second_on_and_only_of_what_is_there(
    pair: Pair,
) -> None:
    container = await start_balancer(pair)
    assert await pair.first.last_lines(container, since=int(time.time()) + 3600, most=10) == ()
    with pytest.raises(NotFound):
        await pair.first.last_lines("nonesuch", since=0, most=10)


async def test_our_containers_of_one_kind_are_told_without_the_others(pair: Pair) -> None:
    spec = await pair.balancer()
    container = await pair.first.create_container(spec)
    assert [each.id for each in await pair.first.ours(PROJECT, "lb")] == [container]
    assert await pair.first.ours(PROJECT, "node") == ()
    assert await pair.first.ours("another", "lb") == ()


async def test_no_command_runs_in_what_does_not_run(pair: Pair) -> None:
    container = await pair.first.create_container(await pair.balancer())
    with pytest.raises(EngineError, match="is not running"):
        await pair.first.exec(container, ["true"])


async def test_a_helper_works_on_the_volume_of_a_stopped_container_and_leaves_nothing(pair: Pair) -> None:
    spec = await pair.balancer()
    container = await pair.first.create_container(spec)
    await pair.first.put_files(container, CONFIG_DIR, {"a": b"content\n"})
    before = {each.id for each in await pair.first.containers()}
    script = f"cat {CONFIG_DIR}/a; mv {CONFIG_DIR}/a {CONFIG_DIR}/b; echo err >&2; exit 4"
    helper = HelperSpec(spec.image, container, ("sh", "-c", script), labels_for(PROJECT, "helper", "web"))
    result = await pair.first.run_helper(helper)
    assert (result.code, result.stdout, result.stderr) == (4, "content\n", "err\n")
    assert await pair.first.get_file(container, f"{CONFIG_DIR}/b") == b"content\n"
    assert {each.id for each in await pair.first.containers()} == before


async def test_an_image_is_streamed_from_one_engine_to_another(pair: Pair) -> None:
    sizes: list[int] = []

    async def counted(archive: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for chunk in archive:
            sizes.append(len(chunk))
            yield chunk

    async with pair.first.save_image("dockgate/web:1") as archive:
        await pair.second.load_image(counted(archive))
    assert "dockgate/web:1" in await pair.second.images()
    assert max(sizes) <= 1 << 18


async def test_haproxy_tells_its_state_and_takes_changes(pair: Pair) -> None:
    container = await start_balancer(pair)
    running = await haproxy_socket.running(pair.first, container)
    assert running.structure == "abcdef012345"
    assert [(each.pool, each.name, each.status) for each in running.servers] == [
        ("pres", "web1", "MAINT"),
        ("pres", "web2", "MAINT"),
    ]
    change = ServerChange("pres", "web1", state="ready", address="192.0.2.7", port=8080, weight=7)
    await haproxy_socket.set_servers(pair.first, container, (change,))
    web1 = (await haproxy_socket.running(pair.first, container)).servers[0]
    assert (web1.address, web1.port, web1.weight) == ("192.0.2.7", 8080, 7)
    assert not web1.status.startswith("MAINT")


async def test_a_refused_runtime_command_is_an_error_with_haproxys_words(pair: Pair) -> None:
    container = await start_balancer(pair)
    change = ServerChange("pres", "nobody", state="drain")
    with pytest.raises(ActionFailed, match=r"refused a runtime command: No such server"):
        await haproxy_socket.set_servers(pair.first, container, (change,))


async def test_a_reload_loads_what_is_on_disk_in_the_same_container(pair: Pair) -> None:
    container = await start_balancer(pair)
    before = await haproxy_socket.running(pair.first, container)
    changed = CONFIG.replace(b"abcdef012345", b"012345abcdef")
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": changed})
    await haproxy_socket.save_state(pair.first, container, config=changed.decode())
    await haproxy_socket.reload(pair.first, container)
    after = await haproxy_socket.running(pair.first, container)
    assert after.structure == "012345abcdef"
    assert after.pid != before.pid


async def test_a_reload_of_nonsense_fails_and_the_old_process_goes_on(pair: Pair) -> None:
    container = await start_balancer(pair)
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": b"nonsense\n"})
    with pytest.raises(ActionFailed, match="did not take the new configuration"):
        await haproxy_socket.reload(pair.first, container)
    assert (await haproxy_socket.running(pair.first, container)).structure == "abcdef012345"


async def test_a_node_container_asks_what_a_client_would_get(pair: Pair) -> None:
    await start_balancer(pair)
    node_id = await pair.node()
    here = pair.addresses[0]
    requests = (ProofRequest(here, PORT, "http", "pres"), ProofRequest(here, 18081, "tcp", "pres"))
    served, closed = await node.probe(pair.first, node_id, requests)
    assert (served.outcome, served.status) == ("open", 503)
    assert closed.outcome == "refused"


async def test_a_node_container_announces_an_address(pair: Pair) -> None:
    await node.announce(pair.first, await pair.node(), pair.addresses[0])
