"""What is done to a web application firewall; see actions.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .waf import RulesFile


@dataclass(frozen=True)
class PutRules:
    """Put settings and rules into the volume of a firewall that does not run."""

    host: str
    container: str
    files: tuple[RulesFile, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"put {len(self.files)} files of rules and settings into the volume of {self.container}"


@dataclass(frozen=True)
class JudgeRules:
    """Let the engine of the same image load them. ``files``: to tell a mistake's place in the user's file."""

    host: str
    container: str
    files: tuple[RulesFile, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"check the rules of {self.container} with ModSecurity"


@dataclass(frozen=True)
class ProveWaf:
    """Each of its judges must refuse an attack."""

    host: str
    container: str
    vip: str

    def __str__(self) -> str:
        return f"have every judge of {self.container} refuse an attack"


WafAction: TypeAlias = PutRules | JudgeRules | ProveWaf
