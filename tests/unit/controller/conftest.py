from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.network import FakeNetwork
from tests.fakes.scene import three_hosts

from dockgate.controller import configs, prove, waf


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fakes settle at once; a proof that will not come need not be waited for."""
    monkeypatch.setattr(prove, "READY_S", 0.05)
    monkeypatch.setattr(prove, "ASK_S", 0.05)
    monkeypatch.setattr(configs, "RELOAD_S", 0.05)
    monkeypatch.setattr(waf, "READY_S", 0.05)


@pytest.fixture
def network(tmp_path: Path) -> FakeNetwork:
    """Three hosts with our images and nothing else."""
    return three_hosts(tmp_path)
