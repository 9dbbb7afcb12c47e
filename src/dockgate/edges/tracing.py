"""Watching one request: dockgate_trace.py of the node image at work on a host or here, and what it says as values.

Decides nothing. Invariant: the program's standard input ends when we leave, or die, and the program ends with it; an
answer that cannot be understood is an error and never evidence.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockgate.edges.api import EngineApi
from dockgate.errors import DockgateError, EngineError
from dockgate.trace.evidence import Answer, Forwarding, Sighting, Verdict
from dockgate.trace.legs import Leg
from dockgate.trace.model import HERE, Ends

PROGRAM = "dockgate_trace.py"
FOLDER = "/usr/local/lib/dockgate"
ANSWER_S = 8.0


@dataclass(frozen=True)
class Job:
    """What a seat watches. ``servers``: ends of the sessions of which the ports are not known. ``vxlan``: the UDP port
    of overlay networks. ``send``: where our request is sent from here, None on all seats but one."""

    places: tuple[str, ...]
    port: int
    servers: tuple[tuple[str, int], ...]
    token: str
    seconds: float
    vxlan: int
    send: Mapping[str, object] | None = None

    def text(self) -> str:
        return json.dumps({**vars(self), "send": dict(self.send) if self.send else None})


class Watcher:
    """The program, up and watching. ``blind``: places that it could not watch, and why."""

    def __init__(self, seat: str, write: Callable[[str], Awaitable[None]], read: Callable[[], Awaitable[str]]) -> None:
        self.seat = seat
        self.blind: dict[str, str] = {}
        self._write = write
        self._read = read
        self._buffered = ""

    async def begin(self) -> None:
        self.blind = dict((await self._line("begin"))["errors"])

    async def say(self, word: str) -> Any:
        await self._write(f"{word}\n")
        return await self._line(word)

    async def ask(self, what: str, asked: object) -> Any:
        """None when it could not be read there."""
        await self._write(f"{json.dumps({what: asked})}\n")
        found = await self._line(what)
        return None if isinstance(found, dict) and "failed" in found else found

    async def _line(self, asked: str) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                while "\n" not in self._buffered:
                    piece = await self._read()
                    if not piece:
                        raise self._failed(asked, self._buffered.strip()[-300:] or "it ended")
                    self._buffered += piece
        except TimeoutError as error:
            raise self._failed(asked, f"no answer within {ANSWER_S:g} s") from error
        line, _, self._buffered = self._buffered.partition("\n")
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._failed(asked, (line + self._buffered).strip()[-300:]) from error

    def _failed(self, asked: str, why: str) -> EngineError:
        return EngineError(
            f"{self.seat or 'here'}: could not {asked} for the trace: {why}",
            hint="run `dockgate up`, which brings the node containers to this version, and then again",
        )


@asynccontextmanager
async def on_host(engine: EngineApi, node: str, job: Job) -> AsyncIterator[Watcher]:
    """Through the host's node container."""
    async with engine.talk(node, ["python3", f"{FOLDER}/{PROGRAM}", job.text()]) as talk:
        watcher = Watcher(engine.host, talk.send, talk.receive)
        await watcher.begin()
        yield watcher


@asynccontextmanager
async def here(recipes: Path | None, job: Job) -> AsyncIterator[Watcher]:
    """Where dockgate runs; without root it can send, and sees nothing. ``recipes``: the images/ of the checkout."""
    program = recipes / "node" / PROGRAM if recipes is not None else Path(PROGRAM)
    if not program.is_file():
        raise DockgateError(
            f"{program} is not there, so nothing can be sent from here",
            hint="run dockgate from a checkout, or trace --from a host",
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-B", str(program), job.text(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    writer, reader = process.stdin, process.stdout

    async def write(text: str) -> None:
        writer.write(text.encode())
        await writer.drain()

    async def read() -> str:
        return (await reader.read(1 << 16)).decode(errors="replace")

    try:
        watcher = Watcher(HERE, write, read)
        await watcher.begin()
        yield watcher
    finally:
        writer.close()
        await process.wait()


async def resolve(name: str) -> str:
    """The address of a name, as this machine has it; IPv4 where there is one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DockgateError(
            f"{name} could not be resolved here: {error.strerror or error}", hint="ask by a host's name or address"
        ) from error
    addresses = [str(each[4][0]) for each in sorted(found, key=lambda each: each[0] != socket.AF_INET)]
    return addresses[0]


async def own_addresses(engine: EngineApi, node: str) -> frozenset[str]:
    """Every address of a host."""
    done = await engine.exec(node, ["ip", "-j", "address"], timeout_s=ANSWER_S)
    try:
        links = json.loads(done.stdout)
        return frozenset(str(each["local"]) for link in links for each in link["addr_info"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{engine.host}: its addresses could not be read: {done.output[-200:]}", hint="dockgate up, then again"
        ) from error


def own_address(towards: str) -> str:
    """The address that this machine would send from; "" when it has no way there. Sends nothing."""
    with socket.socket(socket.AF_INET6 if ":" in towards else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((towards, 9))
        except OSError:
            return ""
        return str(sock.getsockname()[0])


# --- answers as values


def answer(said: Mapping[str, Any]) -> Answer:
    return Answer(
        str(said["outcome"]), int(said["status"]), str(said["error"]), str(said["source"]), int(said["at"]),
        int(said.get("connect_us", 0)), int(said["total_us"]), str(said.get("tls", "")), str(said.get("shown", "")),
    )  # fmt: skip


def sightings(seat: str, said: Mapping[str, Any]) -> tuple[Sighting, ...]:
    return tuple(
        Sighting(
            (seat, item["ns"]), item["interface"], item["out"], item["at"], _ends(item), item["seq"], item["ack"],
            item["flags"], item["token"], tuple(item["outer"]) if item["outer"] else None,
        )
        for item in said["seen"]
    )  # fmt: skip


def verdicts(seat: str, said: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Of rules and policies of everybody but the trace's own table."""
    texts = {(ns, family, table, handle): text for ns, family, table, _, handle, text in said["rules"]}
    chains = {
        (ns, family, table, chain): text for ns, family, table, chain, _, text in said["rules"] if "comment" in text
    }
    return tuple(
        Verdict(
            (seat, item["ns"]), item["family"], item["table"], item["chain"], item["handle"], item["verdict"],
            *_of_session(item),
            texts.get((item["ns"], item["family"], item["table"], item["handle"]))
            or (chains.get((item["ns"], item["family"], item["table"], item["chain"]), "") if item["handle"] else ""),
            item["own"],
        )
        for item in said["events"]
        if not item["table"].startswith("dockgate_trace_") and item["kind"] in ("rule", "policy")
    )  # fmt: skip


def _of_session(item: Mapping[str, Any]) -> tuple[int, bool]:
    """The number of the session's first packet, and whether this is the first packet or the answer to it."""
    syn = item["flags"] & 0x12 == 0x02
    return item["seq"] if syn else (item["ack"] - 1) & 0xFFFFFFFF, syn


def _ends(item: Mapping[str, Any]) -> Ends:
    return Ends(item["source"], item["sport"], item["address"], item["dport"])


def route(said: Mapping[str, Any]) -> str:
    """What stands in the way of an address from a namespace; "" when nothing does."""
    if said["error"]:
        return f"there is no route ({said['error'].removeprefix('RTNETLINK answers: ')})"
    near = str(said["neighbour"])
    if "FAILED" in near or "INCOMPLETE" in near:
        return f"nobody answers for its address on the link ({near})"
    if said["down"]:
        return f"the link {said['down']} is down"
    return ""


def connections(seat: str, said: list[Any]) -> tuple[tuple[str, Ends, Ends], ...]:
    return tuple((seat, Ends(*there), Ends(*back)) for there, back in said)


def forwarding(
    leg: Leg, way: Mapping[str, str] | None, start: Mapping[str, str] | None, end: Mapping[str, str] | None
) -> Forwarding | None:
    """None where the network's own entries could not be read."""
    if way is None:
        return None
    known_as, own = str(start["peer"]) if start else "", str(end["own"]) if end else ""
    return Forwarding(leg.begin.place.key, leg.address, str(way["mac"]), str(way["host"]), known_as, own)


def listeners(seat: str, said: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], int, int, str], ...]:
    """Port, process id and command of who listens, by place."""
    return tuple(((seat, ns), int(port), int(pid), str(command)) for ns, port, pid, command in said["listeners"])
