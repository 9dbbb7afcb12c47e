"""The controller's image for the lab's hosts, which have no way out: built when it is asked for, kept as an archive.

Role: bring the wheels that its lock file names (from where, pip's configuration of this machine says), let the builder
build, save. Apart from the other images: only `run --swarm` needs it, and it holds dockgate itself, which changes.
Invariant: the folder's index.json names only archives that are complete.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path

from dockgate.edges.archives import INDEX, read_archives
from dockgate.edges.controller_image import NAME, controller_tag, stage
from dockgate.lab import builder
from dockgate.lab.cache import Cache, key
from dockgate.lab.images import supplies
from dockgate.lab.paths import recipes_dir
from dockgate.lab.process import ending_with_us, run
from dockgate.lab.progress import Progress

FOLDER = "controller"
PYTHON = "3.13"
"""Of the base image, Debian trixie."""
_FLAVOURS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


def controller_image(cache: Cache, progress: Progress) -> str:
    """The tag of the image that holds this dockgate, with its archive in the cache."""
    recipes = recipes_dir()
    tag = controller_tag(recipes)
    if tag in read_archives(cache.root / FOLDER):
        return tag
    found = supplies(cache, progress)
    with cache.held(progress):
        if tag not in read_archives(cache.root / FOLDER):
            context = cache.scratch()
            stage(recipes, context)
            with progress.step("fetching what the controller needs"):
                wheels = _wheels(cache, recipes / NAME / "requirements.lock")
            shutil.copytree(wheels, context / "wheels")
            archive = _built(cache, found.rootfs, tag=tag, context=context, progress=progress)
            _index(cache.root / FOLDER, tag, archive)
    return tag


def _wheels(cache: Cache, lock: Path) -> Path:
    """A folder with exactly the wheels of the lock file, by its hashes."""

    def fetch(target: Path) -> None:
        machine = platform.machine()
        words = [word for flavour in _FLAVOURS for word in ("--platform", f"{flavour}_{machine}")]
        argv = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
            "--no-deps", "--require-hashes", "--implementation", "cp", "--python-version", PYTHON, *words,
            "--requirement", str(lock), "--dest", str(target),
        ]  # fmt: skip
        run(ending_with_us(argv), attempt="fetching the controller's dependencies with pip")

    return cache.make(f"{FOLDER}/wheels-{key(lock.read_text())}", fetch)


def _built(cache: Cache, rootfs: Path, *, tag: str, context: Path, progress: Progress) -> Path:
    """The archive. The builder keeps nothing of it: its data root is what hosts start from."""
    name = tag.replace("/", "-").replace(":", "-")

    def save(target: Path) -> None:
        with builder.builder(cache.root / "builder", rootfs) as engine:
            try:
                with progress.step(f"building the image {tag}"):
                    builder.build(engine, tag, context, {})
                engine.download(f"/images/{tag}/get", target, attempt=f"saving the image {tag}")
            finally:
                builder.remove(engine, tag)

    return cache.make(f"{FOLDER}/{name}.tar", save)


def _index(folder: Path, tag: str, archive: Path) -> None:
    """Only the latest is kept: older ones hold another dockgate."""
    temporary = folder / f"{INDEX}.new"
    temporary.write_text(json.dumps({tag: {"file": archive.name}}, indent=2) + "\n")
    os.replace(temporary, folder / INDEX)
    for path in folder.glob("*.tar"):
        if path != archive:
            path.unlink()
