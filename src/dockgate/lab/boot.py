"""Booting a host: a root file system and an engine in namespaces of their own.

Role: start the one process (`unshare`) that a host lives and dies with, and enter a host that runs.
Must not: mount anything in the machine's own mount namespace, or touch its network.
Invariant: SIGKILL on that process ends everything on the host at once; nothing of it stays but its disk.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab.errors import LabError
from dockgate.lab.process import Process, missing, wait_until

RUN_INSIDE = "/run/dockgate"
"""Where a host sees its run directory."""
PATH_INSIDE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_INIT = r"""
set -eu
mount --make-rprivate /
mkdir -p "$DISK/upper" "$DISK/work" "$DISK/root" "$DISK/docker"
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$DISK/upper,workdir=$DISK/work" "$DISK/root"
cd "$DISK/root"
mkdir -p var/lib/docker .machine
mount --bind "$DISK/docker" var/lib/docker
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/dockgate run/sshd run/lock
mount --bind "$RUN" run/dockgate
if [ -d /lib/modules ]; then mkdir -p usr/lib/modules && mount --bind /lib/modules usr/lib/modules; fi
for name in hosts resolv.conf; do
  rm -f "etc/$name"
  cp "$RUN/etc/$name" "etc/$name"
done
echo "$NAME" > etc/hostname
hostname "$NAME"
pivot_root . .machine
umount -l /.machine
cd /
sh /run/dockgate/start
touch /run/dockgate/booted
exec env -i PATH="$HOST_PATH" HOME=/root tini-static -- sleep infinity
"""


@dataclass(frozen=True)
class Boot:
    """What a host is booted from.

    `lower` is its root file system, never written; `disk` keeps what it writes; `run` is the directory it shares with
    the machine; `netns` the name of its network namespace, None for the machine's own (the builder); `start` the shell
    commands that start its services; with `bound` it ends when this process ends.
    """

    name: str
    lower: Path
    disk: Path
    run: Path
    netns: str | None
    start: str
    hosts: str
    resolv_conf: str
    bound: bool = False


def boot(what: Boot) -> Process:
    """Start a host and return the process it lives with, as soon as that runs; `wait_booted` waits for the rest."""
    _write_run_directory(what)
    argv = [
        *(["nsenter", f"--net=/run/netns/{what.netns}"] if what.netns else []),
        *(["setpriv", "--pdeathsig", "KILL", "--"] if what.bound else []),
        "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--", "sh", "-c", _INIT,
    ]  # fmt: skip
    env = {
        "PATH": PATH_INSIDE,
        "HOST_PATH": PATH_INSIDE,
        "NAME": what.name,
        "LOWER": str(what.lower),
        "DISK": str(what.disk),
        "RUN": str(what.run),
    }
    attempt = f"booting the host {what.name}"
    with _log(what.run).open("ab") as log, Path(os.devnull).open() as nothing:
        files = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((nothing, log, log))]
        try:
            # Not subprocess: the host is to outlive us, in a session of its own, and nobody waits for it.
            pid = os.posix_spawnp(argv[0], argv, env, file_actions=files, setsid=True)
        except FileNotFoundError as error:
            raise missing(argv[0], attempt=attempt) from error
    process = Process.of(pid)
    if process is None:
        raise _did_not_boot(what)
    return process


def wait_booted(what: Boot, process: Process, *, seconds: float = 30) -> None:
    """Wait until a host's services have been started."""
    booted = what.run / "booted"
    wait_until(
        lambda: booted.exists() or not process.alive, seconds=seconds, what=f"the host {what.name} does not boot"
    )
    if not booted.exists():
        raise _did_not_boot(what)


def entering(process: Process) -> list[str]:
    """The command line that runs what follows it in the host that lives with `process`."""
    proc = f"/proc/{process.pid}/ns"
    return [
        "nsenter", f"--mount={proc}/mnt", f"--uts={proc}/uts", f"--net={proc}/net",
        f"--pid={proc}/pid_for_children", "--",
    ]  # fmt: skip


def dockerd(*flags: str) -> str:
    """The shell command that starts the engine, its log in the run directory; also after it was killed."""
    argv = shlex.join(["dockerd", "-H", "unix:///run/docker.sock", "-H", f"unix://{RUN_INSIDE}/docker.sock", *flags])
    return (
        "rm -f /run/docker.pid\n"
        f"env -i PATH={PATH_INSIDE} HOME=/root setsid {argv} </dev/null >>{RUN_INSIDE}/dockerd.log 2>&1 &\n"
    )


def _write_run_directory(what: Boot) -> None:
    etc = what.run / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    (what.run / "booted").unlink(missing_ok=True)
    (what.run / "start").write_text(what.start)
    (etc / "hosts").write_text(what.hosts)
    (etc / "resolv.conf").write_text(what.resolv_conf)
    what.disk.mkdir(parents=True, exist_ok=True)


def _log(run: Path) -> Path:
    return run / "boot.log"


def _did_not_boot(what: Boot) -> LabError:
    said = _log(what.run).read_text(errors="replace").strip().splitlines()[-3:]
    return LabError(
        f"the host {what.name} did not boot: " + (" / ".join(said) or "it said nothing"),
        attempt="booting it",
        next_step="See what it said; `dockgate lab down` removes what is left of it.",
    )
