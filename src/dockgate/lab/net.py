"""The LAN: a bridge in a namespace of its own, a cable from it to each host and to the client.

Role: make, cut and remove links and namespaces with ip(8).
Must not: give the machine's own namespace a device or an address, or the LAN a route out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dockgate.lab.address import (
    CLIENT_ADDRESS,
    CLIENT_VIP_ADDRESS,
    GATEWAY,
    VIP_PREFIX,
    HostPlan,
    LabPlan,
)
from dockgate.lab.process import run

_NETNS = Path("/run/netns")
_CLIENT_PORT = "client"


def existing(namespaces: Iterable[str]) -> list[str]:
    """Those of the namespaces that are there."""
    return [name for name in namespaces if (_NETNS / name).exists()]


def make_lan(plan: LabPlan) -> None:
    """Make the LAN's bridge and the client's link."""
    _add_namespace(plan.lan)
    _add_namespace(plan.client)
    _batch(
        plan.lan,
        "link set lo up",
        "link add br0 type bridge forward_delay 0",
        f"address add {GATEWAY}/24 dev br0",
        "link set br0 up",
        f"link add {_CLIENT_PORT} type veth peer name eth0 address 02:00:c0:a8:32:64 netns {plan.client}",
        f"link set {_CLIENT_PORT} master br0 up",
    )
    # Else the kernel refuses only one look-up a second, and the others wait for their time-out.
    _sysctl(plan.lan, "net/ipv4/icmp_ratelimit", "0")
    _batch(
        plan.client,
        "link set lo up",
        "link set eth0 up",
        f"address add {CLIENT_ADDRESS}/24 dev eth0",
        f"address add {CLIENT_VIP_ADDRESS}/24 dev eth0",
    )


def plug_in(plan: LabPlan, host: HostPlan) -> None:
    """Make a host's namespace and its link to the LAN."""
    _add_namespace(host.netns)
    _batch(
        plan.lan,
        f"link add {host.port} type veth peer name eth0 address {host.mac} netns {host.netns}",
        f"link set {host.port} master br0 up",
    )
    _batch(
        host.netns,
        "link set lo up",
        "link set eth0 up",
        f"address add {host.address}/24 dev eth0",
        f"route add {VIP_PREFIX} dev eth0",
    )


def set_link(plan: LabPlan, port: str, *, up: bool) -> None:
    """Pull a cable out at the switch, or put it back: the host loses its carrier and keeps its addresses."""
    _batch(plan.lan, f"link set {port} {'up' if up else 'down'}")


def link_is_up(plan: LabPlan, port: str) -> bool:
    """True unless the cable is pulled out (or there is none)."""
    return port in _ports(plan, "up")


def unplug(plan: LabPlan, host: HostPlan) -> None:
    """Remove a host's link, then its namespace (whose own devices the kernel removes only some time later)."""
    if host.port in _ports(plan):
        _batch(plan.lan, f"link delete {host.port}")
    remove_namespaces([host.netns])


def remove_namespaces(names: Iterable[str]) -> None:
    """Remove those of the namespaces that are there, a half-made one too."""
    for name in existing(names):
        run(["ip", "netns", "delete", name], attempt=f"removing the network namespace {name}")


def client_port() -> str:
    """The bridge's port of the client."""
    return _CLIENT_PORT


def _ports(plan: LabPlan, *which: str) -> list[str]:
    said = run(["ip", "-n", plan.lan, "-br", "link", "show", *which], attempt="looking at the LAN's links")
    return [line.split()[0].split("@")[0] for line in said.splitlines() if line.strip()]


def _add_namespace(name: str) -> None:
    run(["ip", "netns", "add", name], attempt=f"making the network namespace {name}")


def _sysctl(namespace: str, name: str, value: str) -> None:
    run(
        ["nsenter", f"--net=/run/netns/{namespace}", "sh", "-c", f"echo {value} >/proc/sys/{name}"],
        attempt=f"setting {name} in {namespace}",
    )


def _batch(namespace: str, *commands: str) -> None:
    run(
        ["ip", "-n", namespace, "-batch", "-"],
        feed="\n".join(commands) + "\n",
        attempt=f"setting up links in {namespace}",
    )
