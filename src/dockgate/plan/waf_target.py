"""What a VIP's firewall must be: its container, the files in its volume, the names of its judges' sockets. Pure.

Invariant: everything that its judgement depends on is in the container's hash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dockgate.model.desired import Desired, Vip
from dockgate.model.objects import ContainerSpec, container_hash, labels_for
from dockgate.model.waf import RulesFile
from dockgate.plan import names
from dockgate.waf.files import digest_of, files_of, settings_file

_MEMORY_MB, _JUDGE_MB = 256, 96


@dataclass(frozen=True)
class WafTarget:
    """``sockets``: what the sockets of its judges are called. ``files``: what its volume must hold."""

    spec: ContainerSpec
    sockets: str
    files: tuple[RulesFile, ...]


def waf_target(desired: Desired, vip: Vip) -> WafTarget | None:
    if vip.waf is None:
        return None
    files = files_of(vip.waf)
    spec = ContainerSpec(
        name="",
        kind="waf",
        image=desired.images.waf,
        networks=("none",),
        sockets_volume=names.sockets_volume(desired.project, vip.name),
        content=digest_of(files, vip.waf),
        memory_mb=_MEMORY_MB + _JUDGE_MB * vip.waf.processes,
        pids=16 + vip.waf.processes,
    )
    digest = container_hash(spec)
    name = names.container(desired.project, f"{vip.name}-waf", digest)
    labels = labels_for(desired.project, "waf", vip.name, digest)
    sockets = digest[:8]
    return WafTarget(
        replace(spec, name=name, config_volume=name, labels=labels), sockets, (*files, settings_file(vip.waf, sockets))
    )
