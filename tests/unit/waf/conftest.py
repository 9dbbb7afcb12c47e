"""The firewall's programs, loaded as they find each other in its container."""

from __future__ import annotations

from types import ModuleType

import pytest
from tests.programs import program


@pytest.fixture(scope="session")
def spop() -> ModuleType:
    return program("waf", "spop")


@pytest.fixture(scope="session")
def findings() -> ModuleType:
    return program("waf", "findings")


@pytest.fixture(scope="session")
def judging() -> ModuleType:
    return program("waf", "judge")


@pytest.fixture(scope="session")
def modsecurity() -> ModuleType:
    return program("waf", "modsecurity")
