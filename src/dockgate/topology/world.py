"""The two sources of a graph side by side, and the look-ups that every part of it needs.

Invariant: the ids made here are the only way in which nodes refer to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.model.desired import Desired, Vip
from dockgate.model.objects import balancer_of
from dockgate.model.observed import (
    Container,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    RunningHaproxy,
    Unknown,
)
from dockgate.plan.target import BRIDGE, pool_networks

EVERY_ADDRESS = ("0.0.0.0", "::", "")
NO_NETWORK = ("host", "none")


@dataclass(frozen=True)
class World:
    """``observed`` None: nothing was asked, the file alone is drawn."""

    desired: Desired
    observed: Observed | None

    def host(self, name: str) -> ObservedHost | Unknown | None:
        return self.observed.host(name) if self.observed is not None else None

    def known(self) -> tuple[ObservedHost, ...]:
        return self.observed.known() if self.observed is not None else ()

    def unknown(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.observed.unknown()) if self.observed is not None else ()

    def seats(self) -> Iterator[tuple[Vip, str]]:
        """Every VIP on each of its hosts."""
        return ((vip, host) for vip in self.desired.vips for host in vip.hosts)

    def balancer(self, vip: str, host_name: str) -> Container | None:
        """The VIP's load balancer container there: the one that runs, else the last that did."""
        host = self.host(host_name)
        if not isinstance(host, ObservedHost):
            return None
        return balancer_of(host.containers, self.desired.project, vip)

    def holder(self, vip: str, host_name: str) -> LoadBalancer | None:
        host, container = self.host(host_name), self.balancer(vip, host_name)
        return host.loadbalancer(container.name) if isinstance(host, ObservedHost) and container else None

    def haproxy(self, vip: str, host_name: str) -> RunningHaproxy | None:
        holder = self.holder(vip, host_name)
        return holder.running if holder is not None and isinstance(holder.running, RunningHaproxy) else None

    def network(self, host: str, name: str) -> ObservedNetwork | None:
        state = self.host(host)
        return state.network(name) if isinstance(state, ObservedHost) else None

    def network_id(self, host: str, name: str) -> str:
        """A network that spans hosts has one id, a host's own one has the host in it."""
        seen = self.network(host, name)
        if seen is not None:
            return network_id(name, "" if seen.scope == "swarm" else host)
        wanted = next((item for item in self.desired.networks if item.name == name), None)
        return network_id(name, "" if wanted is not None and wanted.driver == "overlay" else host)

    def host_address(self, name: str) -> str:
        """What the file calls it, else what its Swarm does, else ""."""
        given = next((host.address for host in self.desired.hosts if host.name == name), None)
        state = self.host(name)
        return given or (state.node_address if isinstance(state, ObservedHost) else "")

    def network_hosts(self, network: str) -> tuple[str, ...]:
        """Hosts whose load balancers must be on that network of the file."""
        return tuple(
            sorted(
                {host for vip in self.desired.vips if network in pool_networks(self.desired, vip) for host in vip.hosts}
            )
        )

    def planned_networks(self, vip: Vip) -> tuple[str, ...]:
        """The networks that a VIP's load balancer will be on."""
        return (BRIDGE, *pool_networks(self.desired, vip))


def network_id(name: str, host: str = "") -> str:
    return f"network:{name}@{host}" if host else f"network:{name}"


def host_id(name: str) -> str:
    return f"host:{name}"


def balancer_id(vip: str, host: str) -> str:
    return f"vip:{vip}@{host}"


def pool_id(name: str) -> str:
    return f"pool:{name}"


def member_id(pool: str, name: str) -> str:
    return f"member:{pool}/{name}"


def container_id(host: str, name: str) -> str:
    return f"container:{host}/{name}"
