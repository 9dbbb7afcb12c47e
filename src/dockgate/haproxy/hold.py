"""Hold: what to say over the runtime socket so that a server is as the engine says its container is. Pure.

Only ever a *state*, and addresses for slots; see ``runtime`` for why. A server that a person drained or put in
maintenance is told apart by not being held by us, and left alone.

A member that is told to stop is drained until it is gone. From then on its own checks keep it out: it is set down and
ready, so that whoever comes back comes back by its checks, with or without a controller. Without checks it stays held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockgate.haproxy.tree import NO_ADDRESS

_BY_HAND = 0x01 | 0x08
"""Forced maintenance and forced drain in ``srv_admin_state``; all others are inherited, configured or DNS's."""


@dataclass(frozen=True)
class ServerStanding:
    """A server's line in ``show servers state``."""

    server: str
    address: str
    port: int
    admin: int
    up: bool

    @property
    def by_hand(self) -> bool:
        """Somebody set it aside. An empty slot is ours: in maintenance and without an address."""
        return bool(self.admin & _BY_HAND) and self.address != ""


def parse(dump: str) -> Mapping[str, ServerStanding]:
    """The answer to ``show servers state BACKEND``, by server; ValueError when it is not that."""
    lines = dump.strip().splitlines()
    if lines[:1] != ["1"] or len(lines) < 2:
        raise ValueError(f"not HAProxy's server state: {dump[:80]!r}")
    columns = lines[1].removeprefix("# ").split()
    rows = (dict(zip(columns, line.split(" "), strict=False)) for line in lines[2:] if line)
    return {row["srv_name"]: _standing(row) for row in rows}


def hold(pool: str, server: str, *, sticky: bool = False) -> str:
    """Nothing new for it. A drained server still gets those who stick to it; one in maintenance does not."""
    return f"set server {pool}/{server} state {'maint' if sticky else 'drain'}"


def set_down(pool: str, server: str) -> str:
    """Until its next good check."""
    return f"set server {pool}/{server} health down"


def _standing(row: Mapping[str, str]) -> ServerStanding:
    address = row["srv_addr"]
    return ServerStanding(
        server=row["srv_name"],
        address="" if address in ("-", NO_ADDRESS) else address,
        port=int(row["srv_port"]),
        admin=int(row["srv_admin_state"]),
        up=row["srv_op_state"] != "0",
    )
