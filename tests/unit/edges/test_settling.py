"""Starting while Docker's overlay networks settle, with Docker 26.1's own words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from dockgate.edges.engine import Engine
from dockgate.edges.settling import when_settled
from dockgate.errors import EngineError, NotFound

DEADLINE = EngineError(
    "docker2: could not start container lb: attaching to network failed, make sure your network options are correct "
    "and check manager logs: context deadline exceeded"
)
GONE = NotFound("docker2: could not start container lb: network i97z7crkeco36y2pl4qttthdm not found")
PORT = EngineError("docker2: could not start container lb: Bind for 0.0.0.0:80 failed: port is already allocated")


class Start:
    """Fails as told, one error a call, then works."""

    def __init__(self, *errors: EngineError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


async def test_a_start_that_the_swarms_ghost_holds_up_is_tried_again_as_it_takes_three_by_hand() -> None:
    start = Start(DEADLINE, GONE)
    await when_settled(start, pause_s=0)
    assert start.calls == 3


async def test_any_other_error_passes_at_once() -> None:
    start = Start(PORT, GONE)
    with pytest.raises(EngineError, match="already allocated"):
        await when_settled(start, pause_s=0)
    assert start.calls == 1


async def test_a_network_that_stays_away_is_told_when_the_time_is_over() -> None:
    with pytest.raises(NotFound, match="network i97z"):
        await when_settled(Start(*[GONE] * 1000), within_s=0.05, pause_s=0.01)


async def test_containers_of_one_host_start_one_after_the_other_as_docker_loses_a_network_that_two_join_at_once(
    tmp_path: Path,
) -> None:
    under_way: list[int] = [0]
    most: list[int] = []

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"})

    async def update(_: web.Request) -> web.Response:
        return web.json_response({})

    async def start(_: web.Request) -> web.Response:
        under_way[0] += 1
        most.append(under_way[0])
        await asyncio.sleep(0.02)
        under_way[0] -= 1
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.get("/version", version), web.get("/v{n}/version", version)])
    app.add_routes([web.post("/v{n}/containers/{id}/update", update), web.post("/v{n}/containers/{id}/start", start)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "docker.sock")).start()
    async with Engine("docker1", f"unix://{tmp_path / 'docker.sock'}") as engine:
        await asyncio.gather(*(engine.start_container(f"lb{number}") for number in range(4)))
    await runner.cleanup()
    assert most == [1, 1, 1, 1]
