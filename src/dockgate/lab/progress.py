"""What the lab is doing right now, for a person to read.

Role: on a terminal, a moving line with the steps under way; anywhere else, plain lines for the steps that take long.
Must not: print on standard output, which belongs to the verb's result.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.markup import escape

SLOW = 2.0
"""Seconds after which a step is worth a line of its own."""


class Progress:
    """Shows steps on a stream (standard error unless told otherwise); `quiet` shows nothing. Safe in threads."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, quiet=quiet, soft_wrap=True)
        self._moving = self._console.status("") if self._console.is_terminal and not quiet else None
        self._lock = threading.RLock()
        self._running: list[str] = []

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that `text` is being done and, if it took more than two seconds, how long it took."""
        began = time.monotonic()
        late = threading.Timer(SLOW, self.say, [f"  {text} …"])
        late.daemon = True
        if self._moving is None:
            late.start()
        self._change(lambda: self._running.append(text))
        try:
            yield
        finally:
            late.cancel()
            self._change(lambda: self._running.remove(text))
        took = time.monotonic() - began
        if took >= SLOW:
            self.say(f"  {text}: done in {took:.0f} s")

    def say(self, text: str) -> None:
        """Print a line."""
        with self._lock:
            self._console.print(text, markup=False)

    def _change(self, change: Callable[[], None]) -> None:
        with self._lock:
            change()
            if self._moving is None:
                return
            if self._running:
                self._moving.update(escape("; ".join(self._running)))
                self._moving.start()
            else:
                self._moving.stop()
