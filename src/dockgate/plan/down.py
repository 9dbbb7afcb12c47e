"""The plan that takes everything of a project away: what carries its mark and nothing else. Members stay.

Order: load balancers first (they are attached to what follows), then nodes, addresses, volumes, networks. A network
with somebody else attached stays and is reported; so does everything on a host that could not be read.
"""

from __future__ import annotations

from dockgate.model.actions import RemoveContainer, RemoveNetwork, RemoveVolume, StartContainer, StopContainer
from dockgate.model.objects import LABEL_KIND, is_ours
from dockgate.model.observed import FirewallState, Observed, ObservedHost
from dockgate.model.plan import Blocked, Plan, Step
from dockgate.model.rules_actions import RemoveRules
from dockgate.plan.networks import attached_anywhere

_CAUSE = "down was asked for"
_ORDER = ("lb", "waf", "helper", "node")


def plan_down(project: str, observed: Observed) -> Plan:
    """Remove every object of the project from every host that can be read."""
    steps: list[Step] = []
    for host in observed.known():
        steps += _rules(project, host)
        steps += _containers(project, host)
        steps += _volumes(project, host)
    networks, notes = _networks(project, observed)
    blocked = tuple(
        Blocked(f"host {name}", f"it could not be read: {state.reason}", "run down again when it answers")
        for name, state in observed.unknown()
    )
    return Plan((*steps, *networks), blocked, tuple(notes))


def _containers(project: str, host: ObservedHost) -> list[Step]:
    ours = [
        item for item in host.containers if is_ours(item.labels, project) and _kind_rank(item.labels.get(LABEL_KIND))
    ]
    steps: list[Step] = []
    for container in sorted(ours, key=lambda item: (_kind_rank(item.labels.get(LABEL_KIND)), item.name)):
        group = f"removal of {container.name} on {host.name}"
        if container.state in ("running", "restarting", "paused"):
            steps.append(Step(StopContainer(host.name, container.name), _CAUSE, group))
        steps.append(Step(RemoveContainer(host.name, container.name, container.id), _CAUSE, group))
    return steps


def _rules(project: str, host: ObservedHost) -> list[Step]:
    """Our tables go while the node container is still there to take them away; one that stands still is started."""
    nodes = [item for item in host.containers if is_ours(item.labels, project, "node")]
    group = f"removal of the firewall on {host.name}"
    if isinstance(host.firewall, FirewallState):
        held = host.firewall.kept or host.firewall.trial
        return [Step(RemoveRules(host.name), _CAUSE, group)] if held else []
    if not nodes or not any(is_ours(volume.labels, project, "rules") for volume in host.volumes):
        return []
    remove = Step(RemoveRules(host.name), _CAUSE, group)
    if any(item.state == "running" for item in nodes):
        return [remove]
    start = Step(StartContainer(host.name, nodes[0].name), "it holds the firewall's rules", group)
    return [start, remove, Step(StopContainer(host.name, nodes[0].name), "it has done its work", group)]


def _kind_rank(kind: str | None) -> int:
    return _ORDER.index(kind) + 1 if kind in _ORDER else 0


def _volumes(project: str, host: ObservedHost) -> list[Step]:
    return [
        Step(RemoveVolume(host.name, volume.name), _CAUSE, f"removal of volume {volume.name} on {host.name}")
        for volume in host.volumes
        if any(is_ours(volume.labels, project, kind) for kind in ("config", "sockets", "rules"))
    ]


def _networks(project: str, observed: Observed) -> tuple[list[Step], list[str]]:
    going = {
        container.name
        for host in observed.known()
        for container in host.containers
        if is_ours(container.labels, project)
    }
    steps: list[Step] = []
    notes: list[str] = []
    seen: set[str] = set()
    for host in sorted(observed.known(), key=lambda item: item.swarm != "manager"):
        for network in host.networks:
            ours = is_ours(network.labels, project, "network") or is_ours(network.labels, project, "address")
            if not ours or network.id in seen or (network.scope == "swarm" and host.swarm != "manager"):
                continue
            seen.add(network.id)
            attached = sorted(attached_anywhere(network, observed) - going)
            if attached:
                notes.append(f"network {network.name} stays: {', '.join(attached)} attached to it")
            elif network.scope == "swarm" and observed.unknown():
                notes.append(f"network {network.name} stays: not every host could be read")
            else:
                address = network.gateway if is_ours(network.labels, project, "address") else ""
                action = RemoveNetwork(host.name, network.name, network.id, address)
                steps.append(Step(action, _CAUSE, f"removal of network {network.name} on {host.name}"))
    return steps, notes
