"""Our images reach a host that has none of them and no registry: from an archive, another host, or the Dockerfile."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.scenarios.stage import DOCKGATE, Stage

from dockgate.lab import Lab
from dockgate.lab.images import load_missing, read_index
from dockgate.lab.paths import cache_dir
from dockgate.model.desired import Images

pytestmark = pytest.mark.lab

OURS = (Images().haproxy, Images().node)
BASE = "haproxy:3.2"
"""What images/haproxy/Dockerfile builds on where nobody says otherwise."""
HIDDEN = "hidden-base:1"


@dataclass
class Play:
    stage: Stage
    empty: Path

    def file(self, *hosts: str) -> Path:
        """A VIP on docker3; docker3 and ``hosts`` are the hosts."""
        lines = "\n".join(
            f'  {name}: {{engine: "unix:///run/dockgate-lab/{name}/docker.sock",'
            f" address: {self.stage.lab.address(name)}}}"
            for name in (*hosts, "docker3")
        )
        return self.stage.write(
            f"project: images\nhosts:\n{lines}\n"
            "vips: {v: {hosts: [docker3], listen: [{port: 8400}], pool: p}}\n"
            f'pools: {{p: {{endpoints: ["{self.stage.lab.address("docker2")}:9"]}}}}\n'
        )

    def there(self, host: str) -> set[str]:
        words = ["images", "--format", "{{.Repository}}:{{.Tag}}"]
        return set(self.stage.lab.docker(host, *words).stdout.split())

    def up_without_archives(self, file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DOCKGATE, "up", "--file", str(file)],
            env={**os.environ, "DOCKGATE_CACHE": str(self.empty)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def answers(self) -> bool:
        return self.stage.get("http://docker3.lab.lab:8400/")[0] == 503


@contextmanager
def without(lab: Lab, host: str, images: tuple[str, ...]) -> Iterator[None]:
    """The host has none of these images until the block ends, or dockgate brings them."""
    lab.docker(host, "rmi", "-f", *images)
    try:
        yield
    finally:
        load_missing(lab.engine(host), read_index(cache_dir()))


@pytest.fixture
def play(lab: Lab, tmp_path: Path) -> Iterator[Play]:
    stage = Stage(lab, tmp_path)
    empty = tmp_path / "empty-cache"
    empty.mkdir()
    try:
        yield Play(stage, empty)
    finally:
        stage.clear()


def test_images_are_loaded_through_the_api_from_the_archives_where_dockgate_runs(play: Play) -> None:
    with without(play.stage.lab, "docker3", OURS):
        assert play.there("docker3").isdisjoint(OURS), "the control failed: the images are still there"
        said = play.stage.up(play.file())
        for image in OURS:
            assert f"load image {image}, from the local archive" in said
        assert play.there("docker3") >= set(OURS)
        assert play.answers()


def test_without_archives_images_are_copied_from_another_host(play: Play) -> None:
    with without(play.stage.lab, "docker3", OURS):
        done = play.up_without_archives(play.file("docker1"))
        assert done.returncode == 0, done.stdout + done.stderr
        for image in OURS:
            assert f"load image {image}, copied from docker1" in done.stdout
        assert play.there("docker3") >= set(OURS)
        assert play.answers()


def test_without_archives_and_other_hosts_the_image_is_built_from_its_dockerfile(play: Play) -> None:
    """Offline the base must be on the host already, as it is in the lab. The node image's Dockerfile installs packages,
    which no host of the lab can reach, so that image stays where it is."""
    lab = play.stage.lab
    assert BASE in play.there("docker3"), "the precondition is missing: the lab has the base on its hosts"
    with without(lab, "docker3", (Images().haproxy,)):
        done = play.up_without_archives(play.file())
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"load image {Images().haproxy}, built from its Dockerfile" in done.stdout
        assert play.answers()
        assert "command -v socat" in lab.docker("docker3", "history", "--no-trunc", Images().haproxy).stdout


def test_an_image_that_cannot_be_brought_is_named_and_no_load_balancer_is_left_half_made(play: Play) -> None:
    lab = play.stage.lab
    with without(lab, "docker3", (Images().haproxy,)), without_base(lab, "docker3"):
        done = play.up_without_archives(play.file())
        assert done.returncode == 1
        assert f"FAILED  docker3: load image {Images().haproxy}, built from its Dockerfile" in done.stdout
        assert f"build image {Images().haproxy}" in done.stdout
        words = ["ps", "-a", "-q", "--filter", "label=dockgate.project=images", "--filter", "label=dockgate.kind=lb"]
        assert lab.docker("docker3", *words).stdout == ""


@contextmanager
def without_base(lab: Lab, host: str) -> Iterator[None]:
    """The base goes by another name, so that a build would have to pull it."""
    lab.docker(host, "tag", BASE, HIDDEN)
    lab.docker(host, "rmi", BASE)
    try:
        yield
    finally:
        lab.docker(host, "tag", HIDDEN, BASE)
        lab.docker(host, "rmi", HIDDEN)
