"""Watch: one host's engine, followed for ever. Events keep the register of members up to date and ring the bell.

After every gap (the start, a connection lost, a stream gone silent) everything is read anew, after the stream is open
again, so that nothing falls in between. A stream that says nothing is asked to prove itself: a file of a container of
ours is read, which Docker tells as an event. Invariant: a host that hangs holds up nobody but its own watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from dockgate.controller.members import Members
from dockgate.controller.wake import Wake
from dockgate.edges.api import EngineApi, EngineEvent
from dockgate.errors import EngineError, NotFound
from dockgate.model.objects import LABEL_KIND, is_ours
from dockgate.plan.membership import ServerRef, Sighting

QUIET_S = 10.0
PROOF_S = 5.0
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_LOOK = {"start", "unpause", "pause", "rename", "update", "restart"}
_DRIFT = {"create", "destroy", "die", "start", "rename", "connect", "disconnect", "remove", "pause"}
_NODE_FILE = "/usr/local/lib/dockgate/dockgate_node.py"
_LB_FILE = "/etc/haproxy/haproxy.cfg"
_NOTHING = EngineEvent("", "", "")
"""What was heard when nothing was."""


@dataclass
class Watch:
    """``settle``: told which servers an event was about. ``lost_at``: since when the host is not followed, by the
    loop's clock, None while it is; ``why``: the reason."""

    project: str
    engine: EngineApi
    members: Members
    wake: Wake
    settle: Callable[[Iterable[ServerRef]], None]
    lost_at: float | None = None
    why: str = "it was not asked yet"
    seen_at: float | None = None
    events: int = 0
    gaps: int = 0
    known: asyncio.Event = field(default_factory=asyncio.Event)
    _ours: tuple[tuple[str, str], ...] = ()

    @property
    def host(self) -> str:
        return self.engine.host

    async def run(self) -> None:
        """For as long as the task lives."""
        failures = 0
        while True:
            began = self.gaps
            try:
                await self._follow()
                self._lose("its event stream ended")
            except EngineError as error:
                self._lose(error.what)
            failures = 0 if self.gaps > began else failures + 1
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _follow(self) -> None:
        async with self.engine.events() as happening:
            containers = await self.engine.containers()
            info = await self.engine.info()
            self.members.node_addresses[self.host] = info.node_address
            self.settle(self.members.replace_host(self.host, containers))
            ours = [each for each in containers if is_ours(each.labels, self.project) and each.state == "running"]
            self._find(tuple((each.id, each.labels.get(LABEL_KIND) or "") for each in ours))
            async with aclosing(self._alive(happening)) as alive:
                async for event in alive:
                    self.events += 1
                    await self._take(event)

    def _find(self, ours: tuple[tuple[str, str], ...]) -> None:
        self._ours = ours
        self.gaps += 1
        back = self.lost_at is not None
        self.lost_at, self.why = None, ""
        self.seen_at = _now()
        self.known.set()
        if back:
            self.wake.ring(f"{self.host} is back")

    def _lose(self, why: str) -> None:
        if self.lost_at is None:
            self.lost_at = _now()
            self.wake.ring(f"{self.host} is lost: {why}")
        self.why = why
        self.known.set()

    async def _alive(self, happening: AsyncIterator[EngineEvent]) -> AsyncGenerator[EngineEvent, None]:
        """The events, for as long as the stream can prove that it lives."""
        heard: asyncio.Queue[EngineEvent | EngineError | None] = asyncio.Queue()
        ear = asyncio.create_task(_listen(happening, heard), name=f"ear {self.host}")
        try:
            while (event := await self._next(heard)) is not None:
                self.seen_at = _now()
                yield event
        finally:
            ear.cancel()
            await asyncio.gather(ear, return_exceptions=True)

    async def _next(self, heard: asyncio.Queue[EngineEvent | EngineError | None]) -> EngineEvent | None:
        while True:
            event = await _within(QUIET_S, heard)
            if event is _NOTHING:
                proved = await self._provoke()
                event = await _within(PROOF_S, heard) if proved else _NOTHING
                if event is _NOTHING and proved:
                    raise EngineError(f"{self.host}: its event stream is silent", hint="it is opened again")
            if isinstance(event, EngineError):
                raise event
            if event is not _NOTHING:
                return event

    async def _provoke(self) -> bool:
        """Do something that Docker tells as an event; with nothing of ours there, at least ask. Whether one comes."""
        while self._ours:
            container, kind = self._ours[0]
            try:
                await self.engine.get_file(container, _NODE_FILE if kind == "node" else _LB_FILE)
                return True
            except NotFound:
                self._ours = self._ours[1:]
        await self.engine.info()
        return False

    async def _take(self, event: EngineEvent) -> None:
        if event.kind in ("network", "volume") and event.action in _DRIFT:
            self.wake.ring(f"{event.kind} {event.name or event.id[:12]} on {self.host}: {event.action}")
        if event.kind != "container":
            return
        touched = await self._about(event)
        if touched:
            self.settle(touched)
        if event.action in _DRIFT or (touched and event.action in _LOOK):
            self.wake.ring(f"{event.name or event.id[:12]} on {self.host}: {event.action}")

    async def _about(self, event: EngineEvent) -> set[ServerRef]:
        if event.action == "kill":
            return self.members.tell_to_stop(self.host, event.id, signal=event.signal, now=_now())
        if event.action == "die":
            return self.members.end(self.host, event.id)
        if event.action == "destroy":
            return self.members.remove(self.host, event.id)
        if event.action in _LOOK or event.action.startswith("health_status"):
            return await self._look(event.id)
        return set()

    async def _look(self, container: str) -> set[ServerRef]:
        try:
            return self.members.see(Sighting(self.host, await self.engine.container(container)))
        except NotFound:
            return self.members.remove(self.host, container)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _listen(
    happening: AsyncIterator[EngineEvent], heard: asyncio.Queue[EngineEvent | EngineError | None]
) -> None:
    try:
        async for event in happening:
            heard.put_nowait(event)
        heard.put_nowait(None)
    except EngineError as error:
        heard.put_nowait(error)


async def _within(
    seconds: float, heard: asyncio.Queue[EngineEvent | EngineError | None]
) -> EngineEvent | EngineError | None:
    try:
        async with asyncio.timeout(seconds):
            return await heard.get()
    except TimeoutError:
        return _NOTHING
