"""`dockgate run`: the sign of life that a health check looks at, and options that do not go together."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from dockgate.cli import app
from dockgate.errors import DockgateError

run = importlib.import_module("dockgate.cli.run")
"""The module; in its package the verb has the same name."""


async def beaten(alive: Path, *seen_at: float | None) -> None:
    keeper = SimpleNamespace(watches=[SimpleNamespace(seen_at=each) for each in seen_at])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await run._beat(alive, keeper)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "BEAT_S", 0.01)


async def test_it_gives_no_sign_before_a_host_was_read_so_that_a_wrong_key_is_found_out(tmp_path: Path) -> None:
    await beaten(tmp_path / "alive", None, None)
    assert not (tmp_path / "alive").exists()


async def test_it_gives_its_sign_while_a_cycle_lasts_once_a_host_was_read(tmp_path: Path) -> None:
    await beaten(tmp_path / "alive", None, 1.0)
    assert (tmp_path / "alive").exists()


async def test_a_file_that_cannot_be_touched_ends_it_with_a_reason(tmp_path: Path) -> None:
    keeper = SimpleNamespace(watches=[SimpleNamespace(seen_at=1.0)])
    with pytest.raises(DockgateError, match="cannot be touched: No such file"):
        await run._beat(tmp_path / "nowhere" / "alive", keeper)


def test_what_belongs_to_a_swarm_is_refused_without_one() -> None:
    done = CliRunner().invoke(app, ["run", "--remove"])
    assert done.exit_code == 2
    assert "go with --swarm" in done.output
