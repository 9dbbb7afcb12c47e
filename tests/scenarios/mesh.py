"""Whether the lab's Swarm carries overlay networks between its hosts, and its mending where it does not.

Two things were seen after hosts that were off, cut off or frozen several times within minutes. An engine whose agent
the Swarm has lost joins no network ever again; and engines whose gossip has split join, but never learn of the other
hosts' containers (no name, no neighbour, no forwarding entry: "No route to host" from one container to the other). Both
last until the engine is restarted.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.scenarios.stage import WEB, engine_restarted, eventually

from dockgate.lab import Lab

PROBE = "suite-probe"
PATIENCE_S = 30.0
"""Gossip that a restarted engine has joined anew is whole within this time, mostly within 2 s."""
ASK = "import socket, sys\nfor name in sys.argv[1:]: socket.create_connection((name, 80), 2)"


def whole(lab: Lab) -> None:
    """Return when a container on each host reaches one on each other host; engines that stay apart are restarted.

    Raises: AssertionError, with what the last probe said, when a restart of every engine did not help.
    """
    wrong = apart(lab)
    for host in lab.hosts:
        if not wrong:
            return
        print(f"the Swarm of {lab.name} is not whole, {host}'s Docker is restarted: {wrong}", file=sys.stderr)
        with engine_restarted(lab, host):
            pass
        wrong = apart(lab)
    assert not wrong, f"the Swarm of {lab.name} is not whole, and a restart of each engine did not help: {wrong}"


def apart(lab: Lab) -> str:
    """What does not work between the hosts after PATIENCE_S; "" as soon as all reach all."""
    with probes(lab) as kept_out:
        if kept_out:
            return kept_out
        try:
            eventually(lambda: not each(lab, asked), "all reach all", within_s=PATIENCE_S, every_s=0.5)
        except AssertionError:
            return each(lab, asked)
        return ""


@contextmanager
def probes(lab: Lab) -> Iterator[str]:
    """One container per host on an overlay network of its own, gone afterwards; gives what kept one from starting."""
    manager = lab.hosts[0]
    clear(lab)
    lab.docker(manager, "network", "create", "-d", "overlay", "--attachable", "--internal", PROBE)
    try:
        yield each(lab, started)
    finally:
        clear(lab)


def clear(lab: Lab) -> None:
    each(lab, lambda lab, host: lab.docker(host, "rm", "-f", named(host), check=False).stderr)
    eventually(lambda: gone(lab), f"the network {PROBE} is gone", within_s=30)


def gone(lab: Lab) -> bool:
    """Whether the network is; a Swarm takes a moment to see that nobody is on it, and another one to remove it."""
    lab.docker(lab.hosts[0], "network", "rm", PROBE, check=False)
    return lab.docker(lab.hosts[0], "network", "inspect", PROBE, check=False).returncode != 0


def started(lab: Lab, host: str) -> str:
    return said(host, lab.docker(host, "run", "-d", "--name", named(host), "--network", PROBE, WEB, check=False))


def asked(lab: Lab, host: str) -> str:
    """Ask every other host's container by its name, as members are: the name's answer comes by gossip, too."""
    others = [named(other) for other in lab.hosts if other != host]
    return said(host, lab.docker(host, "exec", named(host), "python3", "-c", ASK, *others, check=False))


def said(host: str, done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a command that failed said, with its host; "" when it went well."""
    last = (done.stderr.strip() or "no word").splitlines()[-1]
    return f"{host}: {last}" if done.returncode else ""


def each(lab: Lab, work: Callable[[Lab, str], str]) -> str:
    """Do it on all hosts at once; what went wrong, host by host, or ""."""
    with ThreadPoolExecutor(len(lab.hosts)) as pool:
        return "; ".join(filter(None, pool.map(lambda host: work(lab, host), lab.hosts)))


def named(host: str) -> str:
    return f"{PROBE}-{host}"
