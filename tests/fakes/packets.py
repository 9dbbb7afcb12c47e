"""A world of packets without a kernel: jobs run through compiled rule sets, as the real prober's do through real ones.

Holds the rule sets by place, and knobs for what else can be wrong in a world. Knows nothing of the policy: it judges by
``firewall.ruleset_eval`` alone, and raises on a rule that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dockgate.firewall import compile_ruleset
from dockgate.firewall.ruleset import Ruleset
from dockgate.firewall.ruleset_eval import Machine
from dockgate.verify import Cell, Proof, Scene, all_jobs, judge
from dockgate.verify.model import Decided, Hop, Job, Measured, Outcome

_OURS = "inet dockgate"


@dataclass
class FakeWorld:
    """``rulesets``: by the place's name; a place without one has no table. ``dead``: targets where nobody answers.
    ``masqueraded``: targets that see another address. ``foreign``: places where somebody else drops everything.
    ``lost``: jobs that never got an answer from the prober. ``broken``: probes that could not be sent.
    ``talkative``: what a question gets as an answer, by its attack.
    """

    scene: Scene
    rulesets: dict[str, Ruleset] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    masqueraded: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    lost: set[Job] = field(default_factory=set)
    broken: set[Job] = field(default_factory=set)
    talkative: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(scene: Scene) -> FakeWorld:
        """The policy's own rule sets everywhere."""
        places = (*scene.hosts.values(), *scene.overlays.values())
        return FakeWorld(scene, {place.name: compile_ruleset(scene.policy, place.facts) for place in places})

    def prove(self) -> Proof:
        jobs = all_jobs(self.scene)
        machines = {name: Machine(ruleset) for name, ruleset in self.rulesets.items()}
        measured = [None if job in self.lost else self._measure(job, machines) for job in jobs]
        places = (*self.scene.hosts.values(), *self.scene.overlays.values())
        without = [f"{place.name} has no table" for place in places if place.name not in self.rulesets]
        return Proof(judge(jobs, measured), missing=(*self.scene.missing, *self.scene.absent, *without))

    def _measure(self, job: Job, machines: dict[str, Machine]) -> Measured:
        if job in self.broken:
            return Measured("probe failed", "it could not be sent")
        if not isinstance(job, Cell):
            text = self.talkative.get(job.attack, f"HTTP/1.0{job.proves}Unauthorized" if job.proves else "")
            return Measured("open" if text else "refused", text=text)
        outcome, decided = self._walk(job.hops, machines)
        control: Outcome = "refused" if job.target.name in self.dead else "open"
        if outcome == "open" and job.target.name in self.dead:
            outcome = "refused"
        whom = "203.0.113.1" if job.target.name in self.masqueraded else job.shown_as
        return Measured(outcome, seen_as=(whom,) if outcome == "open" else (), decided=decided, control=control)

    def _walk(self, hops: Iterable[Hop], machines: dict[str, Machine]) -> tuple[Outcome, tuple[Decided, ...]]:
        decided: list[Decided] = []
        for hop in hops:
            name = hop.place.name
            if name in machines:
                found = machines[name].run(hop.flow)
                if found.verdict != "accept":
                    decided.append(Decided(name, _OURS, found.chain, "drop", (*found.comments, "")[0]))
                    return ("dropped" if found.verdict == "drop" else "refused"), tuple(decided)
                decided += [Decided(name, _OURS, found.chain, "accept", comment) for comment in found.comments]
            if name in self.foreign:
                return "dropped", (*decided, Decided(name, "ip filter", "DOCKER-USER", "drop"))
        return "open", tuple(decided)
