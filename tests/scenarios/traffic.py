"""Traffic on a VIP while something happens to it, and the rules by which what clients saw is judged.

Two loads run side by side from the client host: GETs at a constant 2,000/s and more over 32 connections, and keyless
POSTs that each stay 40 ms in their member, so that some are always under way in the one that is hit. Members append
what they receive to a file of their host, which outlives the container and a power cut.

The lab and the load get the processor before anything else that the machine runs, because that is not under test.

The rule for slow answers: a GET must be answered within 500 ms, counted from when it was due, whatever held it up. The
one thing taken off is the time that the client's own pacing was late (``late_ms``: a timer of the client, which no
answer can delay), because a request that goes out late on a busy machine is not the load balancer's doing. Where a run
is too slow or below its rate *and* the machine had no processor time left (``idle``, of all cores, over the run), it is
measured once more, at most; with no room then either, four fifths of the rate and 1,500 ms must do. Failed requests and
doubly received ones count in the first run, always.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.stage import WEB, Stage, eventually

from dockgate.haproxy import stats
from dockgate.lab import Lab
from dockgate.lab.load import LoadReport, RunningLoad, receipts
from dockgate.lab.load_report import Failure
from dockgate.model.observed import RunningHaproxy

RATE = 2050.0
"""A little over the 2,000/s that must be reached, because a run's last answer comes after its last request."""
ENOUGH = 2000.0
SLOWEST_MS = 500.0
POSTS = 150.0
WORK_MS = 40
NO_ROOM = 0.1
"""Share of idle processor time under which a machine says nothing about latency."""
RECEIPTS = "/srv/receipts"
NETWORK = "presentation_backend"
_ASK = 'echo "show info;show stat" | socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock'


@dataclass(frozen=True)
class Identity:
    """Which load balancer this is. ``worker``: changes with every reload; the others with a restart."""

    container: str
    started: str
    master: str
    worker: int

    @property
    def process(self) -> tuple[str, str, str]:
        return self.container, self.started, self.master


@dataclass
class Scene:
    """A VIP with members, ready to be hurt. ``homes``: each member's host."""

    stage: Stage
    file: Path
    vip: str = "web"
    url: str = "http://docker1.lab.lab"
    homes: dict[str, str] = field(default_factory=lambda: {"web1": "docker2", "web2": "docker3"})

    def balancer(self) -> str:
        return self.stage.balancer(self.file, self.vip)

    def identity(self) -> Identity:
        name = self.balancer()
        form = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}"
        container, started, master = self.stage.lab.docker("docker1", "inspect", "-f", form, name).stdout.split()
        return Identity(container, started, master, self.haproxy(name).pid)

    def haproxy(self, name: str = "") -> RunningHaproxy:
        said = self.stage.lab.docker("docker1", "exec", name or self.balancer(), "sh", "-c", _ASK).stdout
        info, _, rows = said.partition("\n# pxname")
        return stats.running(info, f"# pxname{rows}")

    def up(self) -> set[str]:
        """The members that HAProxy takes as up."""
        return {server.name for server in self.haproxy().servers if server.up}

    def wait_up(self, *members: str, within_s: float = 20.0) -> None:
        wanted = set(members or self.homes)
        eventually(lambda: self.up() == wanted, f"up are {sorted(wanted)} and no others", within_s=within_s)

    def start(self, member: str, host: str = "", *, network: str = NETWORK, publish: int | None = None) -> None:
        """A member that keeps its receipts on its host."""
        host = host or self.homes[member]
        self.stage.lab.exec(host, ["mkdir", "-p", RECEIPTS], check=True)
        self.stage.members.append((host, member))
        self.homes[member] = host
        options = ["--name", member, "--hostname", member, "--network", network, "--volume", f"{RECEIPTS}:{RECEIPTS}"]
        options += ["--publish", str(publish)] if publish else []
        program = f"exec python3 /srv/web.py >>{RECEIPTS}/{member}"
        self.stage.lab.docker(host, "run", "-d", *options, WEB, "sh", "-c", program)

    def received(self, member: str, host: str = "") -> Counter[str]:
        """How often each POST reached this member, by request id."""
        path = f"{RECEIPTS}/{member}"
        return receipts(self.stage.lab.exec(host or self.homes[member], ["cat", path], check=True).stdout)


def example_scene(lab: Lab, folder: Path, *edits: tuple[str, str]) -> Iterator[Scene]:
    """The running example with ``edits``, up, with its two members up."""
    stage = Stage(lab, folder)
    file = stage.example("01-overlay")
    try:
        for old, new in edits:
            stage.edit(file, old, new)
        stage.up(file)
        scene = Scene(stage, file)
        for member in scene.homes:
            scene.start(member)
        scene.wait_up()
        yield scene
    finally:
        stage.clear()


@dataclass
class Measurement:
    """What clients saw. ``before``, ``after``: the load balancer; ``marks``: Unix times of what happened."""

    gets: LoadReport
    posts: LoadReport
    before: Identity
    after: Identity
    marks: dict[str, float]
    idle: float
    received: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def in_time(self) -> bool:
        """The full rate, and no slow answer."""
        return self.gets.achieved_rate >= ENOUGH and slowest_ms(self.gets) <= SLOWEST_MS

    @property
    def least_rate(self) -> float:
        return ENOUGH if self.idle > NO_ROOM else 0.8 * ENOUGH

    @property
    def most_ms(self) -> float:
        """How slow an answer may be."""
        return SLOWEST_MS if self.idle > NO_ROOM else 3 * SLOWEST_MS

    @property
    def acceptable(self) -> bool:
        return self.gets.achieved_rate >= self.least_rate and slowest_ms(self.gets) <= self.most_ms

    @property
    def leeway_s(self) -> float:
        """What the machine may have added to a time between two programs: as much as the client was late, which ran
        before all others, and half a second where no processor time was left."""
        return max(self.gets.late_ms, self.posts.late_ms) / 1000 + (0.5 if self.idle <= NO_ROOM else 0.0)

    @property
    def flawless(self) -> bool:
        return self.gets.failed == 0 and not self.reached_twice()

    def at(self, mark: str, report: LoadReport) -> float:
        """When that was, in seconds of the report's run."""
        return self.marks[mark] - report.started_at

    def failed_posts(self) -> list[Failure]:
        return failures(self.posts)

    def reached_twice(self) -> dict[str, int]:
        """POSTs that were received more than once, over all members."""
        seen: Counter[str] = Counter()
        for counted in self.received.values():
            seen += counted
        mine = {request: count for request, count in seen.items() if request.startswith(self.posts.run)}
        assert mine, "the control failed: no member has a receipt of this run"
        return {request: count for request, count in mine.items() if count > 1}


@dataclass
class Underway:
    """Traffic that is running. ``mark``: note the time of what happens now."""

    scene: Scene
    marks: dict[str, float] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    result: Measurement | None = None

    def mark(self, name: str) -> None:
        self.marks[name] = time.time()

    @property
    def measured(self) -> Measurement:
        assert self.result is not None, "the traffic still runs"
        return self.result


@contextmanager
def traffic(scene: Scene, *, path: str = "/", lead_s: float = 0.5, tail_s: float = 0.7) -> Iterator[Underway]:
    """GETs and POSTs, steady when the block begins, and for ``tail_s`` after it ends."""
    underway = Underway(scene, homes=dict(scene.homes))
    before = scene.identity()
    busy, idle = processor()
    with first_claim(scene.stage.lab), scene.stage.load(f"{scene.url}{path}", rate=RATE) as gets:
        hurry(gets)
        work = f"{scene.url}/slow?ms={WORK_MS}"
        with scene.stage.load(work, rate=POSTS, method="POST") as posts:
            hurry(posts)
            gets.observe(lead_s)
            underway.mark("begin")
            yield underway
            underway.mark("end")
            gets.observe(tail_s)
    busy, idle = processor()[0] - busy, processor()[1] - idle
    underway.result = Measurement(
        gets.report, posts.report, before, scene.identity(), dict(underway.marks), idle / max(busy + idle, 1)
    )


def read_receipts(underway: Underway) -> Measurement:
    """The measurement with what every member received, on every host it was on. All hosts must be on."""
    scene, found = underway.scene, underway.measured
    places = {(member, host) for homes in (underway.homes, scene.homes) for member, host in homes.items()}
    for member, host in sorted(places):
        found.received[f"{member} on {host}"] = scene.received(member, host)
    return found


def measure(scene: Scene, what: Callable[[Underway], None], *, again: Callable[[], None] = lambda: None) -> Measurement:
    """Traffic while ``what`` happens; once more when the machine was too busy to be judged by (see above), after
    ``again`` has made the scene what it was."""
    for last in (False, True):
        with traffic(scene) as underway:
            what(underway)
        found = read_receipts(underway)
        print(f"{found.gets}\n{found.posts}\nidle processor time {found.idle:.0%}\n")
        if last or found.in_time or not found.flawless or found.idle > NO_ROOM:
            return found
        print("measured once more: the machine had no room, and the run was slow or below its rate")
        again()
    raise AssertionError


@contextmanager
def first_claim(lab: Lab) -> Iterator[None]:
    """The lab's containers before whatever else the machine runs: to the kernel they all are one group, which would
    get no more than any single other process."""
    places = {Path(f"/sys/fs/cgroup/cpu/{lab.name}/cpu.shares"): "262144"}
    places |= {Path(f"/sys/fs/cgroup/{lab.name}/cpu.weight"): "10000"}
    before = {place: place.read_text() for place in places if place.exists()}
    try:
        for place in before:
            place.write_text(places[place])
        yield
    finally:
        for place, value in before.items():
            place.write_text(value)


def hurry(load: RunningLoad) -> None:
    os.setpriority(os.PRIO_PROCESS, load.process.pid, -10)


def processor() -> tuple[int, int]:
    """Busy and idle time of all cores since the machine started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle


def failures(report: LoadReport) -> list[Failure]:
    """Every failed request; all of them must have been kept."""
    kept = [one for kind in report.failures for one in kind.examples]
    assert len(kept) == report.failed, f"not every failure was kept\n{report}"
    return kept


def slowest_ms(report: LoadReport) -> float:
    """The slowest answer from when it was due, less what the client itself was late."""
    return report.latency.max - report.late_ms


def answered_between(report: LoadReport, start_s: float, end_s: float) -> set[str]:
    """The servers whose first answer came before ``start_s`` and whose last one after ``end_s``."""
    return {seen.server for seen in report.servers if seen.first_s < start_s and seen.last_s > end_s}


def ids(found: Iterable[Failure]) -> set[str]:
    return {one.request for one in found}
