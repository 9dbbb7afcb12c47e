"""The running example, shown from nothing: `make demo`.

Three real Docker hosts, a VIP in front of two web containers on an internal overlay network, and a member killed under
load. Everything shown is measured as it is printed; a step that does not come out as said ends the demo with an error.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from dockgate.errors import DockgateError
from dockgate.lab import Lab
from dockgate.lab.address import CLIENT, DEFAULT_NAME
from dockgate.lab.load import LoadReport, start_load
from dockgate.lab.process import wait_until
from dockgate.lab.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = Path("examples/01-overlay/dockgate.yaml")
VIP = "http://docker1.lab.lab/"
NETWORK = "presentation_backend"
MEMBERS = {"web1", "web2"}
RATES = (2000.0, 500.0, 100.0)
"""Requests a second; the lower ones only for a machine that cannot keep up with the higher."""
BUSY_MS = 50


def main() -> int:
    """Run the demo; exit code 0 if everything was as it says."""
    try:
        return _demo()
    except (DockgateError, _Wrong) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


class _Wrong(Exception):
    """Something did not come out as the demo says."""


def _demo() -> int:
    _title("three real Docker hosts on this machine (dockgate lab up)")
    lab = Lab.up(DEFAULT_NAME, progress=Progress())
    for host in lab.hosts:
        print(f"  {host}.lab.lab  {lab.address(host)}  {lab.socket(host)}")

    _title(f"make them as {EXAMPLE} says (dockgate up)")
    print(textwrap.indent((ROOT / EXAMPLE).read_text(), "  "))
    _dockgate("up", "--file", str(EXAMPLE))

    _title("two web containers, on docker2 and docker3; they join by themselves")
    for host, name in (("docker2", "web1"), ("docker3", "web2")):
        lab.docker(host, "rm", "-f", name, check=False)
        lab.docker(host, "run", "-d", "--name", name, "--hostname", name, "--network", NETWORK, "dockgate/web:1")
        print(f"  {host}: docker run -d --name {name} --network {NETWORK} dockgate/web:1")
    wait_until(lambda: set(_answers(lab, 2)) == MEMBERS, seconds=20, what=f"{VIP} does not answer from both members")

    _title(f"the VIP answers from the client host (curl {VIP})")
    answers = _answers(lab, 4)
    print(f"  {', '.join(answers)}")
    if set(answers) != MEMBERS:
        raise _Wrong(f"the VIP should answer from web1 and web2, not from {answers}")

    _title("what runs (dockgate status)")
    _dockgate("status", "--file", str(EXAMPLE))

    _title("docker kill web1 (SIGKILL) under load, then start it again")
    for rate in RATES:
        report = _killed_under_load(lab, rate)
        if _could_be_sent(report):
            break
    if report.failed:
        raise _Wrong(f"{report.failed} requests failed:\n{report}")

    _title("what to try next")
    print(_NEXT)
    return 0


def _killed_under_load(lab: Lab, rate: float) -> LoadReport:
    with start_load(lambda argv: lab.spawn(CLIENT, argv), VIP, rate=rate) as load:
        load.observe(2)
        lab.docker("docker2", "kill", "web1")
        load.observe(2)
        lab.docker("docker2", "start", "web1")
        load.observe(3)
    report, slowest = load.report, load.report.latency.max
    print(f"  {rate:.0f} a second: failed {report.failed} of {report.sent} requests; slowest answer {slowest:.0f} ms")
    for server in report.servers:
        print(f"  {server.server}: {server.count} answers")
    if report.late_ms > BUSY_MS:
        print(f"  (the client was itself up to {report.late_ms:.0f} ms late: this machine is busy, and slow for that)")
    return report


def _could_be_sent(report: LoadReport) -> bool:
    """Whether this machine could keep up with the rate: a request that never left the client says nothing."""
    if {kind.kind for kind in report.failures} != {"not sent"}:
        return True
    print(f"  this machine is too busy for that rate: {report.failed} requests could not be sent in time")
    return False


def _answers(lab: Lab, count: int) -> list[str]:
    """Who answers, so many times in a row, each on a connection of its own."""
    asked = (lab.client_exec("curl", "-s", "-m", "2", VIP, check=False) for _ in range(count))
    return [done.stdout.strip() for done in asked]


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _dockgate(*words: str) -> None:
    print(f"  $ dockgate {' '.join(words)}", flush=True)
    done = subprocess.run([str(ROOT / ".venv/bin/dockgate"), *words], cwd=ROOT, check=False)
    if done.returncode:
        raise _Wrong(f"dockgate {words[0]} ended with code {done.returncode}")


_NEXT = f"""  The lab is still up. To go on by hand:

  export PATH=$PWD/.venv/bin:$PATH DOCKGATE_FILE={EXAMPLE}
  dockgate plan                                   what would change: nothing
  dockgate status --watch                         watch members come and go
  dockgate config web                             the haproxy.cfg in use
  dockgate lab exec client -- curl -s {VIP}
  dockgate lab fault power-off docker3 --for 10   and ask again meanwhile
  edit {EXAMPLE}, then dockgate up
  dockgate down                                   takes away what dockgate made
  dockgate lab down                               and the lab"""

if __name__ == "__main__":
    sys.exit(main())
