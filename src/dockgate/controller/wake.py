"""Wake: what rings the controller's bell. Events carry no truth, only a reason to look again.

Invariant: a ring during a cycle is not lost, and what rings together is handled in one cycle.
"""

from __future__ import annotations

import asyncio

SETTLE_S = 0.15
"""How long it must have been quiet before a cycle begins, and …"""
PATIENCE_S = 1.0
"""… how long a bell that goes on ringing can put the cycle off."""


class Wake:
    """The bell."""

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {}
        self._rung = asyncio.Event()

    def ring(self, reason: str) -> None:
        self._reasons[reason] = None
        self._rung.set()

    async def wait(self, *, at_most_s: float, otherwise: str) -> tuple[str, ...]:
        """The reasons, each once, once it is quiet; ``otherwise`` when nobody rang for so long."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()
        except TimeoutError:
            return (otherwise,)
        clock = asyncio.get_running_loop()
        deadline = clock.time() + PATIENCE_S
        while clock.time() < deadline:
            self._rung.clear()
            try:
                async with asyncio.timeout(SETTLE_S):
                    await self._rung.wait()
            except TimeoutError:
                break
        self._rung.clear()
        reasons, self._reasons = tuple(self._reasons), {}
        return reasons
