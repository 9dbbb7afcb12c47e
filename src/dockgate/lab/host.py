"""One Docker host of the lab: its disk, its boot, its engine.

Role: say what a host boots from, boot it, and start, stop and signal its engine.
Must not: know about the other hosts, beyond the LAN's table of names.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from dockgate.lab import images, ssh
from dockgate.lab.address import DOMAIN, GATEWAY, HostPlan, LabPlan, hosts_file
from dockgate.lab.boot import Boot, boot, dockerd, entering
from dockgate.lab.engine import Engine
from dockgate.lab.errors import NotRight
from dockgate.lab.kind import Kind
from dockgate.lab.paths import LabPaths
from dockgate.lab.process import Process, run

RESOLV_CONF = f"nameserver {GATEWAY}\noptions timeout:1 attempts:1\n"
"""Nothing answers there, and the refusal comes at once: no look-up of a registry hangs."""


def start_engine(lab: str, host: HostPlan, kind: Kind) -> str:
    """The shell command that starts a host's engine."""
    return dockerd(
        "--data-root=/var/lib/docker",
        "--storage-driver=overlay2",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent=/{lab}/{host.name}",
        "--live-restore=false",
        "--log-opt=max-size=10m",
        *kind.flags(),
    )


def prepare_disk(disk: Path, template: Path) -> None:
    """Give a new host's disk the images; the cache must be held for reading."""
    if not template.is_dir():
        raise NotRight(
            "the images were replaced by another dockgate just now",
            attempt="copying them into a host's disk",
            next_step="Run it again.",
        )
    images.copy_data_root(template, disk / "docker")


def boot_host(plan: LabPlan, host: HostPlan, *, kind: Kind, rootfs: Path, paths: LabPaths) -> tuple[Boot, Process]:
    """Boot a host whose namespace and link are there."""
    what = Boot(
        name=host.name,
        lower=rootfs,
        disk=paths.disk(host.name),
        run=paths.host(host.name),
        netns=host.netns,
        start=ssh.sshd(host) + kind.services() + start_engine(plan.name, host, kind),
        hosts=hosts_file(plan),
        resolv_conf=f"search {DOMAIN}\n" + RESOLV_CONF,
    )
    ssh.install(paths.ssh, what.run)
    paths.socket(host.name).unlink(missing_ok=True)
    return what, boot(what)


def engine(host: HostPlan, paths: LabPaths) -> Engine:
    """A host's engine as the machine reaches it."""
    return Engine(paths.socket(host.name), name=host.name)


def engine_pid(process: Process) -> str:
    """The engine's pid as the host sees it, '' if it runs none."""
    script = "pid=$(cat /run/docker.pid 2>/dev/null) && [ -d /proc/$pid ] && echo $pid"
    done = subprocess.run(
        [*entering(process), "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    return done.stdout.strip()


def signal_engine(process: Process, host: HostPlan, signal: str) -> None:
    """Send the engine of a host a signal by its name (KILL, STOP, CONT)."""
    pid = engine_pid(process)
    if pid:
        run([*entering(process), "kill", f"-{signal}", pid], attempt=f"signalling the engine of {host.name}")


def restart_engine(process: Process, plan: LabPlan, host: HostPlan, kind: Kind) -> None:
    """Start the engine of a host that has none running."""
    if not engine_pid(process):
        argv = [*entering(process), "sh", "-c", start_engine(plan.name, host, kind)]
        run(argv, attempt=f"starting the engine of {host.name}")
