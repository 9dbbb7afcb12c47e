"""The node container's program, loaded from its image directory: it is no part of the package."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from tests.programs import IMAGES
from tests.programs import program as loaded

PROGRAM = IMAGES / "node" / "dockgate_node.py"


@pytest.fixture(scope="session")
def node() -> ModuleType:
    return loaded("node", "node")


@pytest.fixture(scope="session")
def engine() -> ModuleType:
    """The part that reads what the host's engine does; the firewall's program imports it."""
    return loaded("node", "engine")


@pytest.fixture(scope="session")
def program() -> Path:
    return PROGRAM
