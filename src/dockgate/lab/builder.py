"""The builder: an engine in the machine's own network namespace that builds our images.

Role: import the bases, build the Dockerfiles, save the results. It ends with this process, kill -9 too.
Must not: change the machine's firewall or links (no bridge, no iptables, no forwarding).
Its data root stays in the cache, so a build after a change redoes only what changed.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dockgate.lab import cache, cleanup
from dockgate.lab.boot import Boot, boot, dockerd, entering, wait_booted
from dockgate.lab.engine import JSON, Engine
from dockgate.lab.errors import EngineError
from dockgate.lab.process import Process, run, wait_until

_KEY_LABEL = "dockgate.base"


@contextmanager
def builder(home: Path, lower: Path) -> Iterator[Engine]:
    """An engine with its data root at `home`/disk/docker, cleanly ended at the end."""
    group = f"dockgate-builder-{cache.key(str(home))}"
    cleanup.remove_cgroups(group)  # of a run that was interrupted
    for rest in ("disk/upper", "disk/work", "run"):
        shutil.rmtree(home / rest, ignore_errors=True)
    what = Boot(
        name="dockgate-builder",
        lower=lower,
        disk=home / "disk",
        run=home / "run",
        netns=None,
        start=dockerd(
            "--data-root=/var/lib/docker", "--storage-driver=overlay2", "--exec-opt=native.cgroupdriver=cgroupfs",
            "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
            f"--cgroup-parent=/{group}",
        ),
        hosts=_machine_file("hosts"),
        resolv_conf=_machine_file("resolv.conf"),
        bound=True,
    )  # fmt: skip
    process = boot(what)
    try:
        wait_booted(what, process)
        engine = Engine(what.run / "docker.sock", name="the image builder")
        engine.wait(log=what.run / "dockerd.log")
        yield engine
        _stop(process, engine)
    finally:
        process.end()
        cleanup.remove_cgroups(group)


def has_base(engine: Engine, tag: str, key: str) -> bool:
    """True if the base is there, made from the recipe of that key."""
    found = _inspect(engine, tag)
    config = found.get("Config") if found else None
    labels = config.get("Labels") if isinstance(config, dict) else None
    return isinstance(labels, dict) and labels.get(_KEY_LABEL) == key


def import_base(engine: Engine, tag: str, key: str, archive: Path) -> None:
    """Import a root file system under a base's name, marked with its recipe's key."""
    name, _, version = tag.partition(":")
    with archive.open("rb") as body:
        engine.upload(
            "/images/create",
            {"fromSrc": "-", "repo": name, "tag": version, "changes": f"LABEL {_KEY_LABEL}={key}"},
            body,
            attempt=f"importing the base {tag}",
        )


def build(engine: Engine, tag: str, context: Path, arguments: Mapping[str, str]) -> None:
    """Build one Dockerfile, with the machine's network."""
    engine.upload(
        "/build",
        {"t": tag, "networkmode": "host", "rm": "1", "forcerm": "1", "buildargs": json.dumps(arguments)},
        _packed(context),
        attempt=f"building the image {tag}",
    )


def remove(engine: Engine, tag: str) -> None:
    """Take an image away again, and what its build left; one that is not there is nothing to do."""
    if image_id(engine, tag):
        engine.delete(f"/images/{tag}", attempt=f"removing the image {tag}")
    engine.post("/images/prune", attempt="removing what a build left")


def image_id(engine: Engine, tag: str) -> str:
    """The id of an image, '' if the engine has none of that tag."""
    found = _inspect(engine, tag)
    return str(found["Id"]) if found else ""


def _inspect(engine: Engine, tag: str) -> dict[str, JSON] | None:
    try:
        found = engine.get(f"/images/{tag}/json", attempt=f"looking at the image {tag}")
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    return found if isinstance(found, dict) else None


def _stop(process: Process, engine: Engine) -> None:
    """End the engine so that its data root is whole."""
    enter = entering(process)
    run([*enter, "sh", "-c", "kill $(cat /run/docker.pid)"], attempt="stopping the image builder")
    gone = [*enter, "sh", "-c", "! [ -e /run/docker.pid ]"]
    wait_until(
        lambda: subprocess.run(gone, check=False).returncode == 0, seconds=30, what=f"{engine.name} does not stop"
    )


def _packed(context: Path) -> io.BytesIO:
    """The build context as a tar archive, the same for the same files."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if "__pycache__" in member.name:
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(context.iterdir()):
            archive.add(path, arcname=path.name, filter=plain)
    packed.seek(0)
    return packed


def _machine_file(name: str) -> str:
    path = Path("/etc") / name
    return path.read_text() if path.is_file() else ""
