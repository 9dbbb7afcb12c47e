"""Faults that happen to real systems, each of which undoes itself.

Role: context managers; the fault is there when the block begins and gone when it ends, also when it ends by an error
or Ctrl-C. Used by the scenario tests and by `dockgate lab fault`.
Invariant: undoing leaves what was there before as it was before, and returns only when that is so: a container runs,
an engine answers, a link is up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from dockgate.lab import host as hosts
from dockgate.lab.address import CLIENT
from dockgate.lab.boot import entering
from dockgate.lab.engine import JSON
from dockgate.lab.errors import EngineError, NotRight, NotUp
from dockgate.lab.lab import Lab
from dockgate.lab.process import Process, run, wait_until

Fault = AbstractContextManager[None]

_GONE = 404
_ALREADY = (304, 409)


@contextmanager
def container_stopped(lab: Lab, host: str, container: str, *, grace: int = 10) -> Iterator[None]:
    """`docker stop`: SIGTERM, then SIGKILL after `grace` seconds. Undone by starting it, unless it was removed."""
    _order(lab, host, container, f"stop?t={grace}")
    try:
        yield
    finally:
        _bring_back(lab, host, container)


@contextmanager
def container_killed(lab: Lab, host: str, container: str) -> Iterator[None]:
    """SIGKILL to its first process. A restart policy does not bring it back, `docker kill` counts as wanted; undone by
    starting it, unless it was removed."""
    _order(lab, host, container, "kill?signal=SIGKILL")
    try:
        yield
    finally:
        _bring_back(lab, host, container)


@contextmanager
def container_crashed(lab: Lab, host: str, container: str) -> Iterator[None]:
    """SIGKILL to its first process behind the engine's back, as the kernel does when memory runs out: a restart policy
    does bring it back. Undone by starting it if it does not run, unless it was removed."""
    process, pid = _powered(lab, host), _state(lab, host, container).get("Pid")
    if not pid:
        raise NotRight(f"{host}/{container} does not run", attempt="crashing it", next_step=f"docker start {container}")
    run([*entering(process), "kill", "-KILL", str(pid)], attempt=f"crashing {host}/{container}")
    try:
        yield
    finally:
        _bring_back(lab, host, container)


@contextmanager
def container_paused(lab: Lab, host: str, container: str) -> Iterator[None]:
    """Frozen: its kernel still accepts connections, nothing answers them."""
    _order(lab, host, container, "pause")
    try:
        yield
    finally:
        _order(lab, host, container, "unpause", tolerate=(_GONE, *_ALREADY, 500))


@contextmanager
def engine_killed(lab: Lab, host: str) -> Iterator[None]:
    """SIGKILL to a host's dockerd; its containers run on until it is started again."""
    process, one = _powered(lab, host), lab.host_plan(host)
    hosts.signal_engine(process, one, "KILL")
    engine = lab.engine(host)
    wait_until(lambda: not engine.answers(), seconds=10, what=f"the engine of {host} still answers after SIGKILL")
    try:
        yield
    finally:
        lab.mend_engine(host)


@contextmanager
def engine_paused(lab: Lab, host: str) -> Iterator[None]:
    """SIGSTOP to a host's dockerd: its socket accepts requests and answers none."""
    process, one = _powered(lab, host), lab.host_plan(host)
    hosts.signal_engine(process, one, "STOP")
    try:
        yield
    finally:
        lab.mend_engine(host)


@contextmanager
def link_cut(lab: Lab, host: str) -> Iterator[None]:
    """The cable of a host, or of `client`, pulled out at the switch. What is on the host runs on."""
    lab.set_link(host, up=False)
    try:
        yield
    finally:
        lab.set_link(host, up=True)


@contextmanager
def powered_off(lab: Lab, host: str) -> Iterator[None]:
    """A power cut. Undone by powering the host on: its disk is kept, containers with a restart policy come back."""
    _powered(lab, host)
    lab.power_off(host)
    try:
        yield
    finally:
        lab.power_on(host)


CONTAINER_FAULTS: Mapping[str, Callable[[Lab, str, str], Fault]] = {
    "stop": container_stopped,
    "kill": container_killed,
    "crash": container_crashed,
    "pause": container_paused,
}
"""What can happen to HOST/CONTAINER."""

HOST_FAULTS: Mapping[str, Callable[[Lab, str], Fault]] = {
    "kill-engine": engine_killed,
    "pause-engine": engine_paused,
    "cut-link": link_cut,
    "power-off": powered_off,
}
"""What can happen to HOST."""

KINDS = (*CONTAINER_FAULTS, *HOST_FAULTS)


def named_fault(lab: Lab, kind: str, target: str) -> Fault:
    """The fault of that kind at HOST or HOST/CONTAINER; NotRight if the two do not fit."""
    host, _, container = target.partition("/")
    if kind in HOST_FAULTS and not container:
        if not (host == CLIENT and kind == "cut-link"):
            lab.host_plan(host)
        return HOST_FAULTS[kind](lab, host)
    if kind in CONTAINER_FAULTS and container:
        lab.host_plan(host)
        return CONTAINER_FAULTS[kind](lab, host, container)
    if kind not in KINDS:
        raise NotRight(f"there is no fault {kind!r}", attempt="making a fault", next_step="Use " + ", ".join(KINDS))
    wanted = "HOST/CONTAINER, as in docker2/web1" if kind in CONTAINER_FAULTS else "a HOST, as in docker2"
    raise NotRight(f"{target!r} is no target for {kind}", attempt="making a fault", next_step=f"It wants {wanted}.")


def _order(lab: Lab, host: str, container: str, order: str, *, tolerate: tuple[int, ...] = ()) -> None:
    try:
        lab.engine(host).post(f"/containers/{container}/{order}", attempt=f"{order.split('?')[0]} {host}/{container}")
    except EngineError as error:
        if error.status not in tolerate:
            raise


def _bring_back(lab: Lab, host: str, container: str) -> None:
    _order(lab, host, container, "start", tolerate=(_GONE, *_ALREADY))
    wait_until(partial(_runs, lab, host, container), seconds=20, what=f"{host}/{container} does not start again")


def _runs(lab: Lab, host: str, container: str) -> bool:
    """True if it runs, or is no longer there to run."""
    try:
        return _state(lab, host, container).get("Running") is True
    except EngineError as error:
        if error.status == _GONE:
            return True
        raise


def _state(lab: Lab, host: str, container: str) -> dict[str, JSON]:
    found = lab.engine(host).get(f"/containers/{container}/json", attempt=f"looking at {host}/{container}")
    state = found.get("State") if isinstance(found, dict) else None
    return state if isinstance(state, dict) else {}


def _powered(lab: Lab, host: str) -> Process:
    process = lab.process(host)
    if process is None:
        raise NotUp(f"the host {host} is off", attempt="making a fault", next_step=f"dockgate lab power-on {host}")
    return process
