"""Progress of a plan for a person: a line when a step ends, and before that one when it takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dockgate.controller.report import Event, StepEnded, StepReport, StepStarted, UndoEnded, UndoStarted
from dockgate.model.plan import Step

SLOW_S = 2.0
_MARKS = {"done": "ok", "failed": "FAILED", "skipped": "skipped", "undone": "undone"}


class StepPrinter:
    """Called with every event of an execution; prints through ``say``. Steps may run side by side."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._late: dict[Step, asyncio.TimerHandle] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                loop = asyncio.get_running_loop()
                text = f"{_place(event.number, event.total)} {event.step.action.host}: {event.step.action} …"
                self._late[event.step] = loop.call_later(SLOW_S, self._say, text)
            case StepEnded():
                late = self._late.pop(event.report.step, None)
                if late is not None:
                    late.cancel()
                self._ended(event.report, _place(event.number, event.total))
            case UndoStarted():
                self._say(f"        undoing on {event.action.host}: {event.action}")
            case UndoEnded():
                if event.undoing.error is not None:
                    self._say(f"        could not be undone: {event.undoing.error}")

    def _ended(self, report: StepReport, place: str) -> None:
        took = f" ({report.seconds:.1f} s)" if report.seconds >= SLOW_S else ""
        line = f"{place} {_MARKS[report.status]:<7} {report.step.action.host}: {report.step.action}{took}"
        self._say(line)
        if report.remark:
            self._say(f"        {report.remark}")
        if report.why and report.status == "skipped":
            self._say(f"        because {report.why}")
        if report.error is not None:
            for text in str(report.error).splitlines():
                self._say(f"        {text}")


def _place(number: int, total: int) -> str:
    digits = len(str(total))
    return f"[{number:>{digits}}/{total}]"


class Late:
    """Tells what is going on once it takes longer than a person waits without a word."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._timer: asyncio.TimerHandle | None = None

    def phase(self, text: str) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(SLOW_S, self._say, f"{text} …")

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
