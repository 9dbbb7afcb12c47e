"""HAProxy's own word on a request: its line in httplog format or as JSON, found by the client's port."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from .evidence import LogLine

_LINE = re.compile(
    r"(?P<client>[0-9a-f.:]+):(?P<port>\d+) \[[^\]]+\] (?P<frontend>\S+?)~? (?P<pool>[^\s/]+)/(?P<server>\S+)"
    r" (?P<times>-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+) (?P<status>-?\d+) \S+ \S+ \S+ (?P<ending>\S{4})"
    r" \d+/\d+/\d+/\d+/\+?(?P<retries>\d+) "
)


_TCP_LINE = re.compile(
    r"(?P<client>[0-9a-f.:]+):(?P<port>\d+) \[[^\]]+\] (?P<frontend>\S+?)~? (?P<pool>[^\s/]+)/(?P<server>\S+)"
    r" (?P<times>-?\d+/-?\d+/\+?-?\d+) \+?\d+ (?P<ending>\S{2}) \d+/\d+/\d+/\d+/\+?(?P<retries>\d+) "
)


def find(lines: Iterable[str], port: int, frontend: str) -> LogLine | None:
    """The last line of the frontend with this client port."""
    found = None
    for line in lines:
        # A text line may hold a brace as well: around what is captured, and around the firewall's word.
        said = (_json(line, port, frontend) if "{" in line else None) or _text(line, port, frontend)
        found = said or found
    return found


def _text(line: str, port: int, frontend: str) -> LogLine | None:
    match = _LINE.search(line) or _TCP_LINE.search(line)
    if match is None or int(match["port"]) != port or match["frontend"] != frontend:
        return None
    times = [int(text.lstrip("+")) for text in match["times"].split("/")]
    request, queue, connect, response, total = times if len(times) == 5 else (-1, *times[:2], -1, times[2])
    return LogLine(
        match["client"], match["frontend"], match["pool"], match["server"], request, queue, connect, response,
        total, int(match.groupdict().get("status", 0)), match["ending"], int(match["retries"]),
    )  # fmt: skip


def _json(line: str, port: int, frontend: str) -> LogLine | None:
    """As ``haproxy.access_log`` makes it. What a member wrote into the log of a container of its own is not ours."""
    try:
        said = json.loads(line[line.index("{") :])
        if int(said["port"]) != port or str(said["listener"]).rstrip("~") != frontend:
            return None
        request, queue, connect, response, total = (
            int(said.get(f"{name}_ms", -1)) for name in ("request", "queue", "connect", "answer", "total")
        )
        return LogLine(
            str(said["client"]), frontend, str(said["pool"]), str(said["member"]), request, queue, connect, response,
            total, int(said.get("status", 0)), str(said["ended"]), int(said["retries"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
