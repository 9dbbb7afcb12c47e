"""How long `dockgate verify` takes: thirty containers on three hosts, one overlay, the whole command from the shell.

Run as root from the repository: ``python -m bench.verify_time``. Brings up a lab of its own and takes it down again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.scenarios.proof_stage import proof_stage
from tests.scenarios.stage import Stage

from dockgate.lab import Lab
from dockgate.lab.progress import Progress

NAME = "dockgate-bench"
CONTAINERS, ROUNDS = 30, 5


def main() -> int:
    lab = Lab.up(os.environ.get("DOCKGATE_BENCH_LAB", NAME), progress=Progress())
    try:
        with tempfile.TemporaryDirectory() as folder, proof_stage(Stage(lab, Path(folder))) as play:
            there = 5  # the load balancer, two members, two on a bridge
            with ThreadPoolExecutor(max_workers=3) as pool:
                for number in range(CONTAINERS - there):
                    host = lab.hosts[number % len(lab.hosts)]
                    pool.submit(play.stage.start, host, f"more{number}", network="backend")
            play.enforced.load()
            print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            for _ in range(ROUNDS):
                started = time.monotonic()
                said = play.stage.dockgate("verify", play.file).stdout.splitlines()[-1]
                print(f"{time.monotonic() - started:5.1f} s  {said}")
    finally:
        if lab.name == NAME:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
