"""Slow clients, as a program of its own, so that who measures beside it does not wait for it.

`python -m tests.contract.slow_clients COUNT KIND` holds so many connections to port 80 and sends a byte on each every
second, until its standard input ends.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from itertools import cycle

HEADS = {
    "slowloris": b"GET / HTTP/1.1\r\nHost: site\r\nX-Slow: ",
    "slow-body": b"POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 10000\r\n\r\n",
}


def main(count: int, kind: str) -> None:
    held = [socket.create_connection(("127.0.0.1", 80), timeout=5) for _ in range(count)]
    for each in held:
        each.sendall(HEADS[kind])
    for each in cycle(held):
        if select.select([sys.stdin], [], [], 1.0 / count)[0]:
            return
        with contextlib.suppress(OSError):
            each.send(b"x", socket.MSG_DONTWAIT)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
