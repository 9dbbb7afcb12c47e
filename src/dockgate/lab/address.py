"""The address plan: what a lab's hosts are called and which addresses they have.

Role: turn a lab's name and number of hosts into names and addresses. Pure.
Invariant: the same name and number give the same plan; two labs differ in names only, never in addresses, because
each LAN lives in a network namespace of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockgate.lab.errors import NotRight

DEFAULT_NAME = "dockgate-lab"
DOMAIN = "lab.lab"
CLIENT = "client"
GATEWAY = "192.168.50.1"
"""An address on the bridge that nothing listens on: a name look-up sent there is refused at once."""
CLIENT_ADDRESS = "192.168.50.100"
CLIENT_VIP_ADDRESS = "10.10.10.1"
VIP_PREFIX = "10.10.10.0/24"
MOST_HOSTS = 60

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")


@dataclass(frozen=True)
class HostPlan:
    """One Docker host: `address` on the LAN, `mac` kept over power cuts, `netns` as `ip netns` knows it, `port` its
    link's end on the LAN bridge."""

    name: str
    address: str
    mac: str
    netns: str
    port: str


@dataclass(frozen=True)
class LabPlan:
    """All names of one lab; the hosts in order, the first one is the Swarm manager."""

    name: str
    hosts: tuple[HostPlan, ...]

    @property
    def lan(self) -> str:
        """The network namespace that holds the LAN's bridge."""
        return f"{self.name}-lan"

    @property
    def client(self) -> str:
        """The client host's network namespace."""
        return f"{self.name}-client"

    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace of the lab."""
        return (self.lan, self.client, *(host.netns for host in self.hosts))


def plan_lab(name: str, hosts: int) -> LabPlan:
    """The plan for a lab; NotRight if the name or the number cannot be used."""
    if not _NAME.fullmatch(name):
        raise NotRight(
            f"{name!r} cannot be a lab's name",
            attempt="planning the lab",
            next_step="Use 2 to 32 lower-case letters, digits and '-', with a letter first.",
        )
    if not 1 <= hosts <= MOST_HOSTS:
        raise NotRight(
            f"a lab cannot have {hosts} hosts",
            attempt=f"planning the lab {name}",
            next_step=f"Ask for 1 to {MOST_HOSTS}.",
        )
    return LabPlan(name, tuple(_host(name, number) for number in range(1, hosts + 1)))


def hosts_file(plan: LabPlan) -> str:
    """The text of /etc/hosts, the same on all hosts and the client."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    lines += [f"{host.address} {host.name}.{DOMAIN} {host.name}" for host in plan.hosts]
    lines.append(f"{CLIENT_ADDRESS} {CLIENT}.{DOMAIN} {CLIENT}")
    return "\n".join(lines) + "\n"


def _host(lab: str, number: int) -> HostPlan:
    return HostPlan(
        name=f"docker{number}",
        address=f"192.168.50.{10 + number}",
        mac=f"02:00:c0:a8:32:{10 + number:02x}",
        netns=f"{lab}-docker{number}",
        port=f"port{number}",
    )
