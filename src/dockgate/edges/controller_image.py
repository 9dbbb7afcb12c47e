"""The controller's image: its name, and the folder that Docker builds it from: this very dockgate, the lock file of
what it needs, and the recipes of our other images.

Invariant: the tag changes with everything that goes into the image but the wheels, which the lock file's hashes pin; so
an image of that name holds this dockgate and no other.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import dockgate
from dockgate import __version__

NAME = "controller"
PACKAGE = Path(dockgate.__file__).resolve().parent
_OTHERS = ("haproxy", "node", "web")


def controller_tag(recipes: Path) -> str:
    """``recipes``: the folder with the Dockerfiles."""
    digest = hashlib.sha256()
    for path, name in _parts(recipes):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    return f"dockgate/{NAME}:{__version__}-{digest.hexdigest()[:10]}"


def stage(recipes: Path, target: Path) -> None:
    """Make the folder that the image is built from."""
    for path, name in _parts(recipes):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _parts(recipes: Path) -> Iterator[tuple[Path, str]]:
    """Files with their place in the folder, in order."""
    yield from _tree(recipes / NAME, "")
    yield from _tree(PACKAGE, "src/dockgate/")
    for other in _OTHERS:
        yield from _tree(recipes / other, f"images/{other}/")


def _tree(folder: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, f"{prefix}{path.relative_to(folder)}"
