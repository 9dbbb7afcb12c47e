"""The firewall's program in a fake node container: what is kept, what is on trial, and the world's faults.

A trial ends when ``expire`` is called, as the deadline would; ``lose`` is somebody's ``nft flush ruleset``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DOCKER_RULES = {
    "iptables": True,
    "proxy": True,
    "masquerade": True,
    "rules": ["ip nat DOCKER"],
    "forwarding": True,
    "forwarding6": False,
}


@dataclass
class FakeFirewall:
    """``kept``, ``trial``: rule sets as they were handed over; ``loaded``: the one in the kernel. ``flows``: what the
    kernel tracks, in the program's words. ``missing``: overlays without a namespace. ``refuse``: what ``nft -c`` says
    to everything. ``engine``: what the engine does in the kernel."""

    kept: dict[str, Any] | None = None
    trial: dict[str, Any] | None = None
    loaded: dict[str, Any] | None = None
    confirm: bool = False
    candidates: dict[str, Any] = field(default_factory=dict)
    flows: list[dict[str, str]] = field(default_factory=list)
    cut: list[dict[str, str]] = field(default_factory=list)
    refuse: str = ""
    missing: list[str] = field(default_factory=list)
    engine: dict[str, Any] = field(default_factory=lambda: dict(DOCKER_RULES))

    def verb(self, verb: str, request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, f"_{verb}")(request)
        return answer

    def expire(self) -> None:
        self._revert({})

    def lose(self) -> None:
        self.loaded = None

    def _state(self, request: Any) -> dict[str, Any]:
        wanted = self.trial or self.kept
        place = {
            "place": "host",
            "in_force": wanted is not None and self.loaded == wanted,
            "foreign": False,
            "bridge_filter": True,
        }
        return {
            "lan": ["192.168.50.0/24"],
            "bridge_filter": True,
            "legacy": [],
            "kept": self.kept["hash"] if self.kept else "",
            "trial": self.trial["hash"] if self.trial else "",
            "confirm": self.confirm,
            "left_s": 60.0 if self.trial else 0.0,
            "places": [place],
            "engine": self.engine,
            "gaps": [],
        }

    def _flows(self, request: Any) -> dict[str, Any]:
        return {"flows": self.flows, "own": ["192.168.50.11"]}

    def _apply(self, request: Any) -> dict[str, Any]:
        candidate = self.candidates.pop(f"candidate-{request['hash']}.json")
        if self.refuse:
            return {"error": self.refuse}
        doomed = candidate.pop("cut")
        self.cut += doomed
        self.flows = [flow for flow in self.flows if flow not in doomed]
        self.trial = self.loaded = candidate
        self.confirm = request["confirm"]
        return {"flows": self.flows, "own": ["192.168.50.11"], "missing": self.missing}

    def _cut(self, request: Any) -> dict[str, Any]:
        self.cut += request
        return {"cut": len(request)}

    def _keep(self, request: Any) -> dict[str, Any]:
        if self.trial is None:
            return {"error": "there are no rules on trial"}
        self.kept, self.trial, self.confirm = self.trial, None, False
        return {"kept": self.kept["hash"]}

    def _revert(self, request: Any) -> dict[str, Any]:
        if self.trial is not None:
            self.trial, self.loaded, self.confirm = None, self.kept, False
        return {"kept": self.kept["hash"] if self.kept else ""}

    def _remove(self, request: Any) -> dict[str, Any]:
        self.kept = self.trial = self.loaded = None
        return {}
