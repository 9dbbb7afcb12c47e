"""Networks: create what the file asks for, use what is already there and fits, remove ours that nobody asks for.

Invariants: a network that does not carry our mark is used but never changed or removed; a network with somebody
attached is never removed; nothing is removed while a host that could use it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.model.actions import CreateNetwork, RemoveNetwork
from dockgate.model.desired import Desired, Network
from dockgate.model.objects import LABEL_NAME, NetworkSpec, is_ours, labels_for
from dockgate.model.observed import Observed, ObservedHost, ObservedNetwork
from dockgate.model.plan import Blocked, Step
from dockgate.plan import names
from dockgate.plan.target import pool_networks


@dataclass(frozen=True)
class NetworkPart:
    """``usable``: (host, network) pairs that exist or will, once these steps are done. Overlays count on every host."""

    steps: tuple[Step, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()
    usable: frozenset[tuple[str, str]] = frozenset()


def network_spec(project: str, network: Network) -> NetworkSpec:
    options = (("com.docker.network.driver.mtu", str(network.mtu)),) if network.mtu else ()
    return NetworkSpec(
        name=network.name,
        driver=network.driver,
        internal=network.internal,
        attachable=network.driver == "overlay",
        subnet=network.subnet or "",
        options=options,
        labels=labels_for(project, "network", network.name),
    )


def plan_networks(desired: Desired, observed: Observed) -> NetworkPart:
    """Steps that make every network of the file exist where it is needed."""
    parts = [
        _plan_overlay(desired, network, observed)
        if network.driver == "overlay"
        else _plan_bridge(desired, network, observed)
        for network in desired.networks
    ]
    return NetworkPart(
        steps=tuple(step for part in parts for step in part.steps),
        blocked=tuple(item for part in parts for item in part.blocked),
        usable=frozenset().union(*(part.usable for part in parts)) if parts else frozenset(),
    )


def plan_network_removals(desired: Desired, observed: Observed, leaving: frozenset[tuple[str, str]]) -> NetworkPart:
    """Remove networks of ours that the file does not ask for any more. ``leaving``: (container, network)
    pairs that are taken apart before; network "*" means all of them."""
    steps: list[Step] = []
    notes: list[str] = []
    for host, network in _ours(desired.project, observed):
        wanted = next((item for item in desired.networks if item.name == network.name), None)
        if wanted is not None and (wanted.driver == "overlay" or host.name in _bridge_hosts(desired, wanted)):
            continue
        attached = sorted(
            name for name in attached_anywhere(network, observed) if not leaving & {(name, "*"), (name, network.name)}
        )
        unknown = ", ".join(name for name, _ in observed.unknown())
        if attached:
            notes.append(f"network {network.name} is not in the file, but stays: {', '.join(attached)} attached to it")
        elif network.scope == "swarm" and unknown:
            notes.append(f"network {network.name} is not in the file, but stays: {unknown} could not be read")
        else:
            cause = f"network {network.name} is no longer in the file, and nobody is attached"
            action = RemoveNetwork(host.name, network.name, network.id)
            steps.append(Step(action, cause, f"removal of network {network.name} on {host.name}"))
    return NetworkPart(steps=tuple(steps), notes=tuple(notes))


def attached_anywhere(network: ObservedNetwork, observed: Observed) -> set[str]:
    """Names of the containers attached to a network on any known host (each engine lists only its own).

    Docker would remove a network under a container that is stopped, which could then never start again; and a worker
    does not list an overlay that none of its running containers is on. So the containers themselves are asked, too.
    """
    listed = {
        name for host in observed.known() for item in host.networks if item.id == network.id for name in item.containers
    }
    made_for_it = {
        container.name
        for host in observed.known()
        if _is_the_one(network, host)
        for container in host.containers
        if network.name in container.networks() and container.state not in ("dead", "removing")
    }
    return listed | made_for_it


def _is_the_one(network: ObservedNetwork, host: ObservedHost) -> bool:
    """Whether the network's name means this very network on a host."""
    here = host.network(network.name)
    return here.id == network.id if here else network.scope == "swarm"


def _ours(project: str, observed: Observed) -> Iterator[tuple[ObservedHost, ObservedNetwork]]:
    """Networks of ours, swarm-wide ones once, from the host that may remove them."""
    seen: set[str] = set()
    for host in sorted(observed.known(), key=lambda item: item.swarm != "manager"):
        for network in host.networks:
            if network.id in seen or not is_ours(network.labels, project, "network"):
                continue
            if network.scope == "swarm" and host.swarm != "manager":
                continue
            seen.add(network.id)
            yield host, network


def _plan_overlay(desired: Desired, network: Network, observed: Observed) -> NetworkPart:
    everywhere = frozenset((host.name, network.name) for host in desired.hosts)
    manager = next((host for host in observed.known() if host.swarm == "manager"), None)
    existing = next(
        (found for host in observed.known() if (found := host.network(network.name)) and found.scope == "swarm"), None
    )
    if existing is not None:
        wrong = _mismatch(network, existing)
        return NetworkPart(blocked=(wrong,)) if wrong else NetworkPart(usable=everywhere)
    local = next((host.name for host in observed.known() if host.network(network.name)), None)
    if local is not None:
        why = f"{local} has a local network of that name"
        return NetworkPart(blocked=(_blocked(network, why, "rename one of the two"),))
    if manager is None:
        unknown = ", ".join(f"{name} ({state.reason})" for name, state in observed.unknown())
        why = f"no Swarm manager answers; not readable: {unknown}" if unknown else "no host of the file is a manager"
        hint = (
            "make its engine reachable"
            if unknown
            else "an overlay network needs a Swarm: run `docker swarm init` on one host and join the others"
        )
        return NetworkPart(blocked=(_blocked(network, why, hint),))
    cause = f"the Swarm does not have it ({network.source})"
    step = Step(
        CreateNetwork(manager.name, network_spec(desired.project, network)), cause, names.network_group(network.name)
    )
    return NetworkPart(steps=(step,), usable=everywhere)


def _plan_bridge(desired: Desired, network: Network, observed: Observed) -> NetworkPart:
    steps: list[Step] = []
    blocked: list[Blocked] = []
    usable: set[tuple[str, str]] = set()
    for name in _bridge_hosts(desired, network):
        host = observed.host(name)
        if not isinstance(host, ObservedHost):
            continue
        existing = host.network(network.name)
        wrong = _mismatch(network, existing) if existing else None
        if wrong:
            blocked.append(wrong)
            continue
        usable.add((name, network.name))
        if existing is None:
            cause = f"{name} does not have it ({network.source})"
            action = CreateNetwork(name, network_spec(desired.project, network))
            steps.append(Step(action, cause, names.network_group(network.name)))
    return NetworkPart(tuple(steps), tuple(blocked), usable=frozenset(usable))


def _bridge_hosts(desired: Desired, network: Network) -> tuple[str, ...]:
    """A bridge is wanted on the hosts whose load balancers use it; on every host while no VIP uses it."""
    users = {host for vip in desired.vips if network.name in pool_networks(desired, vip) for host in vip.hosts}
    return tuple(host.name for host in desired.hosts if not users or host.name in users)


def _mismatch(network: Network, existing: ObservedNetwork) -> Blocked | None:
    differences = []
    if existing.driver != network.driver:
        differences.append(f"driver {existing.driver}, not {network.driver}")
    if existing.internal != network.internal:
        differences.append(f"{'internal' if existing.internal else 'not internal'}, unlike the file")
    if network.driver == "overlay" and not existing.attachable:
        differences.append("not attachable, so that containers cannot join it")
    if network.subnet and existing.subnet != network.subnet:
        differences.append(f"subnet {existing.subnet}, not {network.subnet}")
    if network.mtu and existing.mtu != network.mtu:
        differences.append(f"mtu {existing.mtu or 'not set'}, not {network.mtu}")
    if not differences:
        return None
    marked = "ours" if existing.labels.get(LABEL_NAME) else "not made by dockgate"
    hint = "Docker cannot change a network: detach its containers and remove it, or change the file"
    return _blocked(network, f"it exists ({marked}) and differs: {'; '.join(differences)}", hint)


def _blocked(network: Network, why: str, hint: str) -> Blocked:
    return Blocked(f"network {network.name}", why, hint, network.source)
