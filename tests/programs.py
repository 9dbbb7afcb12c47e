"""The programs of our images, as modules: they are no part of the package, and find each other beside themselves."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

IMAGES = Path(__file__).parents[1] / "images"


def program(image: str, name: str) -> ModuleType:
    """``name``: without ``dockgate_``. The same module for whoever asks again."""
    folder = str(IMAGES / image)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(f"dockgate_{name}")
    finally:
        sys.path.remove(folder)
