#!/usr/bin/env python3
"""Throughput and latency through dockgate's configuration and through its peers, side by side in one run.

    .venv/bin/python -m bench.peers [--rounds 3] [--seconds 2] [--connections 1,64,512] [--only NAME,NAME]

Root. The same two backends (nginx), the same load generator (wrk, closed loop), the same two cores; who goes first
alternates. A cell of the table: connections, size of the answer, connections kept or (small answers
only) one a request, plain or TLS.
Everything runs in throw-away namespaces without a way out. Prints Markdown; the raw figures go to bench/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from bench.peers_configs import LARGE, SMALL, Contender, contenders
from bench.peers_setup import Supplies, supplies
from bench.peers_stage import ask, serving, stage

from dockgate.lab.progress import Progress
from dockgate.spec.pem import self_signed

RESULTS = Path(__file__).parent / "results"
SCRIPT = """\
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""


@dataclass(frozen=True)
class Cell:
    """One way of asking."""

    connections: int
    path: str
    kept: bool
    tls: bool

    def __str__(self) -> str:
        size = "64 KiB" if self.path == LARGE else "small"
        return f"{'TLS' if self.tls else 'plain'}, {size}, {'kept' if self.kept else 'one request each'}"


@dataclass(frozen=True)
class Run:
    """``rate``: answers a second. Latencies in milliseconds. ``errors``: of connections, and answers not 2xx or 3xx."""

    contender: str
    cell: Cell
    rate: float
    p50: float
    p99: float
    p999: float
    errors: int


def main() -> int:
    """0 when the comparison was made, whatever it says."""
    options = _options()
    with supplies(Progress()) as supplied:
        place = supplied.root / "bench"
        place.mkdir()
        (place / "pem").write_bytes(self_signed(("web.bench",)))
        (place / "result.lua").write_text(SCRIPT)
        field = [one for one in contenders(supplied) if not options.only or one.name in options.only.split(",")]
        cells = [
            Cell(connections, path, kept, tls)
            for tls, path, kept, connections in product(
                (False, True), (SMALL, LARGE), (True, False), [int(n) for n in options.connections.split(",")]
            )
            if kept or path == SMALL
        ]
        with stage(supplied.root):
            runs = list(play(supplied, field, cells, options))
        print(report(field, cells, runs, options))
    print(f"raw: {keep(field, runs, options)}", file=sys.stderr)
    return 0


def play(
    supplied: Supplies, field: Sequence[Contender], cells: Sequence[Cell], options: argparse.Namespace
) -> Iterator[Run]:
    """Each round every contender is started afresh and asked in every way."""
    for number in range(options.rounds):
        for contender in field if number % 2 == 0 else reversed(field):
            with serving(supplied.root, contender):
                for cell in cells:
                    run = measure(supplied.root, contender, cell, options.seconds)
                    print(f"round {number + 1}: {run}", file=sys.stderr, flush=True)
                    yield run


def measure(root: Path, contender: Contender, cell: Cell, seconds: int) -> Run:
    url = f"{'https' if cell.tls else 'http'}://{contender.address}{cell.path}"
    words = ["wrk", "-t", "1" if cell.connections == 1 else "2", "-c", str(cell.connections), "-d", f"{seconds}s"]
    words += ["--timeout", "5s", "-s", "/bench/result.lua", *([] if cell.kept else ["-H", "Connection: close"]), url]
    said = ask(root, words)
    line = next(line for line in said.splitlines() if line.startswith("RESULT "))
    requests, took, p50, p99, p999, errors = map(int, line.split()[1:])
    return Run(contender.name, cell, requests / took * 1e6, p50 / 1000, p99 / 1000, p999 / 1000, errors)


# --- what it says


def report(field: Sequence[Contender], cells: Sequence[Cell], runs: Sequence[Run], options: argparse.Namespace) -> str:
    """A table for each way of asking: rows are contenders, columns counts of connections."""
    lines = [f"{options.rounds} rounds of {options.seconds} s; {machine()}.", ""]
    lines += [f"- {one.name}: {one.version}" for one in field if one.version] + [""]
    for group in dict.fromkeys(map(str, cells)):
        lines += [f"**{group}**", "", _head(cells, group), _rule(cells, group)]
        lines += [_row(contender.name, [cell for cell in cells if str(cell) == group], runs) for contender in field]
        lines.append("")
    return "\n".join(lines)


def _head(cells: Sequence[Cell], group: str) -> str:
    counts = [cell.connections for cell in cells if str(cell) == group]
    return "| |" + "".join(f" {n} conn.: answers/s | p50 / p99 / p99.9 ms |" for n in counts)


def _rule(cells: Sequence[Cell], group: str) -> str:
    return "|---|" + "---:|---:|" * sum(str(cell) == group for cell in cells)


def _row(name: str, cells: Sequence[Cell], runs: Sequence[Run]) -> str:
    found = ([run for run in runs if (run.contender, run.cell) == (name, cell)] for cell in cells)
    return f"| {name} |" + "".join(map(_cell, found))


def _cell(runs: Sequence[Run]) -> str:
    """Medians; of the rate also the lowest and the highest; errors of all rounds if there were any."""
    rates = [run.rate for run in runs]
    errors = sum(run.errors for run in runs)
    shown = f" {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    times = " / ".join(
        _short(statistics.median(values)) for values in zip(*((r.p50, r.p99, r.p999) for r in runs), strict=True)
    )
    return f"{shown}{f', {errors} errors' if errors else ''} | {times} |"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def machine() -> str:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return f"{cores} cores, Linux {platform.release().split('-')[0]}, load of the machine at the end {load:.0f}"


def keep(field: Sequence[Contender], runs: Sequence[Run], options: argparse.Namespace) -> Path:
    """Write the raw figures; returns where."""
    place = RESULTS / f"peers-{time.strftime('%Y%m%d-%H%M')}.json"
    place.parent.mkdir(exist_ok=True)
    document = {
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": {one.name: one.version for one in field},
        "runs": [asdict(run) for run in runs],
    }
    place.write_text(json.dumps(document) + "\n")
    return place


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="dockgate's configuration and its peers, side by side.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", default="1,64,512")
    parser.add_argument("--only", default="", help="names, with commas")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
