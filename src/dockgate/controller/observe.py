"""The world read into one value: all hosts at once, each within a time limit.

Changes nothing. Invariant: what could not be read is ``Unknown`` with its reason, never empty; a host that does not
answer delays nobody, and is known to the planner as one that must be left alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from dockgate.edges import firewall, haproxy_socket, tls_files, waf
from dockgate.edges.api import EngineApi
from dockgate.edges.firewall import KernelState
from dockgate.errors import DockgateError, EngineError, NotFound
from dockgate.model.objects import ACTIVE_CONFIG, CONFIG_DIR, UNPROVED_MARK, is_ours
from dockgate.model.observed import (
    Container,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    RunningHaproxy,
    Unknown,
)
from dockgate.model.waf import WafState

HostState: TypeAlias = ObservedHost | Unknown

HOST_S = 20.0
ALIVE = frozenset({"running", "paused", "restarting"})


async def observe(
    engines: Mapping[str, EngineApi],
    project: str,
    archives: Iterable[str] = (),
    *,
    limit_s: float = HOST_S,
    rules_of: str = "",
) -> Observed:
    """``archives``: tags of the image archives at hand. ``rules_of``: read only what that host's firewall is made from;
    "": everything. Hosts are sorted by name."""
    names = sorted(engines)
    read = (_host_or_unknown(name, engines[name], project, limit_s, rules_of) for name in names)
    states = await asyncio.gather(*read)
    hosts = _each_engine_once(tuple(zip(names, states, strict=True)))
    return Observed(hosts=hosts, archives=frozenset(archives))


def _each_engine_once(hosts: Iterable[tuple[str, HostState]]) -> tuple[tuple[str, HostState], ...]:
    """Ids of containers are unique: two hosts that share one are one engine under two names, and what is wanted on the
    one would be taken off the other. So the second counts as unknown."""
    told: list[tuple[str, HostState]] = []
    owners: dict[str, str] = {}
    for name, state in hosts:
        ids = [container.id for container in state.containers] if isinstance(state, ObservedHost) else []
        owner = next((owners[each] for each in ids if each in owners), None)
        owners.update(dict.fromkeys(ids, name) if owner is None else {})
        told.append((name, state if owner is None else Unknown(f"it is the same Docker engine as {owner}")))
    return tuple(told)


async def _host_or_unknown(
    name: str, engine: EngineApi, project: str, limit_s: float, rules_of: str
) -> ObservedHost | Unknown:
    try:
        async with asyncio.timeout(limit_s):
            return await _host(name, engine, project, rules_of)
    except TimeoutError:
        return Unknown(f"{name} did not answer within {limit_s:g} s")
    except DockgateError as error:
        return Unknown(error.what)


async def _host(name: str, engine: EngineApi, project: str, rules_of: str) -> ObservedHost:
    info = await engine.info()
    containers, networks, volumes, images = await asyncio.gather(
        engine.containers(), engine.networks(), engine.volumes(), engine.images()
    )
    ours = [container for container in containers if not rules_of and is_ours(container.labels, project, "lb")]
    wafs = [each for each in containers if not rules_of and is_ours(each.labels, project, "waf")]
    kernel, loadbalancers, firewalls = await asyncio.gather(
        _kernel(engine, containers if rules_of in ("", name) else (), project),
        asyncio.gather(*(_loadbalancer(engine, container) for container in ours)),
        asyncio.gather(*(_waf(engine, each) for each in wafs if each.state == "running")),
    )
    return ObservedHost(
        name=name,
        engine_version=info.version,
        swarm=info.swarm,
        node_address=info.node_address,
        vxlan_port=info.vxlan_port,
        containers=containers,
        networks=_with_containers(networks, containers),
        volumes=volumes,
        images=images,
        loadbalancers=tuple(loadbalancers),
        wafs=tuple(firewalls),
        lan=kernel if isinstance(kernel, Unknown) else kernel.lan,
        bridge_filter=kernel if isinstance(kernel, Unknown) else kernel.bridge_filter,
        firewall=kernel if isinstance(kernel, Unknown) else kernel.firewall,
        engine_rules=kernel if isinstance(kernel, Unknown) else kernel.engine_rules,
    )


async def _kernel(engine: EngineApi, containers: Iterable[Container], project: str) -> KernelState | Unknown:
    """What the host's own node container sees."""
    nodes = [item for item in containers if is_ours(item.labels, project, "node") and item.state == "running"]
    if not nodes:
        return Unknown("no node container runs there")
    try:
        return await firewall.read_kernel(engine, max(nodes, key=lambda item: item.since).id)
    except EngineError as error:
        return Unknown(error.what)


def _with_containers(
    networks: Iterable[ObservedNetwork], containers: Iterable[Container]
) -> tuple[ObservedNetwork, ...]:
    """Only living containers hold a place in a network; one that is stopped does not keep it from being removed."""
    there: dict[str, list[str]] = defaultdict(list)
    for container in containers:
        for network in container.networks() if container.state in ALIVE else ():
            there[network].append(container.name)
    return tuple(replace(network, containers=tuple(sorted(there[network.name]))) for network in networks)


async def _loadbalancer(engine: EngineApi, container: Container) -> LoadBalancer:
    config, running, unproved, files = await asyncio.gather(
        _config(engine, container), _running(engine, container), _unproved(engine, container), _tls(engine, container)
    )
    return LoadBalancer(container.name, config, running, unproved, files)


async def _waf(engine: EngineApi, container: Container) -> tuple[str, WafState | Unknown]:
    try:
        return container.name, await waf.status(engine, container)
    except EngineError as error:
        return container.name, Unknown(error.what)


async def _tls(engine: EngineApi, container: Container) -> tuple[tuple[str, str], ...]:
    """Empty also when it cannot be read: then the configuration beside it is Unknown, and nothing is planned."""
    try:
        return await tls_files.listed(engine, container.id)
    except EngineError:
        return ()


async def _unproved(engine: EngineApi, container: Container) -> tuple[str, ...] | None:
    """None also when it cannot be read: then the configuration beside it is Unknown, and nothing is planned."""
    try:
        text = (await engine.get_file(container.id, f"{CONFIG_DIR}/{UNPROVED_MARK}")).decode(errors="replace")
    except EngineError:
        return None
    return tuple(text.split())


async def _config(engine: EngineApi, container: Container) -> str | Unknown:
    try:
        return (await engine.get_file(container.id, f"{CONFIG_DIR}/{ACTIVE_CONFIG}")).decode(errors="replace")
    except NotFound:
        return await _empty_if_there(engine, container)
    except EngineError as error:
        return Unknown(error.what)


async def _empty_if_there(engine: EngineApi, container: Container) -> str | Unknown:
    """No such file, or no such container any more? The engine's answer does not tell them apart."""
    try:
        await engine.container(container.id)
    except EngineError as error:
        return Unknown(error.what)
    return ""


async def _running(engine: EngineApi, container: Container) -> RunningHaproxy | Unknown | None:
    if container.state != "running":
        return None
    try:
        return await haproxy_socket.running(engine, container.id)
    except EngineError as error:
        return Unknown(error.what)
