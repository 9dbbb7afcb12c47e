"""What is done with a host's firewall rules; see actions.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .desired import Desired
from .proof import ProofRequest


@dataclass(frozen=True)
class ApplyRules:
    """Bring a file's firewall into force on a host: checked by nft, replaced whole, forbidden connections cut.

    What it asks for is made into rules when it is carried out, since a container has its address only once it runs. The
    rules are on trial: they are taken back by the host itself after ``limit_s`` seconds unless they are kept.
    ``confirm``: it is the operator who keeps them.
    """

    host: str
    desired: Desired = field(repr=False)
    limit_s: int
    confirm: bool = False

    def __str__(self) -> str:
        who = "unless confirmed" if self.confirm else "unless proved"
        return f"put the firewall into force, for {self.limit_s} s {who}"


@dataclass(frozen=True)
class ProveRules:
    """The host can still be reached: its engine over a new connection, and from the node container of ``vantage`` the
    failsafe ``ports`` at ``address`` and the VIPs, of which ``must_serve`` pools answered before.

    ``vantage`` "": there is no other host to ask from. ``requests``: empty where no VIP is on it.
    """

    host: str
    desired: Desired = field(repr=False)
    vantage: str = ""
    address: str = ""
    ports: tuple[int, ...] = ()
    requests: tuple[ProofRequest, ...] = ()
    must_serve: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f", ask it from {self.vantage}" if self.vantage else ""
        return f"connect to its engine anew{where}"


@dataclass(frozen=True)
class KeepRules:
    """What is on trial is kept."""

    host: str

    def __str__(self) -> str:
        return "keep the firewall's rules"


@dataclass(frozen=True)
class RevertRules:
    """Back to the rules that are kept; none kept means no table of ours."""

    host: str

    def __str__(self) -> str:
        return "go back to the firewall's previous rules"


@dataclass(frozen=True)
class RemoveRules:
    """No table of ours on the host any more."""

    host: str

    def __str__(self) -> str:
        return "remove the firewall's rules"


RulesAction: TypeAlias = ApplyRules | ProveRules | KeepRules | RevertRules | RemoveRules
