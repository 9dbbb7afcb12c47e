"""A lab: several Docker hosts and a client on one LAN.

Role: bring a lab up, open one that is up, run things in it, break it (see `faults`), take it down.
Invariant: the state file is written before each thing is made, so `down` finds everything whatever happened.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from dockgate.lab import cleanup, host, net, preflight, ssh, swarm
from dockgate.lab.address import CLIENT, DEFAULT_NAME, HostPlan, LabPlan, hosts_file, plan_lab
from dockgate.lab.boot import PATH_INSIDE, Boot, entering, wait_booted
from dockgate.lab.cache import Cache, locked
from dockgate.lab.client import in_client
from dockgate.lab.engine import Engine
from dockgate.lab.errors import CommandFailed, NotRight, NotUp
from dockgate.lab.images import Supplies, host_root, load_missing, read_index, supplies
from dockgate.lab.kind import USUAL, Kind
from dockgate.lab.paths import LabPaths, cache_dir
from dockgate.lab.process import Process, ending_with_us, wait_until
from dockgate.lab.progress import Progress
from dockgate.lab.state import LabState, read_state, record_process, write_state

Stream = int | IO[bytes] | IO[str] | None

AWAY_S = 10.0
"""How long a host without power stays away at least: no real machine boots faster. Docker's hosts take up to 8 s to
declare one dead; one that is back before that hears of its own ghost, waits 30 s for it, and gives the containers on
overlay networks up after 20 s (measured: 7 of 25 times when back within 4 s, 0 of 8 after 10 s)."""


class Lab:
    """A lab that is up, or was when it was opened. Make one with `Lab.up` or `Lab.open`."""

    def __init__(self, plan: LabPlan, paths: LabPaths) -> None:
        self.plan = plan
        self.paths = paths

    @classmethod
    def up(
        cls,
        name: str = DEFAULT_NAME,
        *,
        hosts: int = 3,
        kinds: Mapping[str, Kind] | None = None,
        progress: Progress | None = None,
    ) -> Lab:
        """Bring a lab up and return it. One that is up is left as it is, but for what is broken (hosts that are off,
        links that are cut, engines that do not run) and images that have changed. What an interrupted run left is
        removed first. `kinds`: of the hosts that are not of the usual kind."""
        preflight.check_root()
        plan = plan_lab(name, hosts)
        lab = cls(plan, LabPaths.of(name))
        told = progress or Progress(quiet=True)
        odd = {host: kind for host, kind in (kinds or {}).items() if kind != USUAL}
        with _lab_lock(name, told):
            state = read_state(lab.paths.state)
            if state and state.complete:
                _must_be_this(state, hosts, odd)
                lab = cls(plan, replace(lab.paths, disks=state.disks))
                lab._mend(told)
                return lab
            preflight.check_tools()
            preflight.check_disk(cache_dir())
            preflight.load_modules()
            if state:
                with told.step("removing what an interrupted run left"):
                    cleanup.remove(state, plan_lab(name, state.hosts), lab.paths)
            lab._refuse_foreign()
            cache = Cache(cache_dir())
            made = supplies(cache, told)
            roots = {host: host_root(cache, kind, told) for host, kind in odd.items()}
            lab._make(made, LabState(name, hosts, made.rootfs, lab.paths.disks, kinds=odd, roots=roots), told)
        return lab

    @classmethod
    def open(cls, name: str = DEFAULT_NAME) -> Lab:
        """The lab of that name; NotUp if it is not there or was never finished."""
        preflight.check_root()
        paths = LabPaths.of(name)
        state = read_state(paths.state)
        if state is None or not state.complete:
            raise NotUp(
                f"the lab {name} is not up" + (": a run was interrupted" if state else ""),
                attempt="looking for it",
                next_step=f"dockgate lab up --name {name}",
            )
        return cls(plan_lab(name, state.hosts), replace(paths, disks=state.disks))

    @classmethod
    def remove(cls, name: str = DEFAULT_NAME, *, progress: Progress | None = None) -> bool:
        """Remove the lab of that name, whole or in part; False if there is nothing of it."""
        preflight.check_root()
        plan_lab(name, 1)
        paths = LabPaths.of(name)
        told = progress or Progress(quiet=True)
        with _lab_lock(name, told):
            state = read_state(paths.state)
            if state is None:
                return False
            with told.step(f"removing the lab {name}"):
                cleanup.remove(state, plan_lab(name, state.hosts), paths)
        return True

    def down(self) -> None:
        """Remove everything the lab made."""
        Lab.remove(self.plan.name)

    # --- its parts

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.plan.name

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of its Docker hosts; the first one manages the Swarm."""
        return tuple(one.name for one in self.plan.hosts)

    def host_plan(self, name: str) -> HostPlan:
        """A host's names and addresses; NotUp if the lab has no such host."""
        for one in self.plan.hosts:
            if one.name == name:
                return one
        raise NotUp(
            f"the lab {self.name} has no host {name!r}",
            attempt="looking for it",
            next_step="Its hosts are: " + ", ".join((*self.hosts, CLIENT)),
        )

    def address(self, name: str) -> str:
        """A host's address on the LAN."""
        return self.host_plan(name).address

    def socket(self, name: str) -> Path:
        """A host's Docker socket, reachable from the machine."""
        return self.paths.socket(self.host_plan(name).name)

    def engine(self, name: str) -> Engine:
        """A host's engine, for single requests."""
        return host.engine(self.host_plan(name), self.paths)

    def kind(self, name: str) -> Kind:
        """What a host is: its engine, and what runs beside it."""
        state = read_state(self.paths.state)
        return state.kind(self.host_plan(name).name) if state else USUAL

    def process(self, name: str) -> Process | None:
        """The process a host lives with, None while it is off."""
        state = read_state(self.paths.state)
        process = state.processes.get(self.host_plan(name).name) if state else None
        return process if process and process.alive else None

    # --- running things in it

    def command(self, where: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in a host or in `client`; NotUp if the host is off."""
        if where == CLIENT:
            return in_client(self.plan, self.paths, argv)
        process = self.process(where)
        if process is None:
            raise NotUp(
                f"the host {where} is off",
                attempt=f"running {' '.join(argv)[:60]} in it",
                next_step=f"dockgate lab power-on {where}",
            )
        term = os.environ.get("TERM", "dumb")
        clean = ["env", "-i", f"PATH={PATH_INSIDE}", "HOME=/root", "LANG=C.UTF-8", f"TERM={term}"]
        # nsenter stays outside and waits; if it is killed, what it runs in the host must not outlive it.
        return [*entering(process), *ending_with_us([*clean, *argv])]

    def exec(
        self,
        where: str,
        argv: Sequence[str],
        *,
        input: str | None = None,
        check: bool = False,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a host or in `client` to its end, output captured; with `check`, CommandFailed if it fails;
        subprocess.TimeoutExpired after `timeout` seconds."""
        done = subprocess.run(
            self.command(where, argv),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailed(
                argv, code=done.returncode, output=done.stderr or done.stdout, attempt=f"running it in {where}"
            )
        return done

    def docker(
        self, where: str, *args: str, check: bool = True, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker program in a host; CommandFailed if it fails, unless `check` is off."""
        return self.exec(where, ["docker", *args], check=check, timeout=timeout)

    def client_exec(
        self, *argv: str, check: bool = False, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the client to its end."""
        return self.exec(CLIENT, argv, check=check, timeout=timeout)

    def spawn(
        self,
        where: str,
        argv: Sequence[str],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command in a host or in `client`; the caller ends it. It gets SIGKILL when the lab goes down."""
        return subprocess.Popen(
            self.command(where, argv), stdin=stdin, stdout=stdout, stderr=stderr, env=env, text=True
        )

    # --- power

    def power_off(self, name: str) -> None:
        """Cut a host's power: its link goes dead and everything on it ends, at the same moment; its disk stays."""
        one = self.host_plan(name)
        with _lab_lock(self.name, Progress(quiet=True)):
            process = self.process(name)
            if net.existing([one.netns]):
                net.set_link(self.plan, one.port, up=False)
            if process:
                process.end()
            cleanup.end_inhabitants([one.netns])
            net.unplug(self.plan, one)
            record_process(self.paths.state, name, None)
            if process:
                self.paths.power_cut(name).touch()

    def power_on(self, name: str, *, progress: Progress | None = None) -> None:
        """Power a host on and wait until its engine answers; nothing happens if it is on. See ``AWAY_S``."""
        told, one = progress or Progress(quiet=True), self.host_plan(name)
        with (
            _lab_lock(self.name, told),
            told.step(f"powering {name} on, {AWAY_S:g} s after it went off at the earliest"),
        ):
            self._power_on(one)

    def set_link(self, name: str, *, up: bool) -> None:
        """Cut or heal the link of a host or of `client`."""
        net.set_link(self.plan, self.port(name), up=up)

    def port(self, name: str) -> str:
        """The LAN bridge's port that a host or `client` hangs on."""
        return net.client_port() if name == CLIENT else self.host_plan(name).port

    def mend_engine(self, name: str) -> None:
        """Have a host's engine run and answer: let it go on if it is paused, start it if it is not there."""
        one, process = self.host_plan(name), self.process(name)
        if process is None:
            raise NotUp(
                f"the host {name} is off", attempt="starting its engine", next_step=f"dockgate lab power-on {name}"
            )
        host.signal_engine(process, one, "CONT")
        host.restart_engine(process, self.plan, one, self.kind(name))
        self.engine(name).wait(log=self.paths.host(name) / "dockerd.log")

    # --- making it

    def _make(self, supplies: Supplies, state: LabState, progress: Progress) -> None:
        paths, plan = self.paths, self.plan
        paths.run.mkdir(mode=0o700)
        write_state(paths.state, state)
        with progress.step("making the LAN and the hosts' disks"):
            paths.hosts_file.write_text(hosts_file(plan))
            paths.resolv_conf.write_text(host.RESOLV_CONF)
            ssh.make_keys(plan, paths.ssh)
            net.make_lan(plan)
            with Cache(cache_dir()).read(), ThreadPoolExecutor(max_workers=4) as pool:
                list(pool.map(lambda one: host.prepare_disk(paths.disk(one.name), supplies.template), plan.hosts))
        with progress.step("booting the hosts"):
            self._boot(plan.hosts)
        with progress.step("joining the hosts into a Swarm"):
            swarm.join_all([(one, self.engine(one.name)) for one in plan.hosts])
        done = read_state(paths.state) or state
        write_state(paths.state, replace(done, complete=True))

    def _power_on(self, one: HostPlan) -> None:
        if self.process(one.name) is None:
            cleanup.end_inhabitants([one.netns])
            cleanup.remove_cgroups(self.name, one.name)
            net.unplug(self.plan, one)
            self._stay_away(one)
            self._boot([one])

    def _stay_away(self, one: HostPlan) -> None:
        cut = self.paths.power_cut(one.name)
        if cut.exists() and len(self.plan.hosts) > 1:
            back_at = cut.stat().st_mtime + AWAY_S
            wait_until(
                lambda: not time.time() < back_at <= time.time() + AWAY_S,
                seconds=2 * AWAY_S,
                what=f"the time to power {one.name} on does not come",
            )
            cut.unlink()

    def _boot(self, hosts: Sequence[HostPlan]) -> None:
        state = read_state(self.paths.state)
        if state is None:
            raise NotUp(f"the lab {self.name} is gone", attempt="booting its hosts", next_step="dockgate lab up")
        booting: list[tuple[Boot, Process]] = []
        for one in hosts:
            net.plug_in(self.plan, one)
            kind, root = state.kind(one.name), state.root(one.name)
            what, process = host.boot_host(self.plan, one, kind=kind, rootfs=root, paths=self.paths)
            record_process(self.paths.state, one.name, process)
            booting.append((what, process))
        for what, process in booting:
            wait_booted(what, process)
        for one in hosts:
            self.engine(one.name).wait(log=self.paths.host(one.name) / "dockerd.log")

    def _mend(self, progress: Progress) -> None:
        for one in self.plan.hosts:
            if self.process(one.name) is None:
                with progress.step(f"powering {one.name} on"):
                    self._power_on(one)
            net.set_link(self.plan, one.port, up=True)
            self.mend_engine(one.name)
        net.set_link(self.plan, net.client_port(), up=True)
        cache = Cache(cache_dir())
        supplies(cache, progress)
        with progress.step("loading images that have changed"), cache.read():
            for one in self.plan.hosts:
                load_missing(self.engine(one.name), read_index(cache.root))

    def _refuse_foreign(self) -> None:
        there = net.existing(self.plan.namespaces())
        if there or self.paths.run.exists():
            raise NotRight(
                f"{there[0] if there else self.paths.run} exists, but no lab's state file says whose it is",
                attempt=f"bringing up the lab {self.name}",
                next_step="Remove it by hand if nobody needs it, or use another --name.",
            )


def _must_be_this(state: LabState, hosts: int, kinds: Mapping[str, Kind]) -> None:
    """NotRight if the lab that is up is another one than is asked for."""
    what = ""
    if state.hosts != hosts:
        what = f"the lab {state.name} is up with {state.hosts} hosts, not {hosts}"
    elif dict(state.kinds) != dict(kinds):
        name = next(name for name in sorted({*state.kinds, *kinds}) if state.kind(name) != kinds.get(name, USUAL))
        what = f"{name} of the lab {state.name} is up with {state.kind(name)}, not {kinds.get(name, USUAL)}"
    if what:
        raise NotRight(
            what,
            attempt=f"bringing up the lab {state.name}",
            next_step=f"Take it down first (dockgate lab down --name {state.name}), or use another --name.",
        )


@contextmanager
def _lab_lock(name: str, progress: Progress) -> Iterator[None]:
    path = cache_dir() / "locks" / f"lab-{name}"
    with locked(path, progress=progress, why=f"works on the lab {name}"):
        yield
