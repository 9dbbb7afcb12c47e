"""Joining the hosts into one Swarm.

Role: the first host becomes the manager, the others join as workers. Hosts that are in already are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dockgate.lab.address import HostPlan
from dockgate.lab.engine import JSON, Engine


def join_all(hosts: Sequence[tuple[HostPlan, Engine]]) -> None:
    """Make one Swarm of the hosts; the first one manages it."""
    (first, manager), *rest = hosts
    if not in_swarm(manager):
        manager.post(
            "/swarm/init",
            {"ListenAddr": f"{first.address}:2377", "AdvertiseAddr": first.address, "DataPathAddr": first.address},
            attempt=f"making {first.name} the Swarm's manager",
        )
    token = _worker_token(manager)

    def join(host: HostPlan, engine: Engine) -> None:
        if in_swarm(engine):
            return
        request: dict[str, JSON] = {
            "ListenAddr": f"{host.address}:2377",
            "AdvertiseAddr": host.address,
            "DataPathAddr": host.address,
            "RemoteAddrs": [f"{first.address}:2377"],
            "JoinToken": token,
        }
        engine.post("/swarm/join", request, attempt=f"joining {host.name} to the Swarm")

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda pair: join(*pair), rest))


def in_swarm(engine: Engine) -> bool:
    """True if the engine is part of a Swarm."""
    return _swarm(engine).get("LocalNodeState") not in {"inactive", None}


def role(engine: Engine) -> str:
    """`manager`, `worker` or `none`."""
    swarm = _swarm(engine)
    if swarm.get("LocalNodeState") in {"inactive", None}:
        return "none"
    return "manager" if swarm.get("ControlAvailable") else "worker"


def _swarm(engine: Engine) -> dict[str, JSON]:
    info = engine.get("/info", attempt="asking for the engine's state")
    swarm = info.get("Swarm") if isinstance(info, dict) else None
    return swarm if isinstance(swarm, dict) else {}


def _worker_token(manager: Engine) -> str:
    swarm = manager.get("/swarm", attempt="asking for the Swarm's join token")
    tokens = swarm.get("JoinTokens") if isinstance(swarm, dict) else None
    return str(tokens["Worker"]) if isinstance(tokens, dict) else ""
