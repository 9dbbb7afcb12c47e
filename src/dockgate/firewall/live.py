"""Live: which of the connections that a kernel tracks the policy forbids now. Pure; by the policy, not by the rules.

A connection is judged as if it began now, from the side that began it. What is not from, to or between containers and
ports behind Docker's proxy is nothing of ours, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from dockgate.model.policy import Policy

from .evaluate import Flow, FlowProtocol, evaluate
from .facts import OVERLAY_BRIDGE, Address, HostFacts

OUTSIDE = "outside"
"""Stands for whatever interface leads away from this host: no bridge of Docker's has that name."""

_PROTOCOLS: dict[str, FlowProtocol] = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmp"}


@dataclass(frozen=True)
class Tracked:
    """A connection: who began it, what was asked for, and who answers."""

    protocol: str
    source: Address
    asked: Address
    asked_port: int
    server: Address
    server_port: int
    icmp_type: int = 0


def is_forbidden(policy: Policy, facts: HostFacts, own: frozenset[Address], tracked: Tracked) -> bool:
    """``own``: the host's addresses."""
    flow = _flow(facts, own, tracked)
    if not flow.iif and not flow.oif:
        return False
    return evaluate(policy, facts, flow).verdict != "allow"


def may_ask(policy: Policy, facts: HostFacts, client: Address | None, asked: tuple[Address, int]) -> bool:
    """Whether a client (None: the host itself) may ask for a TCP port that Docker published; any other port: yes."""
    address, port = asked
    found = [
        Flow(
            iif="" if client is None else OUTSIDE,
            oif=facts.interface(item.network) or OUTSIDE,
            source=client or address,
            destination=item.address,
            port=item.port,
            asked=asked,
        )
        for item in facts.publications
        if item.protocol == "tcp" and item.host_port == port and item.host_address in (None, address)
    ]
    return not found or any(evaluate(policy, facts, flow).verdict == "allow" for flow in found)


def tracked(protocol: str, source: str, asked: tuple[str, str], server: tuple[str, str], icmp_type: str) -> Tracked:
    """From the kernel's words."""
    return Tracked(
        protocol, ip_address(source), ip_address(asked[0]), int(asked[1]), ip_address(server[0]), int(server[1]),
        int(icmp_type),
    )  # fmt: skip


def _flow(facts: HostFacts, own: frozenset[Address], tracked: Tracked) -> Flow:
    asked = (tracked.asked, tracked.asked_port)
    return Flow(
        iif=_interface(facts, own, tracked.source),
        oif=_interface(facts, own, tracked.server),
        source=tracked.source,
        destination=tracked.server,
        protocol=_PROTOCOLS.get(tracked.protocol, "gre"),
        port=tracked.server_port,
        asked=asked if asked != (tracked.server, tracked.server_port) else None,
        icmp_type=tracked.icmp_type,
    )


def _interface(facts: HostFacts, own: frozenset[Address], address: Address) -> str:
    if facts.kind == "overlay":
        return OVERLAY_BRIDGE
    if address in own or address.is_loopback:
        return ""
    for bridge in facts.bridges:
        if any(address in subnet for subnet in bridge.subnets if subnet.version == address.version):
            return bridge.interface
    return OUTSIDE
