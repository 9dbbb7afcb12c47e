"""Who can reach whom, tried with real packets from the right network namespaces: what `dockgate verify` drives.

    survey   {pids, overlays}            -> this host's links, who listens in each container, each overlay's VNI
    serve    {token, seconds, responders, watch, trace} -> at once, when all of it is up; it runs on in the background
    probe    {jobs}                      -> an answer for each job, in order, all asked at the same time
    collect  {token}                     -> whom the answering side saw, and which rule decided; ends what serve began

A namespace is "host" (the one this program starts in), "pid:N" (a container's) or "overlay:ID". Sockets are opened in
there and used from here: nothing of a container's files is read or executed. Responders answer on one address each,
only while a verification runs, and only where nothing else listens; whatever happens, they end after ``seconds``.
The trace is a table of ours, ``inet dockgate_verify``, that marks our own packets and judges none.

Standard library, nft and ip only. Needs the host's process ids and the capabilities NET_RAW, NET_ADMIN, SYS_ADMIN,
SYS_PTRACE and NET_BIND_SERVICE. Outcomes: open, refused, dropped, unreachable, probe_failed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from dockgate_probe import probe
from dockgate_serve import collect, serve
from dockgate_spaces import SPACES, CannotDo, answer, listening, run


def survey(request: dict[str, Any]) -> dict[str, Any]:
    containers: dict[str, Any] = {}
    for name, pid in request["pids"].items():
        try:
            containers[name] = {"listening": listening(f"/proc/{pid}/net")}
        except OSError as error:
            containers[name] = {"error": str(error)}
    return {
        "links": _links(),
        "listening": listening("/proc/self/net"),
        "containers": containers,
        "overlays": {ident: _overlay(ident) for ident in request["overlays"]},
    }


def _links() -> list[dict[str, Any]]:
    found = json.loads(run("ip", "-j", "address"))
    return [
        {
            "name": link["ifname"],
            "mac": link.get("address", ""),
            "addresses": [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a.get("scope") == "global"],
        }
        for link in found
        if link.get("ifname") and "UP" in link.get("flags", ())
    ]


def _overlay(ident: str) -> dict[str, Any]:
    try:
        with SPACES.inside(f"overlay:{ident}"):
            links = json.loads(run("ip", "-j", "-d", "link", "show", "type", "vxlan"))
    except (CannotDo, OSError) as error:
        return {"error": str(error)}
    vnis = [link["linkinfo"]["info_data"]["id"] for link in links if "linkinfo" in link]
    return {"vni": vnis[0]} if vnis else {"error": "it has no VXLAN device"}


VERBS = {"survey": survey, "serve": serve, "probe": probe, "collect": collect}


if __name__ == "__main__":
    sys.exit(answer("dockgate_reach.py", VERBS, sys.argv[1:]))
