"""Line: one load balancer on the telephone. Settles its servers over a standing connection, at once and without reload.

It asks the register what each server should be *when it gets to it*, so the order of events does not matter, and
settles everything anew whenever the connection was opened again. Invariant: what it holds is held for as long as this
connection lives and not longer (``edges.standing``), and what a person set aside is left so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dockgate.controller.members import Members
from dockgate.edges.api import EngineApi
from dockgate.edges.standing import Standing, standing
from dockgate.errors import EngineError
from dockgate.haproxy import hold as words
from dockgate.haproxy.runtime import commands, parse_command_output
from dockgate.model.actions import ServerChange
from dockgate.model.observed import Container
from dockgate.plan.membership import ServerRef

HEARTBEAT_S = 3.0
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass
class Line:
    """``pools``: the backends of this load balancer. ``held``: ``POOL/SERVER`` that we keep out, and who that is.
    ``pid``: of the worker at the other end, 0 while there is none. ``pushed``: commands that changed something."""

    engine: EngineApi
    container: Container
    pools: frozenset[str]
    members: Members
    say: Callable[[str], None]
    held: dict[str, ServerRef] = field(default_factory=dict)
    pid: int = 0
    pushed: int = 0
    _due: set[ServerRef] = field(default_factory=set)
    _ring: asyncio.Event = field(default_factory=asyncio.Event)

    def settle(self, refs: Iterable[ServerRef]) -> None:
        """See to these servers, as soon as can be."""
        mine = {ref for ref in refs if ref.pool in self.pools}
        if mine:
            self._due |= mine
            self._ring.set()

    def check(self) -> None:
        """The process may be another one now."""
        self._ring.set()

    async def run(self) -> None:
        """For as long as the task lives."""
        failures = 0
        while True:
            try:
                async with standing(self.engine, self.container.id, name=self.container.name) as connection:
                    await self._serve(connection)
                failures = 0
            except EngineError as error:
                if failures == 1:
                    self.say(f"{self.container.name} is not on the line: {error.what}")
                failures += 1
            self.pid = 0
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _serve(self, connection: Standing) -> None:
        self.pid = await connection.pid()
        for server in sorted(self.held):
            await self._hold_again(connection, server)
        self._due |= self.members.servers(self.pools)
        while True:
            self._ring.clear()
            due, self._due = self._due, set()
            try:
                for ref in sorted(due, key=lambda each: (each.pool, each.server, each.address)):
                    await self._settle(connection, ref)
            except EngineError:
                self._due |= due
                raise
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._ring.wait()
            except TimeoutError:
                pass
            if not self._due and await connection.pid() != self.pid:
                await self._hand_over(connection)
                return

    async def _hand_over(self, connection: Standing) -> None:
        """The next connection, to the worker that took over, keeps holding; this one must not let go behind us."""
        for server in sorted(self.held):
            await connection.free(server)

    async def _settle(self, connection: Standing, ref: ServerRef) -> None:
        verdict = self.members.verdict(ref)
        rows = await connection.servers(ref.pool)
        row = rows.get(ref.server) if ref.server else next((r for r in rows.values() if r.address == ref.address), None)
        if row is None:
            return
        server = f"{ref.pool}/{row.server}"
        if row.by_hand and server not in self.held:
            return
        if verdict == "held" or (verdict == "gone" and not ref.checked):
            await self._hold(connection, ref, row.server)
        elif verdict == "gone":
            await self._set_down(connection, ref, row)
        elif verdict == "in":
            await self._let_in(connection, ref, row)
        else:
            await self._release(connection, ref, row.server)

    async def _hold_again(self, connection: Standing, server: str) -> None:
        """It may be another process, which knows nothing of it, or not even the server."""
        await connection.hold(server)
        held = words.hold(*server.split("/", 1), sticky=self.held[server].sticky)
        if parse_command_output(await connection.ask(held)) is not None:
            await connection.free(server)
            del self.held[server]

    async def _hold(self, connection: Standing, ref: ServerRef, server: str) -> None:
        if f"{ref.pool}/{server}" in self.held:
            return
        self.held[f"{ref.pool}/{server}"] = ref
        await connection.hold(f"{ref.pool}/{server}")
        await self._tell(connection, words.hold(ref.pool, server, sticky=ref.sticky))

    async def _set_down(self, connection: Standing, ref: ServerRef, row: words.ServerStanding) -> None:
        if row.up:
            await self._tell(connection, words.set_down(ref.pool, row.server))
        await self._release(connection, ref, row.server)

    async def _let_in(self, connection: Standing, ref: ServerRef, row: words.ServerStanding) -> None:
        place = self.members.place(ref) if ref.slot else None
        if place is not None and (place.address, place.port) != (row.address, row.port):
            change = ServerChange(ref.pool, row.server, "ready", None, place.address, place.port, afresh=ref.checked)
            for command in commands(change):
                await self._tell(connection, command)
        await self._release(connection, ref, row.server)

    async def _release(self, connection: Standing, ref: ServerRef, server: str) -> None:
        if f"{ref.pool}/{server}" not in self.held:
            return
        # Out of maintenance HAProxy takes a server as up; out of drain it is what its checks say.
        ready = ServerChange(ref.pool, server, "ready", afresh=ref.checked and ref.sticky)
        for command in commands(ready):
            await self._tell(connection, command)
        await connection.free(f"{ref.pool}/{server}")
        del self.held[f"{ref.pool}/{server}"]

    async def _tell(self, connection: Standing, command: str) -> None:
        refused = parse_command_output(await connection.ask(command))
        self.pushed += 1
        if refused is not None:
            self.say(f"{self.container.name} refused `{command}`: {refused}")
