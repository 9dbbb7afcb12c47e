"""Watching one request: the program of ``trace_program`` at work on a host or here, and HAProxy's log.

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
from dockgate.trace.model import HERE, Answer, Ends, Sighting, Verdict

PROGRAM = Path(__file__).with_name("trace_program.py")
ANSWER_S = 8.0


@dataclass(frozen=True)
class Job:
    """What a seat watches. ``servers``: ends of session 2, of which the ports are not known. ``send``: where our
    request is sent from here, None on all seats but one."""

    places: tuple[str, ...]
    port: int
    servers: tuple[tuple[str, int], ...]
    token: str
    seconds: float
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

    async def ask(self, line: str) -> Any:
        await self._write(f"{line}\n")
        return await self._line(line)

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
            f"{self.seat or 'here'}: could not {asked.split(':')[0]} for the trace: {why}",
            hint="run `dockgate up`, which brings the node containers to this version, and then again",
        )


@asynccontextmanager
async def on_host(engine: EngineApi, node: str, job: Job) -> AsyncIterator[Watcher]:
    """Through the host's node container."""
    async with engine.talk(node, ["python3", "-c", PROGRAM.read_text(), job.text()]) as talk:
        watcher = Watcher(engine.host, talk.send, talk.receive)
        await watcher.begin()
        yield watcher


@asynccontextmanager
async def here(job: Job) -> AsyncIterator[Watcher]:
    """Where dockgate runs; without root it can send, and sees nothing."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM.read_text(), job.text(),
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
    """The IPv4 address of a name, as this machine has it."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    except OSError as error:
        raise DockgateError(
            f"{name} could not be resolved here: {error.strerror or error}", hint="ask by a host's name or address"
        ) from error
    return str(found[0][4][0])


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
            item["flags"], item["token"], tuple(item["outer"]) if "outer" in item else None,
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
            item["seq"], item["flags"] & 0x12 == 0x02,
            texts.get((item["ns"], item["family"], item["table"], item["handle"]))
            or (chains.get((item["ns"], item["family"], item["table"], item["chain"]), "") if item["handle"] else ""),
        )
        for item in said["events"]
        if not item["table"].startswith("dockgate_trace_") and item["kind"] in ("rule", "policy")
    )  # fmt: skip


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


def listeners(seat: str, said: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], int, int, str], ...]:
    """Port, process id and command of who listens, by place."""
    return tuple(((seat, ns), int(port), int(pid), str(command)) for ns, port, pid, command in said["listeners"])
