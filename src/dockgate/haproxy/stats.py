"""Statistics: what ``show info`` and ``show stat`` tell, as a ``RunningHaproxy``.

Role: read both by the names that HAProxy gives its fields, never by their order, which differs between versions.
Invariant: only servers count as servers; addresses that stand for "none" become "".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO

from dockgate.haproxy.tree import NO_ADDRESS, OURS
from dockgate.haproxy.versions import NOWHERE_ADDRESSES
from dockgate.model.observed import RunningHaproxy, ServerState

_FRONTEND, _SERVER = "0", "2"


def running(info: str, stat: str) -> RunningHaproxy:
    """``info``: the answer to ``show info``, ``stat``: to ``show stat``. Raises ValueError when they are not that."""
    fields = parse_info(info)
    rows = parse_stat(stat)
    frontends = [row for row in rows if row["type"] == _FRONTEND]
    return RunningHaproxy(
        version=_wanted(fields, "Version"),
        structure=_structure(fields.get("description", "")),
        pid=int(_wanted(fields, "Pid")),
        uptime_s=int(_wanted(fields, "Uptime_sec")),
        servers=tuple(sorted((_server(row) for row in rows if _is_member(row)), key=_place)),
        sessions=sum(_number(row, "scur") for row in frontends),
        requests=sum(_number(row, "req_tot") or _number(row, "stot") for row in frontends),
    )


def parse_info(text: str) -> Mapping[str, str]:
    """``show info``: its names and values."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def parse_stat(text: str) -> list[dict[str, str]]:
    """``show stat``: a row for each frontend, backend and server."""
    if not text.startswith("# pxname,"):
        raise ValueError(f"not HAProxy's statistics: {text[:80]!r}")
    return [row for row in csv.DictReader(StringIO(text.removeprefix("# "))) if row["svname"]]


def _is_member(row: Mapping[str, str]) -> bool:
    """A server of a pool; those of a backend of our own, which no pool's name can have, are nobody's members."""
    return row["type"] == _SERVER and not row["pxname"].startswith(OURS)


def _server(row: Mapping[str, str]) -> ServerState:
    address, _, port = row.get("addr", "").rpartition(":")
    return ServerState(
        pool=row["pxname"],
        name=row["svname"],
        address="" if address in ("", NO_ADDRESS, *NOWHERE_ADDRESSES) else address,
        port=int(port) if port.isdigit() else 0,
        status=row["status"],
        weight=_number(row, "uweight"),
        # A running check is marked with "* " before the result of the last one.
        check=row.get("check_status", "").removeprefix("* "),
        check_code=_number(row, "check_code"),
        check_text=row.get("last_chk", "") or row.get("check_desc", ""),
        since_s=_number(row, "lastchg"),
        sessions=_number(row, "scur"),
        requests=_number(row, "req_tot") or _number(row, "stot"),
    )


def _structure(description: str) -> str:
    """The last word of the description that ``render`` writes; "" when the configuration is not ours."""
    words = description.split()
    return words[2] if len(words) == 3 and words[0] == "dockgate" else ""


def _wanted(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise ValueError(f"HAProxy's information has no {name}")
    return fields[name]


def _number(row: Mapping[str, str], name: str) -> int:
    text = row.get(name, "")
    return int(text) if text.isdigit() else 0


def _place(server: ServerState) -> tuple[str, str]:
    return server.pool, server.name
