"""Leftovers: addresses, volumes and helpers of ours that nothing uses any more.

Invariant: an address stays with a load balancer that is published on it and has to stay.
"""

from __future__ import annotations

from collections.abc import Iterable

from dockgate.model.actions import CreateContainer, RemoveContainer, RemoveNetwork, RemoveVolume
from dockgate.model.desired import Desired
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import Container, Observed, ObservedHost
from dockgate.model.plan import Step
from dockgate.plan.seats import address_networks_of
from dockgate.plan.waf import remove_sockets, remove_wafs


def plan_leftovers(desired: Desired, observed: Observed, steps: Iterable[Step]) -> tuple[Step, ...]:
    """Addresses, volumes and helpers of ours that nothing uses: what interrupted runs and removed VIPs left behind."""
    steps = tuple(steps)
    gone = {step.action.id for step in steps if isinstance(step.action, RemoveNetwork)}
    return (
        *_unused_firewalls(desired, observed, steps),
        *_unused_addresses(desired, observed, gone, tuple(steps)),
        *_unused_volumes(desired, observed, steps),
        *_stray_helpers(desired, observed),
    )


def _unused_firewalls(desired: Desired, observed: Observed, steps: tuple[Step, ...]) -> list[Step]:
    """Firewalls and their sockets' volumes on hosts where their VIP neither is nor has to stay."""
    handled = {(step.action.host, step.action.container) for step in steps if isinstance(step.action, RemoveContainer)}
    handled |= {(step.action.host, step.action.name) for step in steps if isinstance(step.action, RemoveVolume)}
    wanted = {(host, vip.name) for vip in desired.vips for host in vip.hosts}
    removals: list[Step] = []
    for host in observed.known():
        owned = [
            (c.labels, kind)
            for c in host.containers
            for kind in ("lb", "waf")
            if is_ours(c.labels, desired.project, kind)
        ]
        balancers = {labels.get(LABEL_NAME) for labels, kind in owned if kind == "lb"}
        firewalls = {labels.get(LABEL_NAME) or "" for labels, kind in owned if kind == "waf"}
        firewalls |= {
            v.labels.get(LABEL_NAME) or "" for v in host.volumes if is_ours(v.labels, desired.project, "sockets")
        }
        for vip in sorted(firewalls):
            if (host.name, vip) in wanted or vip in balancers:
                continue
            made = remove_wafs(desired, host, vip, "", ())
            made += remove_sockets(desired, host, vip, dict.fromkeys(step.group for step in made))
            removals += [step for step in made if not _is_handled(step, handled)]
    return removals


def _is_handled(step: Step, handled: set[tuple[str, str]]) -> bool:
    action = step.action
    name = action.name if isinstance(action, RemoveVolume) else getattr(action, "container", "")
    return (action.host, name) in handled


def _unused_addresses(desired: Desired, observed: Observed, gone: set[str], steps: tuple[Step, ...]) -> list[Step]:
    """An address goes after every load balancer that is published on it, and stays with one that has to stay."""
    wanted = {(host, vip.address) for vip in desired.vips if vip.address is not None for host in vip.hosts}
    leaving = {(s.action.host, s.action.container): s.group for s in steps if isinstance(s.action, RemoveContainer)}
    removals: list[Step] = []
    for host in observed.known():
        for network in address_networks_of(host, desired.project):
            if (host.name, network.gateway) in wanted or network.id in gone:
                continue
            users = [item.name for item in _published_on(host, desired.project, network.gateway)]
            if any((host.name, user) not in leaving for user in users):
                continue
            cause = f"no VIP on {host.name} has the address {network.gateway}"
            action = RemoveNetwork(host.name, network.name, network.id, network.gateway)
            needs = tuple(dict.fromkeys(leaving[host.name, user] for user in users))
            removals.append(Step(action, cause, f"removal of {network.name}", needs=needs))
    return removals


def _published_on(host: ObservedHost, project: str, address: str) -> list[Container]:
    return [
        item
        for item in host.containers
        if is_ours(item.labels, project, "lb") and any(port.host_address == address for port in item.wanted_ports)
    ]


def _unused_volumes(desired: Desired, observed: Observed, steps: Iterable[Step]) -> list[Step]:
    handled = {
        (step.action.host, step.action.spec.config_volume) for step in steps if isinstance(step.action, CreateContainer)
    } | {(step.action.host, step.action.name) for step in steps if isinstance(step.action, RemoveVolume)}
    return [
        Step(RemoveVolume(host.name, volume.name), "no container uses it", f"removal of volume {volume.name}")
        for host in observed.known()
        for volume in host.volumes
        if is_ours(volume.labels, desired.project, "config")
        and (host.name, volume.name) not in handled
        and host.container(volume.name) is None
    ]


def _stray_helpers(desired: Desired, observed: Observed) -> list[Step]:
    return [
        Step(
            RemoveContainer(host.name, container.name, container.id),
            "an interrupted run left it behind",
            f"removal of {container.name}",
        )
        for host in observed.known()
        for container in host.containers
        if is_ours(container.labels, desired.project, "helper")
    ]
