"""What lasts on a fake engine: its events, the script beside HAProxy, the lock in a node container.

They end as the real ones do: when the engine goes off the network, or the container stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dockgate.edges.api import EngineEvent, Talk
from dockgate.errors import EngineError

_END: None = None


@dataclass
class FakeStreams:
    """``silent``: events are lost, although the streams stand. ``locks``: containers whose file somebody has locked."""

    host: str
    silent: bool = False
    locks: set[str] = field(default_factory=set)
    ears: list[asyncio.Queue[EngineEvent | None]] = field(default_factory=list)
    talks: dict[str, list[FakeTalk]] = field(default_factory=dict)

    def happen(self, kind: str, action: str, id: str, name: str = "", *, signal: int = 0) -> None:
        for ear in [] if self.silent else self.ears:
            ear.put_nowait(EngineEvent(kind, action, id, name, signal))

    def cut(self) -> None:
        """Every standing connection to this engine ends."""
        for ear in self.ears:
            ear.put_nowait(_END)
        for container in list(self.talks):
            self.hang_up(container)

    def hang_up(self, container: str) -> None:
        """The container ended, and with it what ran in it."""
        for talk in self.talks.pop(container, []):
            talk.said.put_nowait("")

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        ear: asyncio.Queue[EngineEvent | None] = asyncio.Queue()
        self.ears.append(ear)
        try:
            yield _heard(ear)
        finally:
            self.ears.remove(ear)

    @asynccontextmanager
    async def socket(self, container: str, command: Callable[[str], str]) -> AsyncIterator[Talk]:
        """The script beside HAProxy: it lets go of what it holds when we leave."""
        talk = FakeTalk(self.host, command)
        self.talks.setdefault(container, []).append(talk)
        try:
            yield talk
        finally:
            for server in sorted(talk.held):
                command(f"set server {server} state ready")
            if talk in self.talks.get(container, []):
                self.talks[container].remove(talk)

    @asynccontextmanager
    async def lock(self, container: str) -> AsyncIterator[Talk]:
        talk = FakeTalk(self.host, lambda line: "")
        mine = container not in self.locks
        talk.said.put_nowait("mine\n" if mine else "taken\n")
        self.locks.add(container)
        self.talks.setdefault(container, []).append(talk)
        try:
            yield talk
        finally:
            if mine:
                self.locks.discard(container)


class FakeTalk(Talk):
    def __init__(self, host: str, command: Callable[[str], str]) -> None:
        self.host = host
        self.said: asyncio.Queue[str] = asyncio.Queue()
        self.held: set[str] = set()
        self.lines: list[str] = []
        self._command = command

    async def send(self, text: str) -> None:
        for line in text.splitlines():
            self.lines.append(line)
            word, _, server = line.partition(" ")
            if word == "hold":
                self.held.add(server)
            elif word == "free":
                self.held.discard(server)
            elif line:
                answer = "" if line == "prompt" or line.startswith("set timeout") else self._command(line)
                self.said.put_nowait(f"{answer}\n> ")

    async def receive(self) -> str:
        return await self.said.get()


async def _heard(ear: asyncio.Queue[EngineEvent | None]) -> AsyncIterator[EngineEvent]:
    while (event := await ear.get()) is not None:
        yield event
    raise EngineError("the event stream ended")
