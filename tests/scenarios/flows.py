"""Live flows through a host's firewall: TCP and UDP, begun outside and begun by a container, timed at both ends.

Each end prints the time of every packet or piece that reaches it, so that "it died" is said by whoever received, not by
whoever sent. All of it runs on one machine, and so on one clock.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from tests.scenarios.firewalled import Walled
from tests.scenarios.stage import eventually

from dockgate.lab.address import CLIENT, CLIENT_ADDRESS

HOST, CONTAINER = "docker1", "flows"
INWARD = {"tcp": (8420, 9420), "udp": (8421, 9421)}
"""Published port and the container's own."""
OUTWARD = {"tcp": 9422, "udp": 9423}
PUBLISH = [
    word for kind, (outer, inner) in INWARD.items() for word in ("-p", f"{outer}:{inner}{'/udp' * (kind == 'udp')}")
]
ALLOWED = (
    '  - {name: world to flows, from: world, to: "container:flows"}\n',
    '  - {name: flows to world, from: "container:flows", to: world}\n',
)
PROGRAM = """
import socket, sys, threading, time
kind, role, address, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def told():
    print(time.time(), flush=True)
def send(sock):
    while True:
        try:
            sock.send(b"x" * 64)
        except OSError:
            pass
        time.sleep(0.02)
def answer(sock):
    while True:
        try:
            data, who = sock.recvfrom(2048) if kind == "udp" else (sock.recv(2048), None)
        except OSError:
            time.sleep(0.02)
            continue
        if not data:
            break
        if data.strip(b"x"):
            continue  # of somebody who tries whether anybody answers
        told()
        if role == "echo":
            sock.sendto(data, who) if who else sock.sendall(data)
if kind == "udp":
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port)) if role == "echo" else sock.connect((address, port))
elif role == "echo":
    server = socket.create_server(("", port))
    print("listening", flush=True)
    sock = server.accept()[0]
else:
    sock = socket.create_connection((address, port), 5)
    sock.settimeout(None)
if role == "ask":
    threading.Thread(target=send, args=(sock,), daemon=True).start()
elif kind == "udp":
    print("listening", flush=True)
answer(sock)
"""


@dataclass
class End:
    """One end of a flow; ``seen``: when something reached it."""

    process: subprocess.Popen[str]
    seen: list[float] = field(default_factory=list)
    listening: bool = False

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "listening":
                self.listening = True
            else:
                self.seen.append(float(line))


@contextmanager
def end(walled: Walled, at: str, kind: str, role: Literal["ask", "echo"], target: tuple[str, int]) -> Iterator[End]:
    """``at``: the client or the container; ``target``: whom it asks, or "" and where it listens."""
    argv = ["-u", "-c", PROGRAM, kind, role, target[0], str(target[1])]
    if at == CLIENT:
        process = walled.lab.spawn(CLIENT, [sys.executable, *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    else:
        words = ["docker", "exec", CONTAINER, "python3", *argv]
        process = walled.lab.spawn(HOST, words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    made = End(process)
    reader = threading.Thread(target=made.read)
    reader.start()
    try:
        yield made
    finally:
        process.kill()
        reader.join()
        process.communicate()


@contextmanager
def all_flows(walled: Walled) -> Iterator[dict[str, End]]:
    """Every flow under way, each end by its name."""
    walled.stage.start(HOST, CONTAINER, options=PUBLISH)
    walled.up(*ALLOWED)
    ways = [
        *(
            (f"{kind} in", CONTAINER, CLIENT, inner, (walled.lab.address(HOST), outer))
            for kind, (outer, inner) in INWARD.items()
        ),
        *((f"{kind} out", CLIENT, CONTAINER, port, (CLIENT_ADDRESS, port)) for kind, port in OUTWARD.items()),
    ]
    ends: dict[str, End] = {}
    with ExitStack() as stack:
        for name, server, client, listens, asked in ways:
            kind = name.split()[0]
            echo = stack.enter_context(end(walled, server, kind, "echo", ("", listens)))
            eventually(lambda echo=echo: echo.listening, f"{name}: somebody listens")
            ends[f"{name}, who answers"] = echo
            ends[f"{name}, who asks"] = stack.enter_context(end(walled, client, kind, "ask", asked))
        for name, one in ends.items():
            eventually(lambda one=one: len(one.seen) > 5, f"{name}: it flows")
        yield ends


@contextmanager
def change_of_rules(walled: Walled) -> Iterator[list[float]]:
    """When the kernel of the host took new rules into our table, the first time at [0]."""
    watching = walled.lab.spawn(HOST, ["nft", "monitor", "tables"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    times: list[float] = []

    def read() -> None:
        assert watching.stdout is not None
        times.extend(time.time() for line in watching.stdout if "inet dockgate" in line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield times
    finally:
        watching.kill()
        reader.join()
        watching.communicate()


def still_flowing(ends: Mapping[str, End]) -> list[str]:
    """The ends that something more reaches within a second and a half, fifty times what lies between two packets."""
    before = {name: len(one.seen) for name, one in ends.items()}

    def grown() -> list[str]:
        return [name for name, one in ends.items() if len(one.seen) > before[name]]

    try:
        found: list[str] = eventually(grown, "another packet", within_s=1.5)
    except AssertionError:
        return []
    return found
