"""Sessions: what HAProxy says of one that is open, over its runtime socket (``show sess``). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SERVER = re.compile(r"^\s*server=(\S+) \(id=\d+\) addr=(\S+):(\d+)$", re.MULTILINE)
_BACKEND = re.compile(r"^\s*backend=(\S+) \(id=\d+ mode=\w+\)(?: addr=(\S+):(\d+))?$", re.MULTILINE)
_OPEN = re.compile(r"^\s*scb=\S+ .*\bstate=EST\b", re.MULTILINE)


@dataclass(frozen=True)
class OpenSession:
    """A session with a server. ``source``, ``sport``: the load balancer's end of the connection to it, "" and 0 while
    there is none. ``established``: that connection stands."""

    pool: str
    server: str
    source: str
    sport: int
    address: str
    port: int
    established: bool


def number_of(listed: str, frontend: str, sport: int) -> str:
    """The name that ``show sess`` gives to the session of a client's port; "" when there is none."""
    for line in listed.splitlines():
        words = line.split()
        if f"fe={frontend}" in words and any(re.fullmatch(rf"src=\S+:{sport}", word) for word in words):
            return words[0].rstrip(":")
    return ""


def parse(told: str) -> OpenSession | None:
    """``show sess NUMBER``; None where no server has been chosen."""
    server, backend = _SERVER.search(told), _BACKEND.search(told)
    if server is None or backend is None:
        return None
    return OpenSession(
        pool=backend[1],
        server=server[1],
        source=backend[2] or "",
        sport=int(backend[3] or 0),
        address=server[2],
        port=int(server[3]),
        established=_OPEN.search(told) is not None,
    )
