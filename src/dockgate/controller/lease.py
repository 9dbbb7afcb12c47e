"""Lease: of several controllers of one project, one acts. A lock on a file in a node container, for as long as we live.

A lock is held by a command whose input is in our hands, so it falls with us, however we end, and needs no clock. Who
acts holds the locks of all hosts it can reach: two controllers can act at once only where neither reaches a host of the
other's. Invariant: without a lock nothing is changed, unless there is no node container anywhere yet, which the first
cycle makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dockgate.edges.api import EngineApi, Talk
from dockgate.edges.node import PROGRAM
from dockgate.errors import EngineError

State: TypeAlias = Literal["ours", "taken", "nowhere", "unsure"]

TRY_S = 4.0
SOON_S = 1.0
ANSWER_S = 5.0
_MINE, _TAKEN = "mine", "taken"
_HELD = f"echo {_MINE}; while read -r -t 20 _; do :; done"
LOCK: Sequence[str] = (
    "bash",
    "-c",
    f'flock --nonblock --conflict-exit-code 9 "$1" bash -c "{_HELD}"; [ $? = 9 ] && echo {_TAKEN}',
    "bash",
    PROGRAM[-1],
)


class Lease:
    """``engines``: the hosts that can be asked, always in the same order. ``on_change``: told when ``state`` is
    another one. ``where``: in whose hands the lock is that was found taken."""

    def __init__(
        self, project: str, engines: Callable[[], Iterable[EngineApi]], on_change: Callable[[State], None]
    ) -> None:
        self._project = project
        self._engines = engines
        self._on_change = on_change
        self._locks: dict[str, _Lock] = {}
        self.state: State | None = None
        self.where = ""
        self.decided = asyncio.Event()

    async def run(self) -> None:
        """For as long as the task lives."""
        try:
            while True:
                self._become(await self._round())
                await asyncio.sleep(TRY_S if self.state in ("ours", "taken") else SOON_S)
        finally:
            await self._release()

    async def _round(self) -> State:
        """In the order of hosts, so that of two controllers one gets the first lock that both can reach."""
        found: set[State] = set()
        for engine in self._engines():
            said = await self._lock(engine)
            found.add(said)
            if said == "taken":
                await self._release()
                return "taken"
        if "ours" in found:
            return "ours"
        return "nowhere" if found == {"nowhere"} else "unsure"

    async def _lock(self, engine: EngineApi) -> State:
        try:
            held = self._locks.get(engine.host)
            if held is not None and await held.stands():
                return "ours"
            await self._let_go(engine.host)
            return await self._acquire(engine)
        except EngineError:
            await self._let_go(engine.host)
            return "unsure"

    async def _acquire(self, engine: EngineApi) -> State:
        for container in await engine.ours(self._project, "node"):
            if container.state == "running":
                break
        else:
            return "nowhere"
        async with AsyncExitStack() as stack:
            talk = await stack.enter_async_context(engine.talk(container.id, LOCK))
            said = await _first_word(talk)
            if _MINE in said:
                self._locks[engine.host] = _Lock(talk, stack.pop_all())
                return "ours"
        self.where = f"{container.name} on {engine.host}"
        return "taken" if _TAKEN in said else "unsure"

    async def _release(self) -> None:
        for host in list(self._locks):
            await self._let_go(host)

    async def _let_go(self, host: str) -> None:
        lock = self._locks.pop(host, None)
        if lock is not None:
            with suppress(EngineError):
                await lock.stack.aclose()

    def _become(self, state: State) -> None:
        changed, self.state = state != self.state, state
        self.decided.set()
        if changed:
            self._on_change(state)


@dataclass(frozen=True)
class _Lock:
    talk: Talk
    stack: AsyncExitStack

    async def stands(self) -> bool:
        """Also tells the other end that we live."""
        await self.talk.send("\n")
        try:
            async with asyncio.timeout(0.05):
                return bool(await self.talk.receive())
        except TimeoutError:
            return True


async def _first_word(talk: Talk) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await talk.receive()
    except TimeoutError:
        return ""
