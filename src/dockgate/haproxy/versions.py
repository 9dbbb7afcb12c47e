"""Versions: the one table of what differs between the HAProxy versions that dockgate supports.

Role: answer "what does this version want written here". Everything else in this package is the same for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockgate.model.desired import HaproxyVersion


@dataclass(frozen=True)
class Dialect:
    """``first_check``: server options that keep a checked server without traffic until its first good check.

    ``unresolved``: what ``init-addr`` falls back to for a checked server whose name does not resolve (yet).
    ``filter_mode``: of the backend of a firewall's judges; ``filter_lines``: what only this version's filter has.
    """

    first_check: tuple[str, ...]
    unresolved: str
    filter_mode: str = "spop"
    filter_lines: tuple[str, ...] = ()


NOWHERE = "255.255.255.255"

_DIALECTS: dict[HaproxyVersion, Dialect] = {
    # Before 3.1 a server that leaves maintenance (its name resolves) is up until a check fails. A fallback address
    # that every connect fails on at once (no TCP to broadcast) makes it down by its checks instead of in maintenance,
    # and then a good check is needed before it gets traffic.
    "3.0": Dialect(
        first_check=(),
        unresolved=NOWHERE,
        filter_mode="tcp",
        filter_lines=("timeout hello 500ms", "timeout idle 10m"),
    ),
    "3.2": Dialect(first_check=("init-state", "fully-down"), unresolved="none"),
}

NOWHERE_ADDRESSES = tuple(sorted({each.unresolved for each in _DIALECTS.values()} - {"none"}))


def dialect(version: HaproxyVersion) -> Dialect:
    return _DIALECTS[version]
