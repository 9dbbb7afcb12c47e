"""Processes by identity: a pid together with the moment it started.

Role: run programs, name a process so that it is never confused with a later one of the same pid, end it, wait.
Must not: look a process up by its name or command line.
Invariant: a signal is sent only to a process whose start time is the recorded one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab.errors import CommandFailed, TimedOut, ToolMissing

PACKAGES: Mapping[str, str] = {
    "apt-cache": "apt",
    "apt-config": "apt",
    "apt-get": "apt",
    "cp": "coreutils",
    "gpgv": "gpgv",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
    "unshare": "util-linux",
}
"""The Debian package that brings each program the lab calls on the machine."""


@dataclass(frozen=True)
class Process:
    """One process of this machine: its pid and its start time in clock ticks since boot (/proc/PID/stat, field 22)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now, or None if there is none (a zombie counts as none)."""
        try:
            started = start_time(Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """True while this very process runs, not another one that got its pid."""
        return Process.of(self.pid) == self

    def kill(self, *, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; nothing happens if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def end(self, *, seconds: float = 15.0) -> None:
        """SIGKILL it and wait until it is gone."""
        self.kill()
        wait_until(lambda: not self.alive, seconds=seconds, what=f"process {self.pid} is still there after SIGKILL")
        with suppress(ChildProcessError):  # ours to reap only if we started it
            os.waitpid(self.pid, os.WNOHANG)


def start_time(stat: str) -> int | None:
    """The start time out of the text of /proc/PID/stat; None for a zombie. The name in it may hold spaces and ')'."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str, next_step: str = "") -> None:
    """Ask `condition` again and again until it holds; TimedOut says `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition():
        if time.monotonic() > deadline:
            raise TimedOut(
                what,
                attempt=f"waiting {seconds:g} s",
                next_step=next_step or "Look at the machine's load, then try again.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def run(argv: Sequence[str], *, attempt: str, feed: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed; CommandFailed or ToolMissing says `attempt`."""
    try:
        done = subprocess.run(
            list(argv),
            input=feed,
            stdin=subprocess.DEVNULL if feed is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=None if env is None else dict(env),
            check=False,
        )
    except FileNotFoundError as error:
        raise missing(argv[0], attempt=attempt) from error
    if done.returncode != 0:
        raise CommandFailed(argv, code=done.returncode, output=done.stderr or done.stdout, attempt=attempt)
    return done.stdout


def missing(tool: str, *, attempt: str) -> ToolMissing:
    """The error for a program that is not there, with the package that brings it."""
    return ToolMissing(tool, package=PACKAGES.get(tool, tool), attempt=attempt)


def ending_with_us(argv: Sequence[str]) -> list[str]:
    """`argv` so that it gets SIGKILL when the thread that starts it ends, by kill -9 too."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv]


def bound_to_us(argv: Sequence[str]) -> list[str]:
    """`argv` in namespaces of its own: it, all its children and mounts end when this process ends, by kill -9 too."""
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    return ending_with_us([*namespaces, *argv])
