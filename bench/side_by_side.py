#!/usr/bin/env python3
"""The literal haproxy.cfg of the running example and ours, side by side, while a member dies under load.

    .venv/bin/python bench/side_by_side.py [--rounds 5] [--fault kill] [--method GET] [--lab NAME]

Both load balancers run on docker1, from the same image, in front of the same two containers, one after the other in
alternating order. A round: both members answer, 2,000 requests/s over 32 connections run steadily, one member gets a
SIGKILL, the load goes on, the member comes back. The literal one is started anew before each of its rounds, because it
never finds a member that came back with another address.

Prints medians and the spread over all rounds; the raw reports go to .reports/side_by_side-*.json. It brings up a lab of
its own and takes it down again; a lab that is up already stays up, and only what this made in it is removed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import Lab, LabError
from dockgate.lab.faults import CONTAINER_FAULTS
from dockgate.lab.load import LoadReport, receipts, start_load
from dockgate.lab.progress import Progress

ROOT = Path(__file__).parents[1]
LITERAL_CONFIG = Path(__file__).parent / "fixtures" / "running-example.cfg"
LITERAL = "running-example"
IMAGE = "dockgate/haproxy:3.2-1"
NETWORK = "presentation_backend"
MEMBERS = {"web1": "docker2", "web2": "docker3"}

SPEC = """\
project: side-by-side
hosts:
  docker1: {{engine: "unix://{socket}", address: {address}}}
networks:
  {network}: {{driver: overlay, internal: true}}
vips:
  web: {{hosts: [docker1], listen: [{{port: 80}}], pool: pres_containers}}
pools:
  pres_containers:
    network: {network}
    port: 80
    members: [web1, web2]
    check: {{method: HEAD, path: /index.html, version: "1.0"}}
"""


@dataclass(frozen=True)
class Contender:
    """One load balancer. ``prepare``: what is done before each of its rounds."""

    name: str
    url: str
    prepare: Callable[[], None]


@dataclass(frozen=True)
class Round:
    """``twice``: requests that were received more than once, over both members."""

    contender: str
    report: LoadReport
    twice: int


def main() -> int:
    """0 when the comparison was made, whatever it says."""
    options = _options()
    try:
        with lab_for(options.lab) as lab, stage(lab) as contenders:
            rounds = list(play(lab, contenders, options))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(rounds, options))
    print(f"raw: {keep(rounds, options)}")
    return 0


def play(lab: Lab, contenders: Sequence[Contender], options: argparse.Namespace) -> Iterator[Round]:
    """All rounds; who goes first alternates, so that a machine that slows down favours nobody."""
    for number in range(options.rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            contender.prepare()
            wait_until_both_answer(lab, contender.url)
            report = one_round(lab, contender.url, options)
            twice = received_twice(lab, report.run)
            print(f"round {number + 1}: {contender.name}: {report}\n", file=sys.stderr, flush=True)
            yield Round(contender.name, report, twice)


def one_round(lab: Lab, url: str, options: argparse.Namespace) -> LoadReport:
    """Load, fault under load, and the fault undone after the load is over."""
    victim = next(iter(MEMBERS))
    with start_load(
        lambda argv: lab.spawn("client", argv), url, rate=options.rate, connections=32, method=options.method
    ) as load:
        load.observe(2)
        with CONTAINER_FAULTS[options.fault](lab, MEMBERS[victim], victim):
            load.observe(options.seconds)
            return load.stop()


def wait_until_both_answer(lab: Lab, url: str) -> None:
    """Until a short run through the load balancer has only good answers, from both members."""
    argv = [sys.executable, "-m", "dockgate.lab.load", url, "--rate", "100", "--connections", "2"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = lab.exec("client", [*argv, "--duration", "0.3", "--timeout", "1", "--json"], timeout=30).stdout
        report = LoadReport.from_json(said)
        if not report.failed and all(report.served_by(member) for member in MEMBERS):
            return
    raise LabError(
        f"{url} does not answer from both members",
        attempt="waiting 60 s before a round",
        next_step=f"The last try: {report}",
    )


def received_twice(lab: Lab, run: str) -> int:
    """How many POSTs of that run reached a member more than once, or both (0 for GET, which leaves no receipts)."""
    seen: Counter[str] = Counter()
    for member, host in MEMBERS.items():
        seen += receipts(lab.docker(host, "logs", member).stdout)
    return sum(1 for request, count in seen.items() if request.startswith(run) and count > 1)


# --- the stage


@contextmanager
def lab_for(name: str) -> Iterator[Lab]:
    """The lab of that name; one that was not up is taken down at the end."""
    try:
        yield Lab.open(name)
        return
    except LabError as error:
        if type(error).__name__ != "NotUp":
            raise
    lab = Lab.up(name, progress=Progress())
    try:
        yield lab
    finally:
        lab.down()


@contextmanager
def stage(lab: Lab) -> Iterator[tuple[Contender, ...]]:
    """Both load balancers and the members; all of it is removed at the end."""
    address = lab.address("docker1")
    with tempfile.TemporaryDirectory() as directory:
        spec = Path(directory) / "dockgate.yaml"
        spec.write_text(SPEC.format(socket=lab.socket("docker1"), address=address, network=NETWORK))
        try:
            dockgate("up", spec)
            for member, host in MEMBERS.items():
                lab.docker(
                    host,
                    "run",
                    "--detach",
                    "--name",
                    member,
                    "--hostname",
                    member,
                    "--network",
                    NETWORK,
                    "dockgate/web:1",
                )
            yield (
                Contender("running example", f"http://{address}:8080/", lambda: start_literal(lab)),
                Contender("dockgate", f"http://{address}/", lambda: None),
            )
        finally:
            lab.docker("docker1", "rm", "--force", "--volumes", LITERAL, check=False)
            for member, host in MEMBERS.items():
                lab.docker(host, "rm", "--force", "--volumes", member, check=False)
            dockgate("down", spec)


def start_literal(lab: Lab) -> None:
    """The literal one, fresh: on the members' network and on the bridge that its published port needs."""
    lab.docker("docker1", "rm", "--force", "--volumes", LITERAL, check=False)
    lab.docker("docker1", "create", "--name", LITERAL, "--network", "bridge", "--publish", "8080:80", IMAGE)
    lab.docker("docker1", "network", "connect", NETWORK, LITERAL)
    lab.exec("docker1", ["sh", "-c", "cat >/run/running-example.cfg"], input=LITERAL_CONFIG.read_text(), check=True)
    lab.docker("docker1", "cp", "/run/running-example.cfg", f"{LITERAL}:/etc/haproxy/haproxy.cfg")
    lab.docker("docker1", "start", LITERAL)


def dockgate(verb: str, spec: Path) -> None:
    """Run one of our verbs on the file."""
    done = subprocess.run(
        [sys.executable, "-m", "dockgate", verb, "--file", str(spec)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(
            f"dockgate {verb} ended with code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}",
            attempt="setting the stage",
            next_step="Try examples/01-overlay by hand.",
        )


# --- what it says


def table(rounds: Sequence[Round], options: argparse.Namespace) -> str:
    """Medians with the lowest and the highest of all rounds, at most 80 columns."""
    rows: list[tuple[str, Callable[[Round], float]]] = [
        ("failed requests", lambda one: one.report.failed),
        ("  of these never sent", lambda one: never_sent(one.report)),
        ("requests due", lambda one: one.report.sent),
        ("slowest, from due", lambda one: one.report.latency.max),
        ("slowest, from sent", lambda one: one.report.service.max),
        ("over 500 ms from due", lambda one: one.report.slow_count),
        ("p99, from due", lambda one: one.report.latency.p99),
        ("p50, from due", lambda one: one.report.latency.p50),
        ("longest gap, ms", lambda one: one.report.longest_gap_s * 1000),
        ("good answers/s", lambda one: one.report.achieved_rate),
    ]
    if options.method != "GET":
        rows.insert(1, ("  received twice", lambda one: one.twice))
    names = list(dict.fromkeys(one.contender for one in sorted(rounds, key=lambda one: one.contender, reverse=True)))
    lines = [
        f"{options.fault} one of two members, {options.method} at {options.rate:.0f}/s over 32 connections,",
        f"{options.seconds:.0f} s after the fault; median (lowest to highest) of {options.rounds} rounds.",
        "Milliseconds. From due: counts the wait for a free connection; never sent: no",
        "connection became free within 5 s, all 32 were waiting for an answer.",
        "",
        f"{'':22}" + "".join(f"{name:>28}" for name in names),
    ]
    for title, value in rows:
        cells = [_spread([value(one) for one in rounds if one.contender == name]) for name in names]
        lines.append(f"{title:22}" + "".join(f"{cell:>28}" for cell in cells))
    kinds: dict[str, Counter[str]] = {name: Counter() for name in names}
    for one in rounds:
        for kind in one.report.failures:
            kinds[one.contender][kind.kind] += kind.count
    for name, counted in kinds.items():
        if counted:
            said = ", ".join(f"{count} x {kind}" for kind, count in counted.most_common())
            lines.append(f"{name}, failed in all rounds: {said}")
    return "\n".join(lines)


def never_sent(report: LoadReport) -> int:
    """Requests that failed because all connections were stuck."""
    return sum(kind.count for kind in report.failures if kind.kind == "not sent")


def keep(rounds: Sequence[Round], options: argparse.Namespace) -> Path:
    """Write the raw reports; returns where."""
    place = ROOT / ".reports" / f"side_by_side-{options.fault}-{options.method}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps([dataclasses.asdict(one) for one in rounds], indent=1) + "\n")
    return place.relative_to(ROOT)


def _spread(values: Sequence[float]) -> str:
    return f"{_short(statistics.median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The running example's haproxy.cfg and ours, side by side.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load after the fault")
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--method", choices=["GET", "POST", "mixed"], default="GET")
    parser.add_argument("--fault", choices=sorted(CONTAINER_FAULTS), default="kill")
    parser.add_argument("--lab", default="dockgate-bench", help="the lab's name")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
