"""Plan: what would be done, in order, each step with its cause; and what cannot be done, with the reason.

Steps are carried out in order. Where neighbours are marked ``beside``, their groups go on side by side, each in its
own order, and wait for each other only where ``needs`` says so. Steps of one group depend on each other: when one
fails, the rest of its group is not tried and the undo actions of the group's finished steps are done in reverse order.
Other groups go on, unless the group is a requirement of theirs (``needs``). Carried out by ``controller.execute``,
which decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .actions import Action
from .source import Source


@dataclass(frozen=True)
class Step:
    """One action and why. ``cause``: a sentence without a full stop. ``undo``: done if a later step fails.

    ``undo_if_failed``: done also if this step itself fails, because it may have had its effect (a time limit, a lost
    connection); only where an undo without anything to undo does nothing."""

    action: Action
    cause: str
    group: str
    undo: tuple[Action, ...] = ()
    needs: tuple[str, ...] = ()
    beside: bool = False
    undo_if_failed: bool = False


@dataclass(frozen=True)
class Blocked:
    """Something the file asks for that cannot be planned now: what, why, and what to do about it."""

    what: str
    why: str
    hint: str
    source: Source | None = None


@dataclass(frozen=True)
class Plan:
    """``notes``: things a person should know (orphans, what will not be seamless), one sentence each."""

    steps: tuple[Step, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.steps and not self.blocked
