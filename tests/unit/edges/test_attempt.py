"""Library errors become ours: host, attempt, next step, and nothing of the library."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiodocker import DockerError

from dockgate.edges.attempt import attempt, short
from dockgate.edges.engine import Engine
from dockgate.errors import EngineError, NotFound

URL = "unix:///run/x.sock"


async def fail(error: Exception, *, url: str = URL) -> EngineError:
    with pytest.raises(EngineError) as caught:
        async with attempt("docker1", url, "list its containers", limit_s=5):
            raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (409, "Conflict", "run `dockgate plan` again"),
        (500, "boom", "Docker's own words"),
        (500, "Bind for 0.0.0.0:80 failed: port is already allocated", "something else holds that port"),
        (500, "listen tcp 10.0.0.1:80: bind: cannot assign requested address", "the address is not on that host"),
    ],
)
async def test_what_docker_refuses_carries_its_words_and_a_next_step(status: int, message: str, hint: str) -> None:
    error = await fail(DockerError(status, message))
    assert error.what == f"docker1: could not list its containers: {message}"
    assert hint in error.hint


async def test_what_is_not_there_is_not_found() -> None:
    assert isinstance(await fail(DockerError(404, "No such container: x")), NotFound)


@pytest.mark.parametrize(
    "error",
    [DockerError(900, "no"), aiohttp.ClientPayloadError("cut"), ConnectionResetError("reset"), OSError("dead")],
)
async def test_no_connection_names_the_engine_and_how_to_try_by_hand(error: Exception) -> None:
    found = await fail(error)
    assert "docker1: could not list its containers: cannot reach its Docker engine" in found.what
    assert found.hint.endswith(f"docker -H {URL} version")
    assert found.__cause__ is error


@pytest.mark.parametrize(
    ("url", "reason", "hint"),
    [
        (URL, "Permission denied", "run as root or join the group docker"),
        ("ssh://ops@far", "Permission denied", "ssh ops@far docker version"),
        ("context:far", "refused", "docker --context far version"),
        ("tcp://far:2376", "refused", "docker -H tcp://far:2376 version"),
    ],
)
async def test_the_next_step_is_one_for_that_kind_of_engine(url: str, reason: str, hint: str) -> None:
    assert hint in (await fail(OSError(reason), url=url)).hint


async def test_an_answer_that_is_none_of_docker_is_an_error() -> None:
    assert "is not one of a Docker engine" in (await fail(KeyError("Id"))).what


async def test_no_answer_within_the_limit_is_an_error() -> None:
    with pytest.raises(EngineError, match=r"no answer within 0.01 s"):
        async with attempt("docker1", URL, "wait", limit_s=0.01):
            await asyncio.Event().wait()


async def test_what_is_ours_passes_unchanged() -> None:
    error = EngineError("ours", hint="x")
    assert await fail(error) is error


async def test_being_cancelled_is_no_error_of_the_engine() -> None:
    with pytest.raises(asyncio.CancelledError):
        async with attempt("docker1", URL, "wait", limit_s=5):
            raise asyncio.CancelledError


async def test_an_engine_that_is_not_there_is_an_engine_error() -> None:
    async with Engine("docker1", "unix:///nonexistent.sock") as engine:
        with pytest.raises(EngineError, match="docker1: could not read its version: cannot reach"):
            await engine.info()


def test_ids_are_shortened_and_names_are_not() -> None:
    assert short("ab" * 32) == "ab" * 6
    assert short("dockgate-web-c07d6ffc") == "dockgate-web-c07d6ffc"
