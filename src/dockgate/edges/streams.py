"""What lasts on an engine: its events, and a command in a container that we go on talking to.

Both are opened within a time limit and then have none; each part of a conversation has one of its own. Neither holds
one of the engine's places for calls while it lasts. Invariant: whoever has entered ``events`` misses nothing; when a
``talk`` ends, by whatever, the command's standard input ends with it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import aiodocker
import aiohttp
from aiodocker.stream import Stream

from dockgate.edges import docker_json as wire
from dockgate.edges.api import EngineEvent, Talk

Call: TypeAlias = Callable[[str], AbstractAsyncContextManager[aiodocker.Docker]]
Attempt: TypeAlias = Callable[[str, float], AbstractAsyncContextManager[None]]

SAY_S = 5.0
_FOR_EVER_S = 10.0 * 365 * 86_400


@asynccontextmanager
async def events(call: Call, attempt: Attempt) -> AsyncIterator[AsyncIterator[EngineEvent]]:
    """Everything but the execs, of which there are many and all are ours or nobody's business."""
    what = "follow its events"
    async with AsyncExitStack() as stack:
        async with call(what) as docker:
            no_limit = aiohttp.ClientTimeout(total=None, sock_read=None)
            answer = await stack.enter_async_context(docker._query("events", timeout=no_limit))
        happening = _events(answer, attempt, what)
        try:
            yield happening
        finally:
            answer.close()  # a stream without an end cannot be read to it, which releasing would wait for
            await happening.aclose()


async def _events(answer: aiohttp.ClientResponse, attempt: Attempt, what: str) -> AsyncGenerator[EngineEvent, None]:
    async with attempt(what, _FOR_EVER_S):
        async for line in answer.content:
            event = wire.event(json.loads(line)) if line.strip() else None
            if event is not None:
                yield event


class _Talk:
    def __init__(self, stream: Stream, attempt: Attempt, what: str) -> None:
        self._stream = stream
        self._attempt = attempt
        self._what = what

    async def send(self, text: str) -> None:
        async with self._attempt(self._what, SAY_S):
            connection = self._stream._resp.connection if self._stream._resp is not None else None
            if connection is None or connection.transport is None:
                raise ConnectionResetError("the connection has ended")  # the library only asserts that it has not
            await self._stream.write_in(text.encode())

    async def receive(self) -> str:
        async with self._attempt(self._what, _FOR_EVER_S):
            message = await self._stream.read_out()
        return message.data.decode(errors="replace") if message is not None else ""


@asynccontextmanager
async def talk(call: Call, attempt: Attempt, what: str, *, container: str, argv: Sequence[str]) -> AsyncIterator[Talk]:
    async with AsyncExitStack() as stack:
        async with call(what) as docker:
            run = await docker.containers.container(container).exec(list(argv), stdin=True)
            stream = run.start()
            stack.push_async_callback(stream.close)
            await stream.__aenter__()
        yield _Talk(stream, attempt, what)
