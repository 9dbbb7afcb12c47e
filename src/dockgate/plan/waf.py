"""The web application firewall of a VIP: what its container must be, and the steps that put it there and take it away.

A firewall is known by its rules: others make another container, which is there, has been judged and has refused an
attack before the load balancer's configuration names it. The one before goes after the proof. Both have the sockets of
their judges in one volume, which the VIP's load balancers see; neither has a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockgate.model.actions import (
    CreateContainer,
    CreateVolume,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from dockgate.model.desired import Desired, Vip
from dockgate.model.objects import LABEL_NAME, is_ours
from dockgate.model.observed import Container, ObservedHost
from dockgate.model.plan import Step
from dockgate.model.waf_actions import JudgeRules, ProveWaf, PutRules
from dockgate.plan import names
from dockgate.plan.support import needs_image
from dockgate.plan.waf_target import WafTarget


def wafs_of(host: ObservedHost, project: str, vip: str) -> Iterator[Container]:
    """A VIP's firewalls on a host, as they should be or not."""
    for container in host.containers:
        if is_ours(container.labels, project, "waf") and container.labels.get(LABEL_NAME) == vip:
            yield container


def sockets_step(desired: Desired, host: ObservedHost, vip: Vip, volume: str, group: str) -> list[Step]:
    """The volume in which load balancer and firewall meet."""
    if not volume or any(item.name == volume for item in host.volumes):
        return []
    action = CreateVolume(host.name, volume, desired.project, vip.name, kind="sockets")
    return [Step(action, "a firewall's sockets have their place there", group)]


def prepare_waf(desired: Desired, host: ObservedHost, vip: Vip, target: WafTarget, group: str) -> list[Step]:
    """Everything until it has refused an attack; nothing when it runs."""
    name, spec = target.spec.name, target.spec
    current = host.container(name)
    if current is not None and current.state == "running":
        return []
    steps: list[Step] = []
    if current is not None and current.state in ("paused", "restarting"):
        steps.append(Step(StopContainer(host.name, name), f"it is {current.state}", group))
    if current is not None and current.state in ("dead", "removing"):
        steps.append(Step(RemoveContainer(host.name, name, current.id), f"it is {current.state}", group))
        current = None
    if current is None:
        needs = needs_image(desired, host, spec.image)
        if not any(volume.name == spec.config_volume for volume in host.volumes):
            volume = CreateVolume(host.name, spec.config_volume, desired.project, vip.name)
            steps.append(Step(volume, "its rules live there", group, needs=needs))
        at = vip.waf.source if vip.waf else vip.source
        cause = f"VIP {vip.name} has no firewall with these rules here ({at})"
        steps.append(Step(CreateContainer(host.name, spec), cause, group, needs=needs))
    return [*steps, *_into_service(host.name, vip, target, group)]


def _into_service(host: str, vip: Vip, target: WafTarget, group: str) -> list[Step]:
    name = target.spec.name
    start = StartContainer(host, name)
    back = (StopContainer(host, name),)
    return [
        Step(PutRules(host, name, target.files), "they are what it judges by", group),
        Step(JudgeRules(host, name, target.files), "ModSecurity judges them before anything uses them", group),
        Step(start, "its rules are ready", group, undo=back, undo_if_failed=True),
        Step(ProveWaf(host, name, vip.name), "one that refuses nothing is worse than none", group),
    ]


def remove_wafs(desired: Desired, host: ObservedHost, vip: str, keep: str, needs: tuple[str, ...]) -> list[Step]:
    """A VIP's firewalls on a host but the one that is wanted, each with its volume, once whoever comes has proved
    itself."""
    steps: list[Step] = []
    for container in wafs_of(host, desired.project, vip):
        if container.name == keep:
            continue
        cause = f"VIP {vip} has another firewall now" if keep else f"VIP {vip} has no firewall here any more"
        steps += _removal(host, container, cause, needs)
    return steps


def _removal(host: ObservedHost, container: Container, cause: str, needs: tuple[str, ...]) -> list[Step]:
    group = f"removal of {container.name} on {host.name}"
    steps: list[Step] = []
    if container.state in ("running", "restarting", "paused"):
        steps.append(Step(StopContainer(host.name, container.name), cause, group, needs=needs))
    steps.append(Step(RemoveContainer(host.name, container.name, container.id), cause, group, needs=needs))
    if any(volume.name == container.name for volume in host.volumes):
        steps.append(Step(RemoveVolume(host.name, container.name), cause, group, needs=needs))
    return steps


def remove_sockets(desired: Desired, host: ObservedHost, vip: str, needs: Iterable[str]) -> list[Step]:
    """Where neither a load balancer nor a firewall of the VIP stays."""
    volume = names.sockets_volume(desired.project, vip)
    if not any(item.name == volume and is_ours(item.labels, desired.project, "sockets") for item in host.volumes):
        return []
    group, cause = f"removal of volume {volume} on {host.name}", f"VIP {vip} is not on {host.name} any more"
    return [Step(RemoveVolume(host.name, volume), cause, group, needs=tuple(needs))]
