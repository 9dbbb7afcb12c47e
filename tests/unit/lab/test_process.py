"""A process is its pid and the moment it started."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace

import pytest

from dockgate.lab.errors import CommandFailed, TimedOut, ToolMissing
from dockgate.lab.process import Process, ending_with_us, run, start_time, wait_until


def this_process() -> Process:
    process = Process.of(os.getpid())
    assert process
    return process


def test_this_process_is_alive() -> None:
    assert this_process().alive


def test_a_pid_that_another_process_got_since_is_not_the_recorded_process() -> None:
    assert not replace(this_process(), started=1).alive


def test_a_reused_pid_is_never_signalled() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        recorded = Process.of(child.pid)
        assert recorded
        replace(recorded, started=recorded.started - 1).kill(number=signal.SIGKILL)
        assert child.poll() is None
        recorded.end()


def test_killing_a_process_that_is_gone_does_nothing() -> None:
    child = subprocess.Popen(["true"])
    gone = Process(child.pid, 1)
    child.wait()
    gone.kill()
    assert not gone.alive


@pytest.mark.parametrize("name", ["sh", "a b", "a) R 1", "((", ")"])
def test_the_start_time_is_found_whatever_the_process_is_called(name: str) -> None:
    fields = ["S", *(str(number) for number in range(4, 53))]
    assert start_time(f"42 ({name}) {' '.join(fields)}\n") == 22


def test_a_zombie_is_no_process() -> None:
    assert start_time("42 (sh) Z " + " ".join("0" for _ in range(49))) is None


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(ToolMissing, match="missing on this machine") as caught:
        run(["mmdebstrap-that-is-not-there"], attempt="testing")
    assert "apt-get install" in caught.value.hint


def test_a_failed_command_can_be_pasted_and_says_what_it_said() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo 'no such thing' >&2; exit 3"], attempt="testing")
    assert caught.value.code == 3
    assert "sh -c 'echo '" in str(caught.value)
    assert "no such thing" in str(caught.value)


def test_waiting_ends_at_its_deadline_and_says_what_did_not_come() -> None:
    with pytest.raises(TimedOut, match="the moon is not green"):
        wait_until(lambda: False, seconds=0.02, what="the moon is not green")


def test_what_is_bound_to_us_gets_a_kill_when_we_are_killed() -> None:
    inner = ending_with_us(["sh", "-c", "echo $$; exec sleep 60"])
    script = f"import subprocess, sys; subprocess.run({inner!r})"
    import sys

    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = Process.of(int(parent.stdout.readline()))
        assert grandchild
        parent.kill()
        wait_until(lambda: not grandchild.alive, seconds=10, what="it outlived us")
