"""State: what a process may hand to the one that a reload starts.

Role: from ``show servers state`` and the configuration about to be loaded, make the server state file.
HAProxy trusts that file too much: the *port* in it beats a changed port in the configuration, a slot that was emptied
stays in maintenance although the configuration has its new address, and a weight set at run time beats the file's. So
what the configuration decides is written from it; health, and what a person drained or put in maintenance, is kept.
Invariant: a checked server that is new or whose place changed starts as down, waiting for its first good check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.haproxy.tree import IPV4, NO_ADDRESS, OURS

_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_READY = "0"
_DOWN = {"srv_op_state": "0", "srv_check_health": "0"}
# No SRV record, no other address for checks; a check that is configured and enabled (6), without a result yet (1).
_UNASKED = {
    "srvrecord": "-",
    "srv_check_addr": "-",
    "srv_agent_addr": "-",
    "srv_check_state": "6",
    "srv_check_status": "1",
}


@dataclass(frozen=True)
class _Server:
    """A server as the rendered configuration has it."""

    address: str
    port: str
    weight: str
    checked: bool
    disabled: bool

    @property
    def fixed(self) -> bool:
        return bool(_IPV4.fullmatch(self.address))


def carry_over(dump: str, text: str) -> str:
    """The state file for a process that will load ``text`` (as ``render`` wrote it). ``dump``: the answer to
    ``show servers state`` of the process that runs now. Raises ValueError when ``dump`` is not that."""
    lines = dump.splitlines()
    if lines[:1] != ["1"] or len(lines) < 2 or not lines[1].startswith("# be_id"):
        raise ValueError(f"not HAProxy's server state: {dump[:80]!r}")
    columns = lines[1].removeprefix("# ").split()
    rows = [dict(zip(columns, line.split(" "), strict=True)) for line in lines[2:] if line]
    known = {(row["be_name"], row["srv_name"]): row for row in rows}
    entries = (
        _entry(place, server, known.get(place), columns) for place, server in _servers(text) if not server.disabled
    )
    return "\n".join([*lines[:2], *(" ".join(row[column] for column in columns) for row in entries if row)]) + "\n"


def _entry(
    place: tuple[str, str], server: _Server, old: dict[str, str] | None, columns: list[str]
) -> dict[str, str] | None:
    if old is None:
        return _new(place, server, columns) if server.checked else None
    row = old | {"srv_uweight": server.weight, "srv_iweight": server.weight}
    moved = server.port != old["srv_port"] or (server.fixed and server.address != old["srv_addr"])
    if not moved:
        return row
    row["srv_port"] = server.port
    if old["srv_addr"] == NO_ADDRESS:
        row["srv_admin_state"] = _READY
    if server.fixed:
        row["srv_addr"] = server.address
    return row | (_DOWN if server.checked else {})


def _new(place: tuple[str, str], server: _Server, columns: list[str]) -> dict[str, str]:
    """An entry for a server that the old process does not know: 3.0 would otherwise take it as up."""
    named = {"be_name": place[0], "srv_name": place[1], "srv_addr": server.address if server.fixed else "-"}
    named |= {"srv_uweight": server.weight, "srv_iweight": server.weight, "srv_port": server.port}
    named |= {"srv_fqdn": "-" if server.fixed else server.address}
    return {column: _UNASKED.get(column, "0") for column in columns} | named | _DOWN


def _servers(text: str) -> Iterator[tuple[tuple[str, str], _Server]]:
    """The servers of a rendered configuration by backend and name. Their names and places never need quotes there.
    Not those of a backend of our own: a firewall's judges have refused an attack before they stand there."""
    backend = ""
    for line in text.split("\n"):
        words = line.split()
        if line.startswith("backend "):
            backend = words[1]
        elif backend.startswith(OURS):
            continue
        elif line.startswith("    server "):
            yield (backend, words[1]), _server(words[2], words[3:])
        elif line.startswith("    server-template "):
            last = int(words[2].removeprefix("1-"))
            for number in range(1, last + 1):
                yield (backend, f"{words[1]}{number}"), _server(words[3], words[4:])


def _server(where: str, options: list[str]) -> _Server:
    address, _, port = where.rpartition(":")
    weight = options[options.index("weight") + 1]
    return _Server(address.removeprefix(IPV4), port, weight, checked="check" in options, disabled="disabled" in options)
