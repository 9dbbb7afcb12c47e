"""Load on a VIP: ``python -m dockgate.lab.load URL``, and the same from a test, inside the lab.

    with start_load(lambda argv: lab.spawn("client", argv), "http://192.168.50.11/") as load:
        lab.kill_container("docker2", "web1")        # under steady load: every connection has had an answer
        load.observe(5)
    assert load.report.failed == 0

Role: the command line, and starting, stopping and reading back a load process of our own.
The process is steered through files in a directory of its own, so it does not matter how many wrappers the spawning
puts around it. Invariant: it ends when its directory goes, and never outlives ``most_s``, whoever dies.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from dockgate.lab.errors import NotRight, TimedOut
from dockgate.lab.load_client import Load
from dockgate.lab.load_report import LoadReport, receipts
from dockgate.lab.load_tally import LoadJob, Method

__all__ = ["LoadReport", "RunningLoad", "main", "receipts", "start_load"]

Spawn: TypeAlias = Callable[[Sequence[str]], "subprocess.Popen[Any]"]
"""Starts a program somewhere (e.g. in the lab's client) and returns its process."""

STEADY_WITHIN_S = 20.0
POLL_S = 0.02


def start_load(
    spawn: Spawn,
    url: str,
    *,
    rate: float = 2000.0,
    connections: int = 32,
    method: Method = "GET",
    most_s: float = 300.0,
) -> RunningLoad:
    """Start a load process with ``spawn`` and return once it is steady: as many good answers as connections.

    TimedOut when that takes longer than 20 s (its message says what the client saw instead).
    """
    directory = tempfile.TemporaryDirectory(prefix="dockgate-load-")
    files = _Files(Path(directory.name))
    argv = [sys.executable, "-m", "dockgate.lab.load", url]
    argv += ["--rate", str(rate), "--connections", str(connections), "--method", method, "--duration", str(most_s)]
    argv += ["--until-file", str(files.stop), "--ready-file", str(files.ready), "--report-file", str(files.report)]
    load = RunningLoad(url, spawn(argv), files=files, directory=directory)
    try:
        load.wait_steady()
    except BaseException:
        load.end()
        raise
    return load


class _Files:
    """How a load process is steered: ``stop`` is made by us, ``ready`` and ``report`` by the process."""

    def __init__(self, directory: Path) -> None:
        self.stop = directory / "stop"
        self.ready = directory / "ready"
        self.report = directory / "report.json"


class RunningLoad:
    """A load process. As a context manager it is stopped at the end, then ``report`` holds what it saw."""

    def __init__(
        self, url: str, process: subprocess.Popen[Any], *, files: _Files, directory: tempfile.TemporaryDirectory[str]
    ) -> None:
        self.url = url
        self.process = process
        self._files = files
        self._directory = directory
        self._report: LoadReport | None = None

    @property
    def report(self) -> LoadReport:
        """The report, once ``stop`` was called or the ``with`` block is over."""
        if self._report is None:
            raise NotRight(
                f"there is no report of the load on {self.url}",
                attempt="reading it",
                next_step="Call stop() first; if you did, the load process was killed.",
            )
        return self._report

    def wait_steady(self) -> None:
        """Wait until every connection has carried a good answer, on average."""
        deadline = time.monotonic() + STEADY_WITHIN_S
        while not self._files.ready.exists():
            self._must_run("waiting for the first answers")
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"{self.url} did not answer steadily; the client saw:\n{self.stop()}\n",
                    attempt=f"waiting {STEADY_WITHIN_S:g} s for the first answers",
                    next_step="Ask the URL by hand from the same place.",
                )
            time.sleep(POLL_S)

    def observe(self, seconds: float) -> None:
        """Let it run for some more time; it must still run at the end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._must_run("under load")
            time.sleep(min(left, 0.1))

    def stop(self) -> LoadReport:
        """Send no more, wait for the last answers, and return the report. May be called again."""
        if self._report is None:
            try:
                if self.process.poll() is None:
                    self._files.stop.touch()
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired as error:
                raise TimedOut(
                    f"the load process {self.process.pid} does not end",
                    attempt="waiting 30 s for its report",
                    next_step="Look at what it waits for; it was killed now.",
                ) from error
            finally:
                self.end()
        return self.report

    def end(self) -> None:
        """Make sure that the process is gone; keep its report if it wrote one."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._report is None and self._files.report.exists():
            self._report = LoadReport.from_json(self._files.report.read_text())
        self._directory.cleanup()

    def __enter__(self) -> RunningLoad:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.end()

    def _must_run(self, attempt: str) -> None:
        if self.process.poll() is not None:
            raise NotRight(
                f"the load process on {self.url} ended early with code {self.process.returncode}",
                attempt=attempt,
                next_step="Its standard error says why.",
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a load and print its report; 0: none failed, 1: some failed, 2: it could not run."""
    options = _parser().parse_args(argv)
    job = LoadJob(
        url=options.url,
        rate=options.rate,
        connections=options.connections,
        duration_s=options.duration or None,
        method=options.method,
        timeout_s=options.timeout,
    )
    try:
        report = asyncio.run(_run(job, until=options.until_file, ready=options.ready_file))
    except (OSError, ValueError) as error:
        print(f"cannot put load on {job.url}: {error}", file=sys.stderr)
        return 2
    if options.report_file is not None:
        _write(options.report_file, report.to_json())
    else:
        print(report.to_json() if options.json else report)
    return 1 if report.failed else 0


async def _run(job: LoadJob, *, until: Path | None, ready: Path | None) -> LoadReport:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)

    def should_stop() -> bool:
        return told.is_set() or (until is not None and (until.exists() or not until.parent.exists()))

    def on_steady() -> None:
        if ready is not None:
            ready.touch()

    return await Load(job, should_stop=should_stop, on_steady=on_steady).run()


def _write(path: Path, text: str) -> None:
    """All or nothing: who sees the file sees a whole report."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.rename(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dockgate.lab.load",
        description="A constant rate of HTTP requests; every failed one is counted, none is sent twice.",
    )
    parser.add_argument("url", help="http://HOST[:PORT]/PATH")
    parser.add_argument("--rate", type=_positive, default=2000.0, help="requests a second over all connections (2000)")
    parser.add_argument("--connections", type=_count, default=32, help="keep-alive connections (32)")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds; 0: until stopped (10)")
    parser.add_argument("--method", choices=["GET", "POST", "mixed"], default="GET")
    parser.add_argument("--timeout", type=_positive, default=5.0, help="seconds until a request has failed (5)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--until-file", type=Path, help="stop when this file appears (SIGTERM stops as well)")
    parser.add_argument("--ready-file", type=Path, help="make this file when the load is steady")
    parser.add_argument("--report-file", type=Path, help="write the report as JSON into this file, print nothing")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be from 1 to 10000")
    return value


if __name__ == "__main__":
    sys.exit(main())
