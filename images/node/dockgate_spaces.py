"""Network namespaces: go into one, open what is needed, come back. And what the programs that do so share.

Nothing of a container but its namespace is used: no file of it is read or executed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NEWNET = 0x40000000


class CannotDo(Exception):
    """The verb cannot be carried out; the message is for a person."""


class Namespaces:
    """Go into one, open what is needed, come back."""

    def __init__(self) -> None:
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        if name == "host":
            yield
            return
        there = os.open(_namespace_path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.setns(there, NEWNET)
            try:
                yield
            finally:
                os.setns(self._own, NEWNET)
        finally:
            os.close(there)


def _namespace_path(name: str) -> str:
    kind, _, value = name.partition(":")
    if kind == "pid" and value.isdigit():
        return f"/proc/{value}/ns/net"
    if kind != "overlay" or not value.isalnum():
        raise CannotDo(f"{name!r} is not a namespace")
    for root in _docker_roots():
        for found in sorted(Path(root).glob(f"run/docker/netns/*-{value[:10]}")):
            if not found.name.startswith("lb_"):
                return str(found)
    raise CannotDo(f"there is no namespace of overlay network {value} on this host")


def _docker_roots() -> Iterator[str]:
    """Docker keeps the overlays' namespaces mounted where it runs itself."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                if (place / "comm").read_text().strip() == "dockerd":
                    yield f"{place}/root"
    yield "/proc/1/root"


SPACES = Namespaces()


def run(*argv: str, feed: str | None = None) -> str:
    done = subprocess.run(argv, input=feed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotDo(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def open_socket(address: str, kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET if version_of(address) == 4 else socket.AF_INET6, kind)
    if version_of(address) == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def version_of(address: str) -> int:
    return 6 if ":" in address else 4


def listening(place: str) -> list[list[Any]]:
    """[protocol, address, port] of every TCP listener and every UDP socket without a peer."""
    return sorted([list(each) for each in {found[:3] for found in sockets(place)}])


def sockets(place: str) -> Iterator[tuple[str, str, int, int]]:
    """Protocol, address, port and inode of the same, from a folder like /proc/PID/net."""
    for name, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        path = Path(place, name)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == state:
                address, _, port = fields[1].partition(":")
                yield name[:3], _address(address), int(port, 16), int(fields[9])


def _address(text: str) -> str:
    """The kernel writes words of 32 bits in its own byte order."""
    words = [struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def answer(program: str, verbs: Mapping[str, Callable[[dict[str, Any]], Any]], arguments: Sequence[str]) -> int:
    """Carry out ``VERB JSON [MORE OF IT …]`` and print the answer, or {"error": why}, as JSON; the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        if len(arguments) < 2 or arguments[0] not in verbs:
            raise CannotDo(f"usage: {program} {' | '.join(verbs)} JSON [MORE OF IT …]")
        try:
            request = json.loads("".join(arguments[1:]))
        except ValueError as error:
            raise CannotDo(f"the request is not JSON: {error}") from error
        found = verbs[arguments[0]](request)
    except (CannotDo, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(found))
    return 0
