"""The cache: things that take long to make, made once.

Role: keep each thing under a key that is the hash of its recipe; one process at a time makes things.
Must not: leave a half-made thing under its final name, or remove what a lab runs on.
Invariant: a path that exists under its key is complete; everything in tmp/ is rubbish for whoever holds the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dockgate.lab.errors import NotRight
from dockgate.lab.progress import Progress


def key(*recipe: str) -> str:
    """A short hash of a recipe's parts; the same parts give the same key."""
    digest = hashlib.sha256()
    for part in recipe:
        digest.update(f"{len(part)}:".encode() + part.encode())
    return digest.hexdigest()[:16]


def tree_key(directory: Path) -> str:
    """The key of a directory's files: their names, modes and contents."""
    parts: list[str] = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = "x" if os.access(path, os.X_OK) else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            parts += [str(path.relative_to(directory)), mode, content]
    return key(*parts)


@contextmanager
def locked(path: Path, *, progress: Progress, why: str) -> Iterator[None]:
    """Hold the lock file at `path`; if another process has it, say `why` we wait. The kernel frees it if we die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another dockgate that {why}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Cache:
    """The cache directory; `make` and `scratch` want its lock held (see `held`)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def held(self, progress: Progress) -> Iterator[None]:
        """Hold the cache's lock, with what an interrupted run left in tmp/ removed."""
        self._writable()
        with locked(self.root / "locks" / "cache", progress=progress, why="fills the cache"):
            shutil.rmtree(self._tmp, ignore_errors=True)
            self._tmp.mkdir(mode=0o700, exist_ok=True)
            yield

    @contextmanager
    def read(self) -> Iterator[None]:
        """Keep what is in the cache from being replaced while it is copied."""
        self._writable()
        with (self.root / "locks" / "cache").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def make(self, name: str, build: Callable[[Path], None]) -> Path:
        """The path `name` in the cache; if missing, `build` fills a temporary path, renamed when it returns."""
        final = self.root / name
        if not final.exists():
            scratch = self.scratch()
            work = scratch / "thing"
            build(work)
            final.parent.mkdir(parents=True, exist_ok=True)
            work.rename(final)
            shutil.rmtree(scratch)
        return final

    def scratch(self) -> Path:
        """A fresh directory in tmp/, removed by the next holder of the lock at the latest."""
        return Path(tempfile.mkdtemp(dir=self._tmp))

    @property
    def _tmp(self) -> Path:
        return self.root / "tmp"

    def _writable(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for part in ("labs", "rootfs", "templates", "builder", "tmp"):
                # Whole file systems with setuid programs and other people's data roots: for root's eyes only.
                (self.root / part).mkdir(mode=0o700, exist_ok=True)
            (self.root / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise NotRight(
                f"the cache {self.root} cannot be made: {error.strerror}",
                attempt="preparing the cache",
                next_step="Set DOCKGATE_CACHE to a directory on a local disk that root may write.",
            ) from error
