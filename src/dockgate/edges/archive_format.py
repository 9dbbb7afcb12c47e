"""Tar archives as Docker's API takes and gives them, and files read in chunks. No engine is called here."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from dockgate.model.objects import HAPROXY_UID

CHUNK = 1 << 18


def config_archive(files: Mapping[str, bytes], *, own: bool = False) -> bytes:
    """Files that belong to root and that HAProxy's group may read; ``own``: that HAProxy's user has to itself."""
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.gid = len(content), HAPROXY_UID
            entry.mode, entry.uid = (0o600, HAPROXY_UID) if own else (0o640, 0)
            entry.mtime = time.time()
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def folder_archive(folder: Path) -> bytes:
    """A build context: the folder's files, in order, belonging to nobody in particular."""
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            entry = tar.gettarinfo(str(path), arcname=str(path.relative_to(folder)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return buffer.getvalue()


def only_file(tar: tarfile.TarFile) -> bytes | None:
    """The content of the one regular file in an archive, None when there is none."""
    for entry in tar:
        file = tar.extractfile(entry) if entry.isreg() else None
        if file is not None:
            return file.read()
    return None


async def chunks(path: Path) -> AsyncIterator[bytes]:
    """A file piece by piece, read in a thread."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
    finally:
        file.close()
