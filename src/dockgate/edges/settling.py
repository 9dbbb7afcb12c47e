"""Starting a container while Docker's overlay networks settle.

Role: try again what fails only because an overlay network is not settled on the host. A worker whose engine was killed
and is started again at once hears of its own ghost in the Swarm's gossip, and for up to 30 s joins no overlay network:
its containers do not start, and Docker gives them up (moby/moby#32607). By hand it is the third `docker start` that
works. Docker also loses a network that two containers are the first to join at the same moment ("network … not found"
in its log), and holds one of them for 20 s; so an engine is told to start one container at a time.
Invariant: any other error passes at once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from dockgate.errors import EngineError

SETTLE_S = 60.0
PAUSE_S = 2.0
_UNSETTLED = re.compile(r"attaching to network failed|: network \S+ not found")


async def when_settled(
    start: Callable[[], Awaitable[None]], *, within_s: float = SETTLE_S, pause_s: float = PAUSE_S
) -> None:
    """Call ``start`` until it fails for no reason of an overlay network; after ``within_s`` with its last error."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return await start()
        except EngineError as error:
            if not _UNSETTLED.search(str(error)) or loop.time() + pause_s > deadline:
                raise
        await asyncio.sleep(pause_s)
