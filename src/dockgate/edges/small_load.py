"""A small load of our own: GETs through a VIP while something is changed, sent from a host's node container.

One command that lasts, driven through the engine: it asks in turn, from a few threads, until its input ends, and tells
how it stands when it is asked. A request that could not be sent at all counts as failed, never as none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dockgate.edges.api import EngineApi, Talk
from dockgate.errors import EngineError
from dockgate.model.proof import ProofRequest

ANSWER_S = 8.0
RATE = 50

_PROGRAM = r"""
import http.client, itertools, json, sys, threading, time
jobs, rate = json.loads(sys.argv[1]), float(sys.argv[2])
THREADS = 4
lock, tally, stop = threading.Lock(), {"sent": 0, "failed": 0, "example": ""}, threading.Event()
turn = itertools.count()
def ask(job):
    link = http.client.HTTPConnection(job["address"], job["port"], timeout=5)
    try:
        if job["mode"] == "tcp":
            link.connect()
            return ""
        host = {"Host": job["host_header"]} if job["host_header"] else {}
        link.request("GET", job["path"], headers=host | job["headers"])
        status = link.getresponse().status
        return "status %d" % status if status in (502, 503, 504) else ""
    except (OSError, http.client.HTTPException) as error:
        return "%s: %s" % (type(error).__name__, error)
    finally:
        link.close()
def work():
    due = time.monotonic()
    while not stop.is_set():
        wrong = ask(jobs[next(turn) % len(jobs)])
        with lock:
            tally["sent"] += 1
            if wrong:
                tally["failed"] += 1
                tally["example"] = tally["example"] or wrong
        due = max(due + THREADS / rate, time.monotonic() - 1)
        stop.wait(max(0, due - time.monotonic()))
for _ in range(THREADS):
    threading.Thread(target=work, daemon=True).start()
for line in sys.stdin:
    with lock:
        print(json.dumps(tally), flush=True)
stop.set()
"""


@dataclass(frozen=True)
class Tally:
    """``example``: what became of the first that failed, "" when none did."""

    sent: int
    failed: int
    example: str = ""

    def __str__(self) -> str:
        return f"failed: {self.failed} of {self.sent}"


class SmallLoad:
    """The load while it runs."""

    def __init__(self, talk: Talk, host: str) -> None:
        self._talk = talk
        self._host = host
        self._busy = asyncio.Lock()

    async def tally(self) -> Tally:
        """So far."""
        async with self._busy:
            await self._talk.send("\n")
            said = ""
            try:
                async with asyncio.timeout(ANSWER_S):
                    while not said.endswith("\n"):
                        part = await self._talk.receive()
                        if not part:
                            raise self._over(said)
                        said += part
                return Tally(**json.loads(said))
            except (TimeoutError, ValueError, TypeError) as error:
                raise self._over(said) from error

    def _over(self, said: str) -> EngineError:
        return EngineError(
            f"{self._host}: the small load in the node container does not answer: {said.strip()[-200:] or 'nothing'}",
            hint="see whether the node container runs: docker ps there",
        )


@asynccontextmanager
async def small_load(engine: EngineApi, node: str, requests: Sequence[ProofRequest]) -> AsyncIterator[SmallLoad]:
    jobs = [
        {
            "address": each.address,
            "port": each.port,
            "mode": each.mode,
            "host_header": each.host_header,
            "headers": dict(each.headers),
            "path": each.path,
        }
        for each in requests
    ]
    async with engine.talk(node, ("python3", "-c", _PROGRAM, json.dumps(jobs), str(RATE))) as talk:
        yield SmallLoad(talk, engine.host)
