"""Waiting for a condition with a deadline. The only place where the controller lets time pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dockgate.errors import EngineError

T = TypeVar("T")

PAUSE_S = 0.2


async def until(condition: Callable[[], Awaitable[T | None]], *, limit_s: float, pause_s: float = PAUSE_S) -> T | None:
    """The condition's first answer that is not None; None after the deadline.

    An ``EngineError`` on the way counts as "not yet"; the last one is raised if the deadline finds it.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + limit_s
    while True:
        error: EngineError | None = None
        try:
            answer = await condition()
        except EngineError as caught:
            answer, error = None, caught
        if answer is not None:
            return answer
        if clock.time() + pause_s >= deadline:
            if error is not None:
                raise error
            return None
        await asyncio.sleep(pause_s)
