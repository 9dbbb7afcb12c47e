"""Carrying out a plan. It decides nothing: what, in which order, and what takes it back, is all in the plan.

Steps run one after the other, in the plan's order; the groups of neighbours that the plan marks ``beside`` run side by
side. When one fails, the rest of its group is skipped and the undo
actions of the group's finished steps are done, latest first; so is a group that needs one which failed. Other groups
go on. Invariant: every step of the plan is in the report exactly once, whatever happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import groupby

from dockgate.controller.acts import act
from dockgate.controller.report import (
    Event,
    Report,
    StepEnded,
    StepReport,
    StepStarted,
    UndoEnded,
    Undoing,
    UndoStarted,
)
from dockgate.controller.world import World
from dockgate.errors import DockgateError
from dockgate.model.actions import Action
from dockgate.model.plan import Plan, Step

AT_ONCE = 8
"""Groups under way at one time."""


def nobody(_: Event) -> None:
    """For who does not want to hear of progress."""


async def execute(plan: Plan, world: World, *, on_event: Callable[[Event], None] = nobody) -> Report:
    """Carry out ``plan``. Errors of actions are in the report; nothing is raised for them."""
    return await _Run(plan, world, on_event).go()


@dataclass
class _Run:
    """One execution. ``reports``: by the step's place in the plan. ``broken``: why a group does not go on.
    ``under_way``: groups that go on side by side, set when they are through."""

    plan: Plan
    world: World
    tell: Callable[[Event], None]
    reports: dict[int, StepReport] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    under_way: dict[str, asyncio.Event] = field(default_factory=dict)

    async def go(self) -> Report:
        for beside, neighbours in groupby(enumerate(self.plan.steps), key=lambda item: item[1].beside):
            if beside:
                await self._side_by_side(list(neighbours))
            else:
                await self._in_order(list(neighbours))
        return Report(tuple(self.reports[place] for place in range(len(self.plan.steps))))

    async def _in_order(self, steps: list[tuple[int, Step]]) -> None:
        for place, step in steps:
            await self._wait_for(step)
            why = self._obstacle(step)
            if why is None:
                await self._do(place, step)
            else:
                self._end(place, StepReport(step, "skipped", why=why))
                await self._break(step.group, why)

    async def _side_by_side(self, steps: list[tuple[int, Step]]) -> None:
        groups: dict[str, list[tuple[int, Step]]] = {}
        for place, step in steps:
            groups.setdefault(step.group, []).append((place, step))
        if len(groups) == 1:
            await self._in_order(steps)
            return
        room = asyncio.Semaphore(AT_ONCE)
        self.under_way = {name: asyncio.Event() for name in groups}

        async def one(name: str) -> None:
            async with room:
                await self._in_order(groups[name])
            self.under_way[name].set()

        # Tasks enter the room in the plan's order, in which a group stands behind those it needs: none waits for ever.
        tasks = [asyncio.create_task(one(name), name=name) for name in groups]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for(self, step: Step) -> None:
        for group in step.needs:
            if group in self.under_way and group != step.group:
                await self.under_way[group].wait()

    def _obstacle(self, step: Step) -> str | None:
        if step.group in self.broken:
            return self.broken[step.group]
        return next((f"it needs {group}, which failed" for group in step.needs if group in self.broken), None)

    async def _do(self, place: int, step: Step) -> None:
        self.tell(StepStarted(step, len(self.reports) + 1, len(self.plan.steps)))
        started = _now()
        try:
            remark = await act(self.world, step.action)
        except DockgateError as error:
            self._end(place, StepReport(step, "failed", seconds=_now() - started, error=error))
            if step.undo_if_failed:
                undoing = tuple([await self._undo(step, action) for action in step.undo])
                self.reports[place] = replace(self.reports[place], undoing=undoing)
            await self._break(step.group, f"an earlier step failed: {step.action}")
        else:
            self._end(place, StepReport(step, "done", seconds=_now() - started, remark=remark))

    async def _break(self, group: str, why: str) -> None:
        """Take back what the group has done, latest first; once."""
        if group in self.broken:
            return
        self.broken[group] = why
        for place, report in sorted(self.reports.items(), reverse=True):
            if report.step.group == group and report.status == "done" and report.step.undo:
                undoing = tuple([await self._undo(report.step, action) for action in report.step.undo])
                self.reports[place] = replace(report, status="undone", why=why, undoing=undoing)

    async def _undo(self, step: Step, action: Action) -> Undoing:
        self.tell(UndoStarted(step, action))
        try:
            await act(self.world, action)
            undoing = Undoing(action)
        except DockgateError as error:
            undoing = Undoing(action, error)
        self.tell(UndoEnded(step, undoing))
        return undoing

    def _end(self, place: int, report: StepReport) -> None:
        self.reports[place] = report
        self.tell(StepEnded(report, len(self.reports), len(self.plan.steps)))


def _now() -> float:
    return asyncio.get_running_loop().time()
