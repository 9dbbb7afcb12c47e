"""Tables: what HAProxy remembers of clients, and how that outlives a reload.

The leaving process hands its tables to the next one, as a peer of itself.
"""

from __future__ import annotations

from dockgate.haproxy.tree import Section, line

PEERS = "reloads"
LOCAL_PEER = "dockgate"
PEER_SOCKET = "unix@/run/haproxy/peers.sock"
MOST_KEYS = 100_000


def peers() -> Section:
    return Section("peers", PEERS, (line("peer", LOCAL_PEER, PEER_SOCKET),))
