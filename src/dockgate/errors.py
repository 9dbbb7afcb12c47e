"""The error tree. Every error names the object, what was attempted and the next step.

    DockgateError
    ├── SpecError        the user's file is wrong (carries every problem found, each with file:line:column)
    ├── EngineError      a Docker engine could not be reached or refused a call
    │   └── NotFound     the object the call was about does not exist on that engine
    ├── ActionFailed     an action of a plan was tried and did not succeed
    │   ├── ConfigRefused  `haproxy -c` refused a configuration; the running one was kept
    │   └── ProofFailed    the VIP was asked for real and did not answer as it must
    └── LabError         the lab could not do what was asked

Library errors are wrapped at the edge with ``from``; nothing below the CLI prints.
"""

from __future__ import annotations


class DockgateError(Exception):
    """What went wrong, and what to do about it.

    ``what`` is one sentence that names the object and the attempt; ``hint`` is the next step, or empty.
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  next: {self.hint}" if self.hint else self.what


class EngineError(DockgateError):
    """A Docker engine could not be reached, or refused a call."""


class NotFound(EngineError):
    """The object that a call was about does not exist on that engine."""


class ActionFailed(DockgateError):
    """An action of a plan was tried and did not succeed."""


class ConfigRefused(ActionFailed):
    """HAProxy refused a configuration. ``messages`` are its own lines, each with our file's line where known."""

    def __init__(self, what: str, *, messages: tuple[str, ...], hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.messages = messages

    def __str__(self) -> str:
        return "\n".join(
            [self.what, *(f"  {line}" for line in self.messages)] + ([f"  next: {self.hint}"] if self.hint else [])
        )


class ProofFailed(ActionFailed):
    """The VIP was asked for real after a change, and did not answer as it must."""


class LabError(DockgateError):
    """The lab could not do what was asked."""
