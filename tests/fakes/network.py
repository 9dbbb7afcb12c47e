"""The network between fake engines, and the knobs that make it go wrong.

Invariant: a knob is an event of the outside world (a host off, a process killed, a refusal of HAProxy), never a state
that the real world could not be in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.swarm import KeptSwarm

from dockgate.edges.firewall import PROGRAM
from dockgate.model.objects import WAF_PROGRAM
from dockgate.model.observed import Container, ObservedNetwork

if TYPE_CHECKING:
    from tests.fakes.engine import FakeEngine


class Killed(BaseException):
    """dockgate itself died here (kill -9). Not an Exception: nothing may catch it."""


@dataclass
class Faults:
    """``off``: hosts whose engine does not answer, ``silent``: hosts whose engine never answers.

    ``fail_at``/``kill_before``/``kill_after``: the number of a call, counted from 1 over all engines; it fails, or
    dockgate dies before or after it had its effect. ``fail``: calls (by their text) that fail. ``refuse``: what
    ``haproxy -c`` says when it refuses every configuration. ``status``: what every VIP answers, whatever its pool.
    ``refuse_certificate``: what HAProxy says to a certificate on its runtime socket.
    ``lets_attacks_pass``: firewalls refuse nothing.
    """

    off: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    fail_at: int = 0
    kill_before: int = 0
    kill_after: int = 0
    fail: Callable[[str], bool] = lambda call: False
    refuse: str = ""
    status: int = 0
    refuse_certificate: str = ""
    lets_attacks_pass: bool = False


@dataclass
class FakeNetwork:
    """All engines of one test. ``folder``: where volumes are real directories. ``calls``: every call, in order."""

    folder: Path
    engines: dict[str, FakeEngine] = field(default_factory=dict)
    overlays: dict[str, ObservedNetwork] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    calls: list[str] = field(default_factory=list)
    made: int = 0
    swarm: KeptSwarm = field(default_factory=KeptSwarm)

    def next_id(self) -> str:
        self.made += 1
        return f"{self.made:064x}"

    def lookup(self, asking: Container, name: str) -> str | None:
        """Docker's DNS: a running container's address on a network that both are on."""
        for engine in self.engines.values():
            for other in (each.seen for each in engine.kept.values() if each.seen.state == "running"):
                for place in other.attachments:
                    if place.network in asking.networks() and name in (other.name, *place.aliases):
                        return place.address or None
        return None

    def changes(self) -> list[str]:
        """The calls that change something."""
        reading = ("info", "containers", "container ", "networks", "volumes", "images", "get_file", "exec show ")
        reading += (f"exec {' '.join(PROGRAM)} state", f"exec {' '.join(WAF_PROGRAM)} status")
        return [call for call in self.calls if not call.partition(": ")[2].startswith(reading)]
