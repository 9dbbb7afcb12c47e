"""A stage for scenarios: the suite's lab, `dockgate` as a person runs it, members, and requests from the client host.

What a scenario makes it takes away again, so that scenarios may run in any order on one lab.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockgate.edges.files import load_file
from dockgate.lab import Lab
from dockgate.lab import host as hosts
from dockgate.lab.address import CLIENT, DEFAULT_NAME
from dockgate.lab.load import RunningLoad, start_load
from dockgate.lab.load_tally import Method

ROOT = Path(__file__).resolve().parents[2]
DOCKGATE = [sys.executable, "-m", "dockgate"]
WEB = "dockgate/web:1"
OFF = "firewall:\n  docker_iptables: off\n"
LOST_ITS_SWARM = "attaching to network failed"
"""What Docker says of a container for which its Swarm did not answer within 20 s."""


def eventually(condition: Callable[[], Any], what: str, *, within_s: float = 15.0, every_s: float = 0.1) -> Any:
    """The condition's first true answer; AssertionError naming ``what`` after the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)


def inspected(lab: Lab, host: str, kind: str, *names: str) -> str:
    """What Docker tells of them, in an order of its own: it lists a container's mounts in another order each time."""
    found = json.loads(lab.docker(host, kind, "inspect", *names).stdout)
    for one in found:
        if isinstance(one.get("Mounts"), list):
            one["Mounts"].sort(key=lambda mount: mount["Destination"])
    return json.dumps(found, indent=1, sort_keys=True)


@dataclass
class Stage:
    """One scenario's view of the lab. ``folder``: a folder of its own for its files."""

    lab: Lab
    folder: Path
    files: list[Path] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)

    # --- the file and the verbs

    def example(self, name: str) -> Path:
        """A copy of an example, with the suite's lab in the place of the default one."""
        folder = self.folder / name
        shutil.copytree(ROOT / "examples" / name, folder)
        file = folder / "dockgate.yaml"
        return self.write(file.read_text(), file)

    def write(self, text: str, file: Path | None = None) -> Path:
        """A dockgate.yaml with this text; the default lab's name in it stands for the suite's lab. On a lab whose
        engines write no rules the file says so."""
        file = file or self.folder / "dockgate.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not self.lab.kind(self.lab.hosts[0]).iptables and "docker_iptables: off" not in text:
            text = text.replace("firewall:\n", OFF) if "firewall:\n" in text else f"{text.rstrip()}\n{OFF}"
        file.write_text(text.replace(f"/run/{DEFAULT_NAME}/", f"/run/{self.lab.name}/"))
        if file not in self.files:
            self.files.append(file)
        return file

    def edit(self, file: Path, old: str, new: str) -> None:
        """Change the file as a person would; the text to change must be there."""
        text = file.read_text()
        assert old in text, f"{old!r} is not in {file}"
        self.write(text.replace(old, new), file)

    def dockgate(
        self, verb: str, file: Path, *more: str, code: int | None = 0, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb; the exit code must be ``code`` (None: any)."""
        done = subprocess.run(
            [*DOCKGATE, *verb.split(), "--file", str(file), *more],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if code is not None:
            said = f"dockgate {verb} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
            assert done.returncode == code, said
        return done

    def up(self, file: Path, *more: str, code: int | None = 0) -> str:
        return self.dockgate("up", file, *more, code=code).stdout

    def plan(self, file: Path) -> str:
        return self.dockgate("plan", file, code=None).stdout

    def status(self, file: Path) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.dockgate("status", file, "-o", "json", code=None).stdout)
        return answer

    def balancer(self, file: Path, vip: str, host: str = "docker1") -> str:
        """Name of the VIP's load balancer container on a host; there must be exactly one that runs."""
        project = load_file(file).desired.project
        labels = (f"dockgate.project={project}", f"dockgate.name={vip}", "dockgate.kind=lb")
        words = [word for label in labels for word in ("--filter", f"label={label}")]
        found = self.lab.docker(host, "ps", "--format", "{{.Names}}", *words).stdout.split()
        assert len(found) == 1, f"load balancers of {vip} on {host}: {found}"
        return found[0]

    # --- members

    def start(
        self, host: str, name: str, *, network: str = "", alias: str = "", options: Sequence[str] = (), image: str = WEB
    ) -> str:
        """``docker run -d`` of a demo web container; its id."""
        words = ["run", "-d", "--name", name, "--hostname", name]
        words += ["--network", network] if network else []
        words += ["--network-alias", alias] if alias else []
        self.members.append((host, name))
        done = self.lab.docker(host, *words, *options, image, check=False)
        if LOST_ITS_SWARM in done.stderr:
            print(f"{host} has lost its Swarm: its Docker is restarted, and {name} made once more")
            with engine_restarted(self.lab, host):
                pass
            self.lab.docker(host, "rm", "-f", name)
            done = self.lab.docker(host, *words, *options, image, check=False)
        assert done.returncode == 0, f"{name} on {host}: {done.stderr}"
        return done.stdout.strip()

    def members_up(self, file: Path, *names: str, within_s: float = 20.0) -> dict[str, dict[str, Any]]:
        """Wait until HAProxy takes exactly these members as up; their rows of the status by name."""

        def these() -> dict[str, dict[str, Any]] | None:
            rows = {row["member"]: row for row in self.status(file)["members"] if row["up"]}
            return rows if set(rows) == set(names) else None

        found: dict[str, dict[str, Any]] = eventually(these, f"members up: {names}", within_s=within_s, every_s=0.2)
        return found

    # --- the client

    def curl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.lab.client_exec("curl", "-s", "-S", "-m", "3", *words)

    def get(self, url: str, *words: str) -> tuple[int, str]:
        """Status and body of one request from the client host; status 0 when there was no answer."""
        done = self.curl("-o", "-", "-w", "\n%{http_code}", *words, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body.strip()

    def answers(self, url: str, *, count: int = 8) -> list[str]:
        """Who answered ``count`` requests in a row."""
        return [self.get(url)[1] for _ in range(count)]

    def load(self, url: str, *, rate: float = 2000.0, connections: int = 32, method: Method = "GET") -> RunningLoad:
        """A constant load from the client host, steady when this returns."""
        return start_load(
            lambda argv: self.lab.spawn(CLIENT, argv), url, rate=rate, connections=connections, method=method
        )

    # --- the end

    def clear(self) -> None:
        """Members first, so that our networks are free to go; then everything that ``up`` made."""
        for host in self.lab.hosts:
            self.lab.power_on(host)
            self.lab.set_link(host, up=True)
        for host, name in self.members:
            self.lab.docker(host, "rm", "-f", "-v", name, check=False)
        for file in self.files:
            self.dockgate("down", file, code=None)


@contextmanager
def engine_restarted(lab: Lab, host: str) -> Iterator[None]:
    """SIGTERM, as `systemctl restart docker` sends it: the engine stops its containers and ends; then it is started."""
    process, one = lab.process(host), lab.host_plan(host)
    assert process is not None
    hosts.signal_engine(process, one, "TERM")
    eventually(lambda: not hosts.engine_pid(process), f"the engine of {host} has ended", within_s=40)
    try:
        yield
    finally:
        lab.mend_engine(host)
