"""Events of every kind, in an order that a seed decides, on a pool of three members that a controller looks after.

Every event ends with the pool whole again, as an operator would wait for it, so that at any time at most one member is
away by it; when a Docker is restarted, those of its host. What each does to requests under way is what the scenario
measures.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.scenarios.keeping import Keeping, keeping
from tests.scenarios.stage import LOST_ITS_SWARM, WEB, engine_restarted, eventually
from tests.scenarios.traffic import NETWORK, RECEIPTS, Scene

from dockgate.lab import faults

PAUSE_S = 0.15
LINK_S = 1.5


@dataclass
class Storm:
    """``killed``: members that died with requests in them. ``done``: the events in order, for the message of a test."""

    scene: Scene
    seed: int
    keeper: Keeping
    done: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, Callable[[str], None]]:
        return {
            "stop": self.stop,
            "kill": self.kill,
            "restart": self.restart,
            "replace": self.replace,
            "pause": self.pause,
            "scale": self.scale,
            "link": self.link,
            "controller": self.controller,
            "engine": self.engine,
        }

    def run(self, events: int) -> None:
        """Each kind at least once before any comes again."""
        chance = random.Random(self.seed)
        order: list[str] = []
        while len(order) < events:
            block = sorted(self.kinds)
            chance.shuffle(block)
            order += block
        for kind in order[:events]:
            member = chance.choice(sorted(self.scene.homes))
            self.done.append(f"{time.time():.3f} {kind} {member}")
            self.kinds[kind](member)
            self.scene.wait_up(within_s=90)

    def times_of(self, kind: str) -> list[float]:
        """When events of one kind began, in seconds since 1970."""
        return [float(line.split()[0]) for line in self.done if line.split()[1] == kind]

    def stop(self, member: str) -> None:
        self._docker(member, "stop", "-t", "3", member)
        self._docker(member, "start", member)

    def kill(self, member: str) -> None:
        self._docker(member, "kill", member)
        self._docker(member, "start", member)

    def restart(self, member: str) -> None:
        self._docker(member, "restart", "-t", "3", member)

    def replace(self, member: str) -> None:
        """Another container under the same name, with another address."""
        self._docker(member, "stop", "-t", "3", member)
        self._docker(member, "rm", member)
        start_member(self.scene, member)

    def pause(self, member: str) -> None:
        with faults.container_paused(self.scene.stage.lab, self.scene.homes[member], member):
            time.sleep(PAUSE_S)  # how long it is frozen is the event itself

    def scale(self, member: str) -> None:
        """Away for good, as far as anybody knows, and then a new one."""
        self._docker(member, "stop", "-t", "3", member)
        self._docker(member, "rm", member)
        rest = set(self.scene.homes) - {member}
        eventually(lambda: self.scene.up() == rest, f"{member} is out", within_s=30)
        start_member(self.scene, member)

    def link(self, member: str) -> None:
        with faults.link_cut(self.scene.stage.lab, self.scene.homes[member]):
            time.sleep(LINK_S)  # how long it is cut is the event itself

    def controller(self, member: str) -> None:
        """Killed, and started again while a member stops."""
        self.keeper.kill()
        self._docker(member, "stop", "-t", "3", member)
        self.keeper.again()
        self._docker(member, "start", member)

    def engine(self, member: str) -> None:
        """The Docker of its host is restarted, as an update of it does: its members stop, and are started again. One
        that is back within seconds may wait for its own ghost in the Swarm and give a start up after 20 s (seen 1 time
        in 5); then it is asked again, as an operator would."""
        host = self.scene.homes[member]
        with engine_restarted(self.scene.stage.lab, host):
            pass
        for name in sorted(name for name, home in self.scene.homes.items() if home == host):
            eventually(partial(self._starts, name), f"{name} starts on {host} after its Docker's restart", within_s=120)

    def _starts(self, member: str) -> bool:
        done = self.scene.stage.lab.docker(self.scene.homes[member], "start", member, check=False)
        assert done.returncode == 0 or LOST_ITS_SWARM in done.stderr, done.stderr
        return done.returncode == 0

    def _docker(self, member: str, *words: str) -> None:
        self.scene.stage.lab.docker(self.scene.homes[member], *words)


def start_member(scene: Scene, member: str) -> None:
    """One that finishes its work when it is told to stop, as the program of a well-behaved service does."""
    options = ["--name", member, "--hostname", member, "--network", NETWORK, "-v", f"{RECEIPTS}:{RECEIPTS}"]
    script = f"exec python3 /srv/web.py >>{RECEIPTS}/{member}"
    host = scene.homes[member]
    scene.stage.lab.exec(host, ["mkdir", "-p", RECEIPTS], check=True)
    scene.stage.lab.docker(host, "run", "-d", "-e", "GRACEFUL=1", *options, WEB, "sh", "-c", script)


__all__ = ["Storm", "keeping", "start_member"]
