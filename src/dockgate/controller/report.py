"""What became of a plan, step by step: frozen values for the screen, for JSON and for the log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dockgate.errors import DockgateError
from dockgate.model.actions import Action
from dockgate.model.plan import Step

Status: TypeAlias = Literal["done", "failed", "skipped", "undone"]


@dataclass(frozen=True)
class Undoing:
    """An undo action that was carried out; ``error`` when it failed in its turn."""

    action: Action
    error: DockgateError | None = None


@dataclass(frozen=True)
class StepReport:
    """One step's fate.

    ``error``: why it failed. ``why``: why it was skipped or undone, a sentence without a full stop. ``remark``: what a
    person should know about a step that was done. ``undoing``: what was done to take it back.
    """

    step: Step
    status: Status
    seconds: float = 0.0
    error: DockgateError | None = None
    why: str = ""
    remark: str = ""
    undoing: tuple[Undoing, ...] = ()


@dataclass(frozen=True)
class Report:
    """All steps of a plan in its order."""

    steps: tuple[StepReport, ...] = ()

    @property
    def ok(self) -> bool:
        """Everything was done."""
        return all(step.status == "done" for step in self.steps)

    @property
    def failures(self) -> tuple[StepReport, ...]:
        return tuple(step for step in self.steps if step.status == "failed")

    @property
    def left_over(self) -> tuple[Undoing, ...]:
        """Undo actions that failed: what a person has to look at."""
        return tuple(undoing for step in self.steps for undoing in step.undoing if undoing.error is not None)


@dataclass(frozen=True)
class StepStarted:
    """``number`` counts from 1; steps under way side by side may have the same one until they end."""

    step: Step
    number: int
    total: int


@dataclass(frozen=True)
class StepEnded:
    report: StepReport
    number: int
    total: int


@dataclass(frozen=True)
class UndoStarted:
    """A finished step is taken back because of a later one of its group."""

    step: Step
    action: Action


@dataclass(frozen=True)
class UndoEnded:
    step: Step
    undoing: Undoing


Event: TypeAlias = StepStarted | StepEnded | UndoStarted | UndoEnded
