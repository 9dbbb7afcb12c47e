"""`dockgate run` as a process of a scenario: started, waited for by what it logs, killed; and members to hurt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scenarios.stage import DOCKGATE, eventually


@dataclass
class Keeping:
    """One controller. ``log``: what it wrote, one JSON object a line."""

    file: Path
    more: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.again()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_for(self, words: str, *, since: int = 0, within_s: float = 30.0) -> dict[str, Any]:
        """The first line after ``since`` lines whose message has these words."""

        def found() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"the controller ended: {self.log.read_text()}"
            return next((line for line in self.said()[since:] if words in line["message"]), None)

        try:
            line: dict[str, Any] = eventually(found, f"it says {words!r}", within_s=within_s, every_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.log.read_text()}") from None
        return line

    def again(self) -> None:
        """Started; until it has made its first cycle."""
        before = len(self.said()) if self.log.exists() else 0
        with self.log.open("ab") as out:
            command = [*DOCKGATE, "run", "--file", str(self.file), "--log-format", "json", *self.more]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        os.setpriority(os.PRIO_PROCESS, self.process.pid, -10)
        self.wait_for("(start", since=before)

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say goodbye."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


@contextmanager
def keeping(file: Path, *more: str) -> Iterator[Keeping]:
    """A controller, once it has made its first cycle."""
    log = file.with_name(f"run-{len(list(file.parent.glob('run-*.log')))}.log")
    keeper = Keeping(file, more, log)
    try:
        yield keeper
    finally:
        with suppress(ProcessLookupError):
            keeper.process.kill()
        keeper.process.wait()
