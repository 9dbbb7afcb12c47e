"""An image with one file in it, a program that only waits: no shell, no library, no tool, as distroless images are."""

from __future__ import annotations

import io
import platform
import struct
import subprocess
import tarfile

from dockgate.lab import Lab

IMAGE = "dockgate-test/toolless:1"
PROGRAM = "/wait"
_PAUSE = b"\xb8\x22\x00\x00\x00\x0f\x05\xeb\xf7"
"""x86-64: eax = pause, syscall, and again."""


def load_toolless(lab: Lab, host: str) -> None:
    """Bring the image to a host."""
    assert platform.machine() == "x86_64", "the waiting program is written for x86-64: give it this machine's code too"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM[1:])
        entry.mode, entry.size = 0o755, len(_program())
        tar.addfile(entry, io.BytesIO(_program()))
    command = lab.command(host, ["docker", "import", "-", IMAGE])
    subprocess.run(command, input=archive.getvalue(), check=True, capture_output=True)


def _program() -> bytes:
    """An ELF file with one loaded segment."""
    base, head = 0x400000, 64 + 56
    size = head + len(_PAUSE)
    elf = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + _PAUSE
