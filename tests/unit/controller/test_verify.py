"""The proof carried out on seats that answer as they are told: nothing that goes wrong on the way becomes a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.scenes import scene

from dockgate.controller.verify import FIRST_PORT, LAST_UNTRACKED, _Round
from dockgate.errors import EngineError
from dockgate.firewall.tables import comment_of
from dockgate.verify import Cell, Scene, all_jobs


@dataclass
class Wire:
    """What all seats have in common: ``deaf`` fails at a verb; ``tables``: whether our rules are there."""

    scene: Scene
    deaf: str = "nobody"
    fails_at: str = "probe"
    tables: bool = True


@dataclass
class Seat:
    name: str
    wire: Wire

    async def run(self, verb: str, request: Any) -> Any:
        if self.name == self.wire.deaf and verb == self.wire.fails_at:
            raise EngineError(f"{self.name}: the connection ended", hint="try again")
        return getattr(self, verb)(request)

    def serve(self, request: Any) -> Any:
        comments = {f"r_{n}": comment_of(rule) for n, rule in enumerate(self.wire.scene.policy.rules)}
        return {"failed": [], "rules": dict.fromkeys(request["trace"], comments if self.wire.tables else None)}

    def probe(self, request: Any) -> Any:
        return [["dropped", "no answer", ""] for _ in request["jobs"]]

    def collect(self, request: Any) -> Any:
        return {"seen": [], "decided": [], "lost": False}


def seats(wire: Wire) -> Mapping[str, Seat]:
    return {name: Seat(name, wire) for name in ("", *wire.scene.hosts)}


@pytest.fixture(scope="module")
def stage() -> Scene:
    return scene()


async def test_silence_everywhere_proves_nothing_at_all(stage: Scene) -> None:
    jobs = [job for job in all_jobs(stage) if isinstance(job, Cell)]
    told = await _Round(stage, seats(Wire(stage)), jobs, 0.1).results()
    assert {result.status for result in told.results} <= {"not proven", "wrong"}


@pytest.mark.parametrize("verb", ["serve", "probe"])
async def test_a_host_that_cannot_send_fails_its_cells_and_no_others(stage: Scene, verb: str) -> None:
    jobs = all_jobs(stage)
    told = await _Round(stage, seats(Wire(stage, deaf="docker2", fails_at=verb)), jobs, 0.1).results()
    failed = {result.job.source.seat for result in told.results if result.status == "probe failed"}
    assert failed == {"docker2"}
    assert "docker2: the connection ended" in told.missing


async def test_a_place_without_our_table_is_told(stage: Scene) -> None:
    told = await _Round(stage, seats(Wire(stage, tables=False)), all_jobs(stage), 0.1).results()
    assert "host docker1 has no table inet dockgate: its rules are not in force" in told.missing
    assert "overlay back on docker3 has no table inet dockgate: its rules are not in force" in told.missing


def test_no_two_packets_of_a_round_look_alike(stage: Scene) -> None:
    jobs = all_jobs(stage)
    made = _Round(stage, {}, jobs, 0.1)
    ports = [(job.protocol if isinstance(job, Cell) else "tcp", made._port(job)) for job in jobs]
    assert len(set(ports)) == len(ports)
    assert all(FIRST_PORT <= port <= LAST_UNTRACKED for _, port in ports)
