"""Names of the objects we create. One that ends in a hash changes with what it stands for: old and new coexist."""

from __future__ import annotations

import hashlib


def container(project: str, name: str, spec_hash: str) -> str:
    """A load balancer or node container; its configuration volume has the same name."""
    return f"dockgate-{project}-{name}-{spec_hash[:8]}"


def rules_volume(project: str) -> str:
    """The volume in which a host's node containers, one after another, keep its firewall rules."""
    return f"dockgate-{project}-rules"


def sockets_volume(project: str, vip: str) -> str:
    """The volume in which a VIP's load balancers meet its firewall, on each host."""
    return f"dockgate-{project}-{vip}-sockets"


def address_network(project: str, vip: str, address: str) -> str:
    """The bridge that carries a VIP's address on its host."""
    return f"dockgate-{project}-{vip}-{address.replace('.', '-')}"


def address_device(project: str, vip: str, address: str) -> str:
    """Name of that bridge as a network device: at most 15 characters."""
    digest = hashlib.sha256(f"{project}/{vip}/{address}".encode()).hexdigest()
    return f"dgvip-{digest[:8]}"


def image_group(image: str, host: str) -> str:
    return f"image {image} on {host}"


def network_group(network: str) -> str:
    return f"network {network}"


def node_group(host: str) -> str:
    return f"node on {host}"
