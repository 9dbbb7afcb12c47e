"""Forwarding as iptables and ip6tables commands, for people who think in them. To read, not to run.

The same as ``forwarding_text``, port by port as Docker itself writes it; what it would accept is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from .facts import Publication
from .forwarding import Forwarding, Side
from .render import safe


def forwarding_iptables(forwarding: Forwarding, line: str) -> str:
    """``line``: the place in the user's file that asks for it."""
    lines = ["", f"# {safe(line)}: forwarding, masquerading and published ports (the engine writes no rules)"]
    for family, command in ((4, "iptables"), (6, "ip6tables")):
        ports = [item for item in forwarding.ports if item.family == family]
        lines += [f"{command} {text}" for item in ports for text in _published(forwarding, item)]
        lines += [f"{command} {text}" for side in forwarding.sides for text in _leaving(forwarding, side, family)]
        lines += [f"{command} {text}" for text in _separate(forwarding)]
    return "\n".join([*lines, ""])


def _published(forwarding: Forwarding, item: Publication) -> Iterator[str]:
    bridge = f"! -i {forwarding.interface(item.network)} " if forwarding.proxy else ""
    asked = f"-d {item.host_address}" if item.host_address is not None else "-m addrtype --dst-type LOCAL"
    to = f"[{item.address}]:{item.port}" if item.family == 6 else f"{item.address}:{item.port}"
    what = f"-p {item.protocol} --dport {item.host_port} -j DNAT --to-destination {to}"
    yield f"-t nat -A PREROUTING {bridge}{asked} {what}"
    not_local = "! -d 127.0.0.0/8 " if forwarding.proxy and item.family == 4 and item.host_address is None else ""
    yield f"-t nat -A OUTPUT {not_local}{asked} {what}"


def _leaving(forwarding: Forwarding, side: Side, family: int) -> Iterator[str]:
    for subnet in side.bridge.subnets if side.masquerade else ():
        if subnet.version == family:
            yield f"-t nat -A POSTROUTING -s {subnet} ! -o {side.bridge.interface} -j MASQUERADE"
            if not forwarding.proxy:
                translated = "-m conntrack --ctstate DNAT -j MASQUERADE"
                yield f"-t nat -A POSTROUTING -s {subnet} -o {side.bridge.interface} {translated}"


def _separate(forwarding: Forwarding) -> Iterator[str]:
    yield "-N DG-APART"
    yield "-I FORWARD -j DG-APART"
    yield "-A DG-APART -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    for side in forwarding.sides:
        bridge = side.bridge.interface
        yield f"-A DG-APART -i {bridge} -o {bridge} -j {'RETURN' if side.icc else 'DROP'}"
    for side in forwarding.sides:
        if side.internal:
            yield f"-A DG-APART -i {side.bridge.interface} -j DROP"
            yield f"-A DG-APART -o {side.bridge.interface} -j DROP"
    bridges = [side.bridge.interface for side in forwarding.sides]
    for one in bridges:
        yield from (f"-A DG-APART -i {one} -o {other} -j DROP" for other in bridges if other != one)
    yield "-A DG-APART -m conntrack --ctstate DNAT -j RETURN"
    yield from (f"-A DG-APART -o {bridge} -j DROP" for bridge in bridges)
