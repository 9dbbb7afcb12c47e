"""The node container's program, loaded from its image directory: it is no part of the package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "images" / "node" / "dockgate_node.py"


@pytest.fixture(scope="session")
def node() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dockgate_node", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dockgate_node"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def engine() -> ModuleType:
    """The part that reads what the host's engine does; the firewall's program imports it."""
    spec = importlib.util.spec_from_file_location("dockgate_engine", PROGRAM.with_name("dockgate_engine.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dockgate_engine"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def program() -> Path:
    return PROGRAM
