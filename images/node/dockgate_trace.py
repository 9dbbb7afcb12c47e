"""Watching one request on a host: what `dockgate trace` drives, in a node container or where dockgate runs.

    dockgate_trace.py JSON   {"places": [namespace], "port": P, "servers": [[address, port]], "token",
                              "vxlan": UDP port, "seconds": S, "send": {…} or null}
    standard input, a line each:
        "send"                                  -> what came back
        "report"                                -> packets, rules they met, who listens
        "close"                                 -> a connection that was left open is closed
        {"connections": [port]}                 -> conntrack's word on them
        {"ways": [namespace, [address]]}        -> what the kernel has against the way on
        {"forwarding": [[namespace, address]]}  -> where an overlay network sends what is for it
        {"stations": [[namespace, own, peer]]}  -> a container's MAC, and the one that it has for a peer
    standard output: one line of JSON for the start and for each line of input

A namespace is "host", "pid:N" or "overlay:ID", as in dockgate_spaces.py. Changes nothing. Invariant: the program ends
with its standard input or after S seconds, and nothing of it is left. Standard library, nft, ip, bridge, conntrack.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
import time
from typing import Any

import dockgate_tables as tables
from dockgate_send import HELD, send
from dockgate_spaces import CannotDo
from dockgate_watch import Watch

_ASKED = {
    "connections": tables.connections,
    "ways": lambda asked: tables.ways(*asked),
    "forwarding": tables.forwarding,
    "stations": tables.stations,
}


def main(request: dict[str, Any]) -> None:
    watch = Watch(request)
    deadline = time.monotonic() + float(request["seconds"])
    buffered = b""
    try:
        say(watch.begin())
        watch.selector.register(0, selectors.EVENT_READ, None)
        while time.monotonic() < deadline:
            watch.turn(0.0)
            if not any(key.fd == 0 for key, _ in watch.selector.select(0.2)):
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines:
                say(answer(watch, request, line.decode()))
    finally:
        watch.close()


def answer(watch: Watch, request: dict[str, Any], line: str) -> Any:
    if line == "send":
        return send(request["send"])
    if line == "close":
        while HELD:
            HELD.pop().close()
        return None
    if line == "report":
        return _report(watch, request)
    ((what, asked),) = json.loads(line).items()
    try:
        return _ASKED[what](asked)
    except (CannotDo, OSError) as error:
        return {"failed": str(error)}


def _report(watch: Watch, request: dict[str, Any]) -> dict[str, Any]:
    watch.selector.unregister(0)
    try:
        found = watch.report()
    finally:
        watch.selector.register(0, selectors.EVENT_READ, None)
    inside = [name for name in request["places"] if name.startswith("pid:")]
    return found | {"listeners": [[name, *each] for name in inside for each in tables.listeners(name)]}


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
