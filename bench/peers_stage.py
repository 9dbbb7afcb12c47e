"""Throw-away namespaces: a client, a proxy and two backends on one bridge, and processes that end with us.

Nothing leaves them: the bridge is in a namespace of its own. What was made is removed by name and by process id.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers_configs import PROXY, WEBS, Contender, backend

from dockgate.lab.process import bound_to_us, run, wait_until

PREFIX = f"dgb{os.getpid()}"
PLACES = {"client": "10.99.0.2", "proxy": PROXY, **WEBS}
READY_S = 20.0


def netns(name: str) -> str:
    return f"{PREFIX}-{name}"


@contextmanager
def stage(root: Path) -> Iterator[None]:
    """The namespaces, with both backends running."""
    names = [*PLACES, "lan"]
    try:
        for name in names:
            _ip("netns", "add", netns(name))
            _ip("-n", netns(name), "link", "set", "lo", "up")
        _ip("-n", netns("lan"), "link", "add", "br0", "type", "bridge")
        _ip("-n", netns("lan"), "link", "set", "br0", "up")
        for name, address in PLACES.items():
            ends = ["type", "veth", "peer", "name", "eth0", "netns", netns(name)]
            _ip("-n", netns("lan"), "link", "add", name, *ends)
            _ip("-n", netns("lan"), "link", "set", name, "master", "br0", "up")
            _ip("-n", netns(name), "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", netns(name), "link", "set", "eth0", "up")
        (root / "etc/services").write_text("http 80/tcp\nhttps 443/tcp\n")
        (root / "etc/hosts").write_text("".join(f"{address} {name}\n" for name, address in WEBS.items()))
        with running(root, "web1", backend(root, "web1")), running(root, "web2", backend(root, "web2")):
            for address in WEBS.values():
                _wait_open("client", address)
            yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", netns(name)], capture_output=True, check=False)


@contextmanager
def serving(root: Path, contender: Contender) -> Iterator[None]:
    """The contender, once it answers; "no proxy" needs nobody."""
    if not contender.argv:
        yield
        return
    with running(root, "proxy", contender.argv, inside=contender.inside):
        for port in (80, 443):
            _wait_open("client", PROXY, port)
        _wait_answer(root)
        yield


@contextmanager
def running(root: Path, name: str, argv: Sequence[str], *, inside: bool = True) -> Iterator[None]:
    log = root / "bench" / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            _entering(root, name, argv, inside=inside), stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def ask(root: Path, argv: Sequence[str]) -> str:
    """What a command of the client says."""
    return run(_entering(root, "client", argv, inside=True), attempt=f"running {argv[0]}")


def _entering(root: Path, name: str, argv: Sequence[str], *, inside: bool) -> list[str]:
    """Workers end with their master, and all of it with us."""
    into = ["ip", "netns", "exec", netns(name)]
    chroot = ["chroot", str(root)] if inside else []
    return bound_to_us([*into, "sh", "-c", 'ulimit -n $(ulimit -H -n); exec "$@"', "sh", *chroot, *argv])


def _wait_open(place: str, address: str, port: int = 80) -> None:
    probe = f"import socket; socket.create_connection(({address!r}, {port}), 1).close()"
    argv = ["ip", "netns", "exec", netns(place), "python3", "-c", probe]
    wait_until(
        lambda: subprocess.run(argv, capture_output=True, check=False).returncode == 0,
        seconds=READY_S,
        what=f"{address}:{port} does not open",
    )


def _wait_answer(root: Path) -> None:
    """Both backends are taken for good: a second of requests without an error."""

    def answers() -> bool:
        said = ask(root, ["wrk", "-t1", "-c2", "-d1s", f"http://{PROXY}/index.html"])
        return "Non-2xx" not in said and "Socket errors" not in said

    wait_until(answers, seconds=READY_S, what=f"{PROXY} gives no good answers")


def _ip(*words: str) -> None:
    run(["ip", *words], attempt="making the namespaces of the benchmark")
