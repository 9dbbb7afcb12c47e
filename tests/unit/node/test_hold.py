"""The node container's main process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

ORPHAN = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: adopt orphans as process 1 of a container does
if os.fork() == 0:
    grandchild = os.fork()
    if grandchild == 0:
        os.read(0, 1)
        os._exit(0)
    print(grandchild, flush=True)
    os._exit(0)
os.execv(sys.executable, [sys.executable, "-I", sys.argv[1], "hold"])
"""


def test_it_ends_at_once_when_told(program: Path) -> None:
    process = subprocess.Popen([sys.executable, "-I", str(program), "hold"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "holding\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_reaps_orphans(program: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", ORPHAN, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        orphan = int(process.stdout.readline())
        assert process.stdout.readline() == "holding\n"
        process.stdin.close()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{orphan}").exists():
            assert time.monotonic() < deadline, "the orphan is still there"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
