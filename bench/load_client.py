#!/usr/bin/env python3
"""How much the load client itself can do: against the demo backend on loopback, no load balancer in between.

    .venv/bin/python bench/load_client.py [--rates 2000,5000,10000] [--seconds 3]

A figure measured with the client means something only well below the client's own ceiling. The backend is a process of
its own; on a machine with two cores the two share them with everything else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockgate.lab.load_report import LoadReport

WEB = Path(__file__).parents[1] / "images" / "web" / "web.py"


def main() -> None:
    """Print one line for each rate."""
    parser = argparse.ArgumentParser(description="The load client's own ceiling, on loopback.")
    parser.add_argument("--rates", default="2000,5000,10000,20000,40000", help="requests a second, with commas")
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    heads = (("asked/s", 8), ("got/s", 8), ("failed", 7), ("client", 7), ("backend", 8))
    times = (("p50 ms", 7), ("p99 ms", 7), ("max ms", 7))
    print(" ".join(f"{title:>{width}}" for title, width in heads + times))
    with backend() as (process, url):
        for rate in options.rates.split(","):
            before = cpu_seconds(process.pid)
            report = run(url, rate=float(rate), seconds=options.seconds)
            elapsed = report.ok / report.achieved_rate
            used = (cpu_seconds(process.pid) - before) / elapsed
            mine = report.cpu_s / elapsed
            print(
                f"{report.rate:8.0f} {report.achieved_rate:8.0f} {report.failed:7} {mine:7.0%} {used:8.0%}"
                f" {report.latency.p50:7.1f} {report.latency.p99:7.1f} {report.latency.max:7.1f}",
                flush=True,
            )


@contextmanager
def backend() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo backend on a free port of loopback."""
    environment = {**os.environ, "NAME": "web1", "PORT": "0", "ADDRESS": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-I", str(WEB)], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, f"http://127.0.0.1:{int(process.stdout.readline().rsplit(':', 1)[1])}/"
    finally:
        process.kill()
        process.communicate()


def run(url: str, *, rate: float, seconds: float) -> LoadReport:
    """One run in a process of its own."""
    argv = [sys.executable, "-m", "dockgate.lab.load", url, "--rate", str(rate), "--duration", str(seconds), "--json"]
    return LoadReport.from_json(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
