"""The firewall container's programs, loaded from their image directory: they are no part of the package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[3] / "images" / "waf"


@pytest.fixture(scope="session", autouse=True)
def beside() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="session")
def spop(beside: None) -> ModuleType:
    return importlib.import_module("dockgate_spop")


@pytest.fixture(scope="session")
def findings(beside: None) -> ModuleType:
    return importlib.import_module("dockgate_findings")


@pytest.fixture(scope="session")
def judging(beside: None) -> ModuleType:
    return importlib.import_module("dockgate_judge")


@pytest.fixture(scope="session")
def modsecurity(beside: None) -> ModuleType:
    return importlib.import_module("dockgate_modsecurity")
