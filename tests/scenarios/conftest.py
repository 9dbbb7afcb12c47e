"""The suite's own lab: made when the first scenario asks for it, taken away at the end. Other labs are left alone.

Files of scenarios that do not measure time run side by side; each process has a lab of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scenarios.stage import Stage

from dockgate.lab import Lab
from dockgate.lab.progress import Progress

SUITE = os.environ.get("DOCKGATE_TEST_LAB", "dockgate-suite") + os.environ.get("PYTEST_XDIST_WORKER", "")
KEEP = os.environ.get("DOCKGATE_KEEP_LAB") == "1"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three fresh hosts; what an interrupted run of the suite left is removed first."""
    if not KEEP:
        Lab.remove(SUITE)
    lab = Lab.up(SUITE, progress=Progress())
    yield lab
    if not KEEP:
        lab.down()


@pytest.fixture
def stage(lab: Lab, tmp_path: Path) -> Iterator[Stage]:
    """The lab with nothing of dockgate's on it, before and after."""
    stage = Stage(lab, tmp_path)
    yield stage
    stage.clear()
