"""Our images: built once, saved as archives, and laid out so that a host has them at once.

Role: fill the cache with everything a lab boots from, and say where it is. Anyone may read `read_index`.
Must not: build what is there already.
Invariant: index.json names only archives that are complete, and is itself replaced whole.

Cache layout: rootfs/host-KEY/ (a host's root) · rootfs/*.tar (the bases) · builder/ (the builder's disk) ·
images/index.json and images/*.tar (docker save) · templates/KEY/ (a Docker data root that holds just the images).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import builder, rootfs
from dockgate.lab.apt import AptSetup, read_setup
from dockgate.lab.cache import Cache, key
from dockgate.lab.engine import Engine
from dockgate.lab.errors import BuildFailed, LabError
from dockgate.lab.kind import Kind
from dockgate.lab.paths import recipes_dir
from dockgate.lab.process import ending_with_us, run
from dockgate.lab.progress import Progress
from dockgate.lab.recipes import BASES, IMAGES, Base, Image, wanted


@dataclass(frozen=True)
class Supplies:
    """What hosts boot from: `rootfs` read-only, `template` to be copied as the start of a Docker data root."""

    rootfs: Path
    template: Path


@dataclass(frozen=True)
class SavedImage:
    """One image in the cache: its archive (docker save), its id, and the key of what it was built from."""

    tag: str
    archive: Path
    id: str
    key: str


def read_index(cache: Path) -> dict[str, SavedImage]:
    """The saved images by tag; empty if none were built yet. Needs no lock and no root."""
    try:
        raw = json.loads((cache / "images" / "index.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {
        tag: SavedImage(tag, cache / "images" / entry["file"], entry["id"], entry["key"]) for tag, entry in raw.items()
    }


def supplies(cache: Cache, progress: Progress) -> Supplies:
    """Everything a lab boots from, made now if it is not in the cache; takes minutes the first time."""
    setup = read_setup()
    dockerfiles = recipes_dir()
    found = _ready(cache, setup, dockerfiles)
    if found:
        return found
    with cache.held(progress):
        found = _ready(cache, setup, dockerfiles)  # another process may have made it while we waited
        if found:
            return found
        progress.say("Making what the lab boots from (this is kept: the next time it is there at once)")
        host, bases = _file_systems(cache, setup, progress)
        _build(cache, setup=setup, dockerfiles=dockerfiles, host=host, bases=bases, progress=progress)
        found = _ready(cache, setup, dockerfiles)
    if not found:
        raise BuildFailed(
            "the images changed while they were built",
            attempt="filling the cache",
            next_step="Run it again when nobody edits images/.",
        )
    return found


def host_root(cache: Cache, kind: Kind, progress: Progress) -> Path:
    """What a host of that kind boots from, made now if it is not in the cache."""
    setup, recipe = read_setup(), kind.recipe()
    name = f"rootfs/host-{recipe.key(setup)}"
    if (cache.root / name).is_dir():
        return cache.root / name
    with cache.held(progress), progress.step(f"making the file system of a host: Debian {recipe.suite}, {kind}"):
        return cache.make(name, lambda target: rootfs.make_directory(recipe, setup, target))


def _ready(cache: Cache, setup: AptSetup, dockerfiles: Path) -> Supplies | None:
    index = read_index(cache.root)
    keys = wanted(setup, dockerfiles)
    if any(tag not in index or index[tag].key != keys[tag] or not index[tag].archive.exists() for tag in keys):
        return None
    host = _host_path(cache, setup)
    template = _template_path(cache, index)
    return Supplies(host, template) if host.is_dir() and template.is_dir() else None


def _host_path(cache: Cache, setup: AptSetup) -> Path:
    return cache.root / "rootfs" / f"host-{rootfs.HOST.key(setup)}"


def _template_path(cache: Cache, index: Mapping[str, SavedImage]) -> Path:
    return cache.root / "templates" / key(*(f"{tag} {index[tag].id}" for tag in sorted(index)))


def _file_systems(cache: Cache, setup: AptSetup, progress: Progress) -> tuple[Path, dict[str, Path]]:
    """The host's root and each base's archive, two at a time."""

    def host() -> Path:
        with progress.step("making the hosts' file system: Debian trixie with Docker"):
            name = f"rootfs/host-{rootfs.HOST.key(setup)}"
            return cache.make(name, lambda target: rootfs.make_directory(rootfs.HOST, setup, target))

    def base(one: Base) -> Path:
        with progress.step(f"making the base image {one.tag}"):
            name = f"rootfs/{one.tag.replace(':', '-')}-{one.key(setup)}.tar"
            return cache.make(name, lambda target: _first_that_works(one, setup, target))

    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(host)
        rest = {one.tag: pool.submit(base, one) for one in BASES}
        return first.result(), {tag: future.result() for tag, future in rest.items()}


def _first_that_works(base: Base, setup: AptSetup, target: Path) -> None:
    failures: list[LabError] = []
    for recipe in base.choices:
        try:
            return rootfs.make_archive(recipe, setup, target)
        except BuildFailed as error:
            if "was not found" not in error.what:
                raise
            target.unlink(missing_ok=True)
            failures.append(error)
    suites = " nor ".join(recipe.suite for recipe in base.choices)
    raise BuildFailed(
        f"neither {suites} of Debian has the version of {base.version_of} that {base.tag} needs",
        attempt=f"making the base {base.tag}",
        next_step="Update dockgate: Debian has moved on to another version.",
    ) from failures[-1]


def _build(
    cache: Cache, *, setup: AptSetup, dockerfiles: Path, host: Path, bases: Mapping[str, Path], progress: Progress
) -> None:
    """Build, save and lay out; if the builder's old data root turns out to be broken, once more with a new one."""
    keys = wanted(setup, dockerfiles)
    home = cache.root / "builder"
    for attempt in ("with what is there", "anew"):
        if attempt == "anew":
            shutil.rmtree(home, ignore_errors=True)
        had_data = (home / "disk" / "docker").exists()
        try:
            with builder.builder(home, host) as engine:
                _images(engine, setup=setup, dockerfiles=dockerfiles, bases=bases, progress=progress)
                index = _save(cache, engine, keys, progress)
            break
        except LabError:
            if not had_data:
                raise
    with progress.step("laying the images out for the hosts"):
        target = _template_path(cache, index)
        cache.make(str(target.relative_to(cache.root)), lambda path: copy_data_root(home / "disk" / "docker", path))
    _write_index(cache, index)
    _forget_old(cache, index, target)


def _images(
    engine: Engine, *, setup: AptSetup, dockerfiles: Path, bases: Mapping[str, Path], progress: Progress
) -> None:
    for base in BASES:
        if not builder.has_base(engine, base.tag, base.key(setup)):
            with progress.step(f"importing the base image {base.tag}"):
                builder.import_base(engine, base.tag, base.key(setup), bases[base.tag])
    for image in IMAGES:
        with progress.step(f"building the image {image.tag}"):
            arguments = _arguments(image, bases[image.base.tag])
            builder.build(engine, image.tag, dockerfiles / image.directory, arguments)
    engine.post("/images/prune", attempt="removing images that were replaced")


def _arguments(image: Image, base: Path) -> dict[str, str]:
    if image.base.version_of is None:
        return {}
    version = rootfs.packages_of(base, image.base.version_of).split("-")[0]
    return {"BASE": image.base.tag, "HAPROXY_VERSION": version}


def _save(cache: Cache, engine: Engine, keys: Mapping[str, str], progress: Progress) -> dict[str, SavedImage]:
    index = {}
    for tag, wanted_key in keys.items():
        found = builder.image_id(engine, tag)
        name = f"{tag.replace('/', '-').replace(':', '-')}-{found.removeprefix('sha256:')[:12]}.tar"

        def save(target: Path, tag: str = tag) -> None:
            with progress.step(f"saving the image {tag}"):
                engine.download(f"/images/{tag}/get", target, attempt=f"saving the image {tag}")

        index[tag] = SavedImage(tag, cache.make(f"images/{name}", save), found, wanted_key)
    return index


def _write_index(cache: Cache, index: Mapping[str, SavedImage]) -> None:
    entries = {tag: {"file": one.archive.name, "id": one.id, "key": one.key} for tag, one in index.items()}
    path = cache.root / "images" / "index.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
    os.replace(temporary, path)


def _forget_old(cache: Cache, index: Mapping[str, SavedImage], template: Path) -> None:
    """Remove archives and templates that the index no longer names. No lab runs on them: hosts have copies."""
    kept = {one.archive.name for one in index.values()} | {"index.json"}
    for path in (cache.root / "images").iterdir():
        if path.name not in kept:
            path.unlink()
    for path in template.parent.iterdir():
        if path != template:
            shutil.rmtree(path)


def load_missing(engine: Engine, index: Mapping[str, SavedImage]) -> list[str]:
    """Load those of the saved images that an engine has not, or has in another version; returns their tags."""
    loaded = []
    for tag, saved in index.items():
        if builder.image_id(engine, tag) != saved.id:
            with saved.archive.open("rb") as body:
                engine.upload("/images/load", {"quiet": "1"}, body, attempt=f"loading {tag} into {engine.name}")
            loaded.append(tag)
    return loaded


def copy_data_root(source: Path, target: Path) -> None:
    """Copy the images of a Docker data root: layers as hard links (no engine ever writes into a layer), their small
    records as files of their own. Falls back to a full copy where hard links cannot reach."""
    target.mkdir(parents=True, exist_ok=True)
    attempt = "copying images into a host's disk"
    run(ending_with_us(["cp", "-a", str(source / "image"), str(target)]), attempt=attempt)
    same_disk = source.stat().st_dev == target.stat().st_dev
    how = "-al" if same_disk else "-a"
    run(ending_with_us(["cp", how, str(source / "overlay2"), str(target)]), attempt=attempt)
