"""What load balancers stand on: images on their hosts, and a node container on every host.

Node containers carry no traffic; one whose specification changed is replaced new before old.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dockgate.model.actions import (
    CreateContainer,
    CreateVolume,
    LoadImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from dockgate.model.desired import Desired
from dockgate.model.objects import ContainerSpec, is_ours
from dockgate.model.observed import Container, Observed, ObservedHost
from dockgate.model.plan import Blocked, Step
from dockgate.plan import names
from dockgate.plan.target import node_spec


@dataclass(frozen=True)
class SupportPart:
    steps: tuple[Step, ...] = ()
    blocked: tuple[Blocked, ...] = ()


def plan_images(desired: Desired, observed: Observed) -> SupportPart:
    """Every known host of the file gets the node image; those that run a load balancer the HAProxy image as well, and
    those with a firewall its image."""
    steps: list[Step] = []
    balancer_hosts = {host for vip in desired.vips for host in vip.hosts}
    waf_hosts = {host for vip in desired.vips if vip.waf for host in vip.hosts}
    for host in observed.known():
        for image in _needed(desired, host.name in balancer_hosts, host.name in waf_hosts):
            if image not in host.images:
                action = LoadImage(host.name, image, origin_of(image, observed))
                steps.append(Step(action, "it is not there", names.image_group(image, host.name)))
    return SupportPart(tuple(steps))


def plan_nodes(desired: Desired, observed: Observed) -> SupportPart:
    """One running node container of the current specification on every known host."""
    spec = node_spec(desired)
    return SupportPart(
        side_by_side(tuple(step for host in observed.known() for step in _plan_node(desired, host, spec)))
    )


def side_by_side(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps whose groups do not depend on each other."""
    return tuple(replace(step, beside=True) for step in steps)


def needs_image(desired: Desired, host: ObservedHost, image: str) -> tuple[str, ...]:
    """The group that a step needs because its image is not on the host yet."""
    return () if image in host.images else (names.image_group(image, host.name),)


def _plan_node(desired: Desired, host: ObservedHost, spec: ContainerSpec) -> list[Step]:
    ours = [item for item in host.containers if is_ours(item.labels, desired.project, "node")]
    current = next((item for item in ours if item.name == spec.name), None)
    group, needs = names.node_group(host.name), needs_image(desired, host, spec.image)
    steps: list[Step] = []
    if current is not None and current.state in ("dead", "removing"):
        action = RemoveContainer(host.name, current.name, current.id)
        steps.append(Step(action, f"it is {current.state}", group))
        current = None
    if current is None:
        volume = spec.state_volume
        if not any(item.name == volume for item in host.volumes):
            made = CreateVolume(host.name, volume, desired.project, "node", kind="rules")
            steps.append(Step(made, "the host's firewall rules are kept there", group, needs=needs))
        cause = "none of this version is there, to probe, announce and guard"
        steps.append(Step(CreateContainer(host.name, spec), cause, group, needs=needs))
    if current is not None and current.state in ("paused", "restarting"):
        steps.append(Step(StopContainer(host.name, spec.name), f"it is {current.state}", group))
    if current is None or current.state != "running":
        cause = "it was just created" if current is None else f"it is {current.state}"
        steps.append(Step(StartContainer(host.name, spec.name), cause, group))
    steps += [step for old in ours if old.name != spec.name for step in _remove_old(host.name, old, group)]
    return steps


def _remove_old(host: str, old: Container, group: str) -> list[Step]:
    cause = "its successor runs"
    stop = [Step(StopContainer(host, old.name), cause, group)] if old.state == "running" else []
    return [*stop, Step(RemoveContainer(host, old.name, old.id), cause, group)]


def _needed(desired: Desired, balancer: bool, waf: bool) -> tuple[str, ...]:
    images = desired.images
    return *((images.haproxy,) if balancer else ()), *((images.waf,) if waf else ()), images.node


def origin_of(image: str, observed: Observed) -> str:
    """Nearest first: an archive where dockgate runs, another host; else our own is built and any other pulled."""
    if image in observed.archives:
        return "archive"
    holder = next((host.name for host in observed.known() if image in host.images), None)
    return holder or ("build" if image.startswith("dockgate/") else "pull")
