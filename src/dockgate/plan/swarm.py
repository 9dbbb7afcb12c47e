"""The plans that install the controller as a Swarm service, bring it up to date, and take it away.

Invariant: what a running service uses is there before it and goes after it; an update that does not become healthy is
rolled back; nothing is touched that does not carry the project's mark.
"""

from __future__ import annotations

from collections.abc import Iterable

from dockgate.model.actions import LoadImage
from dockgate.model.objects import LABEL_HASH, labels_for
from dockgate.model.observed import Observed, Unknown
from dockgate.model.plan import Blocked, Plan, Step
from dockgate.model.swarm import Installation, ServiceSpec, SwarmFile, SwarmService, SwarmState
from dockgate.model.swarm_actions import (
    AwaitService,
    CreateService,
    PutSwarmFile,
    RemoveService,
    RemoveSwarmFile,
    RollBackService,
    UpdateService,
)
from dockgate.plan import names
from dockgate.plan.support import origin_of, side_by_side

ENOUGH = 3
"""Managers with which a Swarm survives the loss of one."""


def service_name(project: str) -> str:
    return f"dockgate-{project}-controller"


def service_of(wanted: Installation) -> ServiceSpec:
    """Files are named after what all of them hold together, so that another content is another name."""
    name = service_name(wanted.project)
    mark = wanted.content.partition(":")[0]
    files = tuple(
        SwarmFile(kind, f"{name}-{mark}-{number}", target)
        for number, (kind, target) in enumerate(sorted(wanted.files, key=lambda each: each[1]))
    )
    labels = labels_for(wanted.project, "controller", "controller", wanted.content)
    return ServiceSpec(name, wanted.image, wanted.arguments, wanted.environment, files, labels)


def plan_installation(wanted: Installation, observed: Observed, swarm: SwarmState) -> Plan:
    """From what is there to one healthy replica of ``wanted``."""
    spec, service = service_of(wanted), swarm.service
    images = _images(wanted, observed)
    change = _change(wanted, spec, swarm, needs=tuple(step.group for step in images))
    kept = {file.name for file in (spec if change or service is None else service.spec).files}
    cause = "the service does not use it any more" if service else "no service uses it"
    stale = _removals(wanted.manager, swarm, keep=kept, cause=cause, needs=_groups(change))
    return Plan((*images, *change, *stale), notes=tuple(_notes(wanted, observed, swarm)))


def plan_removal(manager: str, swarm: SwarmState, cause: str) -> Plan:
    """Everything that an installation left, and nothing else."""
    steps: list[Step] = []
    if swarm.service is not None:
        name = swarm.service.spec.name
        steps.append(Step(RemoveService(manager, name, swarm.service.id), cause, _group(name)))
    return Plan((*steps, *_removals(manager, swarm, keep=set(), cause=cause, needs=_groups(steps))))


def no_manager(observed: Observed) -> Blocked:
    """For a file none of whose hosts that answer manages a Swarm."""
    roles = ", ".join(f"{host.name}: {host.swarm}" for host in observed.known()) or "no host answers"
    return Blocked(
        "the controller's service",
        f"no host of the file that answers is a Swarm manager ({roles})",
        "make one: docker swarm init there, or docker node promote; three survive the loss of one",
    )


def not_known(swarm: Unknown) -> Blocked:
    """For a Swarm that did not tell what is there: unknown is not nothing."""
    return Blocked(
        "the controller's service",
        f"the Swarm did not tell what is there: {swarm.reason}",
        "see `docker node ls` on a manager; without most of its managers a Swarm changes nothing",
    )


def _change(wanted: Installation, spec: ServiceSpec, swarm: SwarmState, *, needs: tuple[str, ...]) -> list[Step]:
    """Files, the service, and the proof that it runs; nothing when all of it is there already."""
    host, service = wanted.manager, swarm.service
    differs = _difference(spec, service)
    group, there = _group(spec.name), {(each.kind, each.name) for each in swarm.files}
    if not differs:
        runs = service is not None and any(task.state == "running" for task in service.tasks)
        return [] if runs else [Step(AwaitService(host, spec.name), "it does not run", group)]
    steps = [
        Step(
            PutSwarmFile(host, file, wanted.project),
            differs,
            group,
            undo=(RemoveSwarmFile(host, file.kind, file.name),),
            needs=needs,
        )
        for file in spec.files
        if (file.kind, file.name) not in there
    ]
    if service is None:
        undone = (RemoveService(host, spec.name),)
        steps.append(Step(CreateService(host, spec), differs, group, undo=undone, needs=needs, undo_if_failed=True))
    else:
        back = (RollBackService(host, spec.name),)
        steps.append(Step(UpdateService(host, spec), differs, group, undo=back, needs=needs))
    steps.append(Step(AwaitService(host, spec.name), "it is kept only if it works", group))
    return steps


def _difference(spec: ServiceSpec, service: SwarmService | None) -> str:
    """Why the service is not what is wanted, "" when it is."""
    if service is None:
        return "there is none"
    there = service.spec
    if there.image != spec.image:
        return f"it runs {there.image}"
    if service.content != spec.labels.get(LABEL_HASH) or there.files != spec.files:
        return "the file, or a secret that it names, is another one"
    if (there.arguments, there.environment) != (spec.arguments, spec.environment):
        return "it is started with other words"
    if not service.whole or there.labels != spec.labels:
        return "somebody changed it by hand"
    return ""


def _images(wanted: Installation, observed: Observed) -> list[Step]:
    """On every manager of the file, so that Swarm can move the controller without a registry."""
    steps: list[Step] = []
    origin = origin_of(wanted.image, observed)
    needs: tuple[str, ...] = ()
    for host in observed.known():
        if host.swarm == "manager" and wanted.image not in host.images:
            group = names.image_group(wanted.image, host.name)
            action = LoadImage(host.name, wanted.image, origin)
            steps.append(Step(action, "Swarm may start the controller there", group, needs=needs))
            if origin == "build":
                origin, needs = host.name, (group,)
    return list(side_by_side(tuple(steps)))


def _removals(host: str, swarm: SwarmState, *, keep: set[str], cause: str, needs: tuple[str, ...]) -> tuple[Step, ...]:
    return side_by_side(
        tuple(
            Step(RemoveSwarmFile(host, each.kind, each.name, each.id), cause, f"{each.kind} {each.name}", needs=needs)
            for each in sorted(swarm.files, key=lambda each: each.name)
            if each.name not in keep
        )
    )


def _notes(wanted: Installation, observed: Observed, swarm: SwarmState) -> Iterable[str]:
    if len(swarm.managers) < ENOUGH:
        counted = f"{len(swarm.managers)} manager{'s' * (len(swarm.managers) != 1)}"
        yield f"a Swarm with {counted} does not survive the loss of one, so nothing would move the controller then"
    known = {host.node_address for host in observed.known()}
    for manager in swarm.managers:
        if manager.address not in known:
            yield f"manager {manager.name} is no host of the file that answers: it must have or pull {wanted.image}"


def _group(name: str) -> str:
    return f"service {name}"


def _groups(steps: Iterable[Step]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.group for step in steps))
