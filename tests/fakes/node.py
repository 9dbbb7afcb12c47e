"""The program in a fake node container: it finds out what a client on the fake network would get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dockgate.model.observed import PublishedPort

if TYPE_CHECKING:
    from tests.fakes.engine import FakeContainer
    from tests.fakes.network import FakeNetwork


def node(network: FakeNetwork, verb: str, request: Sequence[Mapping[str, object]]) -> object:
    """The answer to one verb, as it would stand on standard output."""
    return [_answer(network, job) for job in request] if verb == "probe" else {}


def _answer(network: FakeNetwork, job: Mapping[str, object]) -> dict[str, object]:
    address, port = str(job["address"]), int(str(job["port"]))
    for engine in network.engines.values():
        held = {engine.address, *(each.gateway for each in engine.local.values() if each.gateway)}
        for container in engine.kept.values() if address in held else ():
            if any(_serves(published, address, port) for published in container.seen.published):
                shown = engine.shown(container, port) if "name" in job else ""
                return {"outcome": "open", "status": _answered(network, container, job), "shown": shown}
    return {"outcome": "refused"}


def _serves(published: PublishedPort, address: str, port: int) -> bool:
    return published.host_port == port and published.host_address in ("0.0.0.0", address)


def _answered(network: FakeNetwork, container: FakeContainer, job: Mapping[str, object]) -> int:
    """A firewall before it refuses an attack, if it refuses any."""
    guarded = "filter spoe" in container.haproxy.text and not network.faults.lets_attacks_pass
    return 403 if guarded and "script" in str(job["path"]) else _status(network, container, int(str(job["port"])))


def _status(network: FakeNetwork, container: FakeContainer, port: int) -> int:
    pool = container.haproxy.default_backend(port)
    servers = [server for server in container.haproxy.servers if server.pool == pool]
    up = any(server.usable(lambda name: network.lookup(container.seen, name)) for server in servers)
    return network.faults.status or (200 if up else 503)
