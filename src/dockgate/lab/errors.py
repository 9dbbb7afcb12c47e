"""What can go wrong in the lab, as one tree.

    LabError (a dockgate.errors.LabError)
    ├── NotPossibleHere      the machine cannot run a lab: not Linux, not root
    ├── ToolMissing          a program is missing; names its Debian package
    ├── CommandFailed        a program we ran said no; carries the command, its code and its last words
    ├── BuildFailed          a file system or an image could not be made
    ├── EngineError          a Docker engine refused or did not answer
    ├── NotUp                there is no such lab, or no such host in it
    ├── NotRight             a name, number or state that the request cannot be met with
    └── TimedOut             a condition did not come true within its deadline

Each has three parts: the object, what was tried, and what to do next.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dockgate import errors


class LabError(errors.LabError):
    """An error of the lab: `what` failed, `attempt` says doing what, `next_step` what the reader can do."""

    def __init__(self, what: str, *, attempt: str, next_step: str) -> None:
        super().__init__(f"{what} (while {attempt})", hint=next_step)
        self.attempt = attempt
        self.next_step = next_step


class NotPossibleHere(LabError):
    """The machine cannot run a lab at all."""


class ToolMissing(LabError):
    """Programs the lab calls are not installed; `package` names the Debian packages that bring them."""

    def __init__(self, tool: str, *, package: str, attempt: str) -> None:
        super().__init__(
            f"missing on this machine: {tool}",
            attempt=attempt,
            next_step=f"Install it: apt-get install {package}",
        )
        self.tool = tool
        self.package = package


class CommandFailed(LabError):
    """A program ended with an error; `argv` can be pasted into a shell."""

    def __init__(self, argv: Sequence[str], *, code: int, output: str, attempt: str) -> None:
        words = output.strip().splitlines()[-6:]
        said = "; it said: " + " / ".join(words) if words else ""
        super().__init__(
            f"`{shlex.join(argv)}` ended with code {code}{said}",
            attempt=attempt,
            next_step="Run that command by hand to see more.",
        )
        self.argv = tuple(argv)
        self.code = code
        self.output = output


class BuildFailed(LabError):
    """A root file system or an image could not be made."""


class EngineError(LabError):
    """A Docker engine refused a request or could not be reached; `status` is its HTTP code, 0 if none."""

    def __init__(self, what: str, *, attempt: str, next_step: str, status: int = 0) -> None:
        super().__init__(what, attempt=attempt, next_step=next_step)
        self.status = status


class NotUp(LabError):
    """There is no lab of that name, or no such host in it."""


class NotRight(LabError):
    """The request itself cannot be met: a bad name, an impossible number, the wrong state."""


class TimedOut(LabError):
    """A condition did not become true before its deadline."""
