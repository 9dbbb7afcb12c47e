"""The engine and the file: do both say the same about who writes forwarding, masquerading and published ports?

Two of them at once would translate twice and undo each other at every restart; none of them leaves ports closed. So
where the file says ``docker_iptables: off`` and Docker's rules are there, ours are not written, and it is said why.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockgate.model.desired import Desired
from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import ObservedHost


@dataclass(frozen=True)
class Mismatch:
    """``what`` is wrong on a host, and the ``hint``: what to do. ``stops``: rules cannot be loaded before."""

    what: str
    hint: str
    stops: bool = True

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}"


def forwards(desired: Desired) -> bool:
    """Whether the file leaves forwarding to us."""
    return desired.firewall is not None and not desired.firewall.docker_iptables


def mismatch(desired: Desired, host: ObservedHost) -> Mismatch | None:
    """None also while nobody could look."""
    rules = host.engine_rules
    if not isinstance(rules, EngineRules):
        return None
    return _off(host.name, rules) if forwards(desired) else _on(host.name, rules)


def _off(host: str, rules: EngineRules) -> Mismatch | None:
    if rules.iptables:
        return Mismatch(
            f"{host}: the file says docker_iptables: off, but the engine there writes rules of its own",
            f'set "iptables": false and "ip6tables": false in {host}\'s /etc/docker/daemon.json and restart Docker,'
            " or take docker_iptables out of the file",
        )
    if rules.chains:
        return Mismatch(
            f"{host}: the file says docker_iptables: off, but rules that Docker wrote are still there"
            f" ({', '.join(rules.chains)})",
            f"reboot {host}: an engine that stops writing rules leaves the old ones",
        )
    if not rules.forwarding:
        return Mismatch(
            f"{host}: the kernel passes no packets on, so that no published port can lead to a container",
            f"on {host}: sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.d for the next boot"
            " (Docker does it by itself unless it runs with ip-forward: false)",
        )
    return None


def _on(host: str, rules: EngineRules) -> Mismatch | None:
    if rules.iptables is False and not rules.chains:
        return Mismatch(
            f"{host}: the engine writes no rules (iptables: false), and the file leaves them to it: containers do not"
            " reach the outside, and published ports hide who asks",
            "write firewall: {docker_iptables: off}, then dockgate writes them",
            stops=False,
        )
    return None
