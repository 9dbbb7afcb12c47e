"""The suite's own lab: made when the first scenario asks for it, taken away at the end. Other labs are left alone.

Files of scenarios that do not measure time run side by side; each process has a lab of its own. What one file's faults
did to the Swarm is not the next one's: before each file the hosts' containers reach each other over an overlay network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.scenarios.mesh import whole
from tests.scenarios.stage import Stage

from dockgate.lab import Lab
from dockgate.lab.address import plan_lab
from dockgate.lab.kind import Kind, kinds_of
from dockgate.lab.progress import Progress

SUITE = os.environ.get("DOCKGATE_TEST_LAB", "dockgate-suite") + os.environ.get("PYTEST_XDIST_WORKER", "")
KIND = os.environ.get("DOCKGATE_TEST_KIND", "")
"""Another kind of hosts for the whole run, by hand: ``off`` (engines that write no rules), ``20.10``, ``28.5``."""
KEEP = os.environ.get("DOCKGATE_KEEP_LAB") == "1"


@pytest.fixture(scope="session")
def hosts() -> Iterator[Lab]:
    """Three fresh hosts; what an interrupted run of the suite left is removed first."""
    if not KEEP:
        Lab.remove(SUITE)
    lab = Lab.up(SUITE, kinds=kinds(KIND), progress=Progress())
    yield lab
    if not KEEP:
        lab.down()


def kinds(word: str) -> Mapping[str, Kind]:
    """What the hosts of a lab are, by a word."""
    names = [one.name for one in plan_lab(SUITE, 3).hosts]
    if word in ("", "off", "no proxy"):
        return dict.fromkeys(names, Kind(iptables=not word, proxy=word != "no proxy"))
    return kinds_of(names, [word])


@pytest.fixture(scope="module")
def lab(hosts: Lab) -> Lab:
    """The hosts, their Swarm whole: see mesh.py."""
    whole(hosts)
    return hosts


@pytest.fixture
def stage(lab: Lab, tmp_path: Path) -> Iterator[Stage]:
    """The lab with nothing of dockgate's on it, before and after."""
    stage = Stage(lab, tmp_path)
    yield stage
    stage.clear()
