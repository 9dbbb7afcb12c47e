"""A web application firewall as the user's file asks for it, and as it is seen. Values only, made by
``spec.resolve_waf`` and ``edges.waf``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .source import NOWHERE, Source

WafMode: TypeAlias = Literal["on", "detect", "off"]


@dataclass(frozen=True)
class RulesFile:
    """A file of rules, or of words that rules look up. ``name``: in the container; ``place``: the user's file."""

    name: str
    place: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Exclusion:
    """``rules``: ids and spans like ``942100-942199`` that do not look at requests below ``path`` (None: at none), or
    there only not at ``argument``."""

    rules: tuple[str, ...]
    path: str | None = None
    argument: str | None = None
    source: Source = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Waf:
    """``mode``: of requests that no route with a mode of its own takes. ``threshold``: the score from which a request
    is refused. ``fail``: what becomes of a request that nobody judged within ``timeout_ms``. ``body_limit``: bytes of a
    body that are judged; a longer one is refused unless ``oversize`` lets it pass, judged by its beginning. ``rules``:
    a rule set instead of Debian's, from the folder ``rules_place``. ``own``: rules of the user's own.
    """

    mode: WafMode = "on"
    paranoia: int = 1
    threshold: int = 5
    processes: int = 2
    fail: Literal["closed", "open"] = "closed"
    timeout_ms: int = 2000
    body_limit: int = 65_536
    oversize: Literal["refuse", "pass"] = "refuse"
    exclusions: tuple[Exclusion, ...] = ()
    rules: tuple[RulesFile, ...] = ()
    rules_place: str = ""
    own: tuple[RulesFile, ...] = ()
    source: Source = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Refusal:
    """A request that was refused, or would have been. ``rules``: id, message and matched part of each."""

    at: float
    action: str
    status: int
    request_id: str
    client: str
    method: str
    path: str
    score: int
    rules: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class WafState:
    """A firewall container that answers. ``canaries``: what each judge did with an attack just now: "refused", or what
    went wrong. ``last``: refusals, latest last."""

    container: str
    vip: str
    rule_set: str
    engine: str
    rules: int
    judges: int
    wanted: int
    restarts: int
    passed: int
    refused: int
    would_refuse: int
    canaries: tuple[str, ...]
    last: tuple[Refusal, ...] = ()

    @property
    def works(self) -> bool:
        return self.judges == self.wanted and bool(self.canaries) and set(self.canaries) == {"refused"}

    @property
    def trouble(self) -> str:
        """Why it does not work; "" when it does."""
        if self.works:
            return ""
        if self.judges < self.wanted:
            return f"{self.wanted - self.judges} of {self.wanted} judges do not run"
        bad = sorted({canary for canary in self.canaries if canary != "refused"})
        return f"an attack that it must refuse: {'; '.join(bad) or 'it was not asked'}"
