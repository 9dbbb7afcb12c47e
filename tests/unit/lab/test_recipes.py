"""What makes an image be built again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dockgate.lab.apt import AptSetup
from dockgate.lab.paths import recipes_dir
from dockgate.lab.recipes import IMAGES, wanted

SETUP = AptSetup(mirror="http://mirror.example/debian", options=())


@pytest.fixture
def dockerfiles(tmp_path: Path) -> Path:
    return Path(shutil.copytree(recipes_dir(), tmp_path / "images"))


def test_every_image_has_a_dockerfile(dockerfiles: Path) -> None:
    assert all((dockerfiles / image.directory / "Dockerfile").is_file() for image in IMAGES)


def test_a_changed_file_rebuilds_its_image_and_no_other(dockerfiles: Path) -> None:
    before = wanted(SETUP, dockerfiles)
    with (dockerfiles / "web" / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    after = wanted(SETUP, dockerfiles)
    assert [tag for tag in before if before[tag] != after[tag]] == ["dockgate/web:1"]


def test_another_mirror_rebuilds_every_image_since_they_name_it(dockerfiles: Path) -> None:
    before = wanted(SETUP, dockerfiles)
    after = wanted(replace(SETUP, mirror="http://other.example/debian"), dockerfiles)
    assert all(before[tag] != after[tag] for tag in before)


def test_compiled_python_beside_a_dockerfile_changes_nothing(dockerfiles: Path) -> None:
    before = wanted(SETUP, dockerfiles)
    compiled = dockerfiles / "web" / "__pycache__"
    compiled.mkdir(exist_ok=True)
    (compiled / "web.cpython-311.pyc").write_bytes(b"x")
    assert wanted(SETUP, dockerfiles) == before
