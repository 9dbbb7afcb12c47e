"""A judge: answers HAProxy's questions on one socket, one after the other.

Must not: write anything of a request's values anywhere. Invariant: whoever sends anything but a proper question is told
so and hung up on, and nobody else notices.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dockgate_spop as spop
from dockgate_modsecurity import Engine, Request, Verdict

QUESTION, CANARY = "check", "canary"
PROOF_HEADER = b"x-dockgate-canary"


@dataclass
class Talk:
    """One connection of HAProxy's. ``most``: the longest frame that both take."""

    reader: spop.Reader = field(default_factory=spop.Reader)
    greeted: bool = False
    going: bytearray = field(default_factory=bytearray)
    ends: bool = False


class Judge:
    """Answers the questions of one socket, one after the other."""

    def __init__(self, engine: Engine, tell: Callable[[dict[str, object]], None]) -> None:
        self.engine, self.tell = engine, tell

    def hear(self, talk: Talk, data: bytes) -> None:
        """Whatever comes; what is to be sent is in ``talk.going`` afterwards."""
        try:
            for frame in talk.reader.feed(data):
                self._frame(talk, frame)
        except (spop.Broken, ValueError, TypeError, KeyError) as error:
            _leave(talk, spop.INVALID, str(error))

    def _frame(self, talk: Talk, frame: spop.Frame) -> None:
        if frame.kind == spop.HELLO and not talk.greeted:
            self._greet(talk, spop.read_pairs(frame.payload))
        elif frame.kind == spop.NOTIFY and talk.greeted:
            self._answer(talk, frame)
        elif frame.kind == spop.DISCONNECT:
            _leave(talk, spop.NO_ERROR, "")
        else:
            _leave(talk, spop.INVALID, f"a frame of kind {frame.kind} has no place here")

    def _greet(self, talk: Talk, said: dict[str, spop.Value]) -> None:
        versions = str(said.get("supported-versions", "")).replace(" ", "").split(",")
        if not any(version.partition(".")[0] == "2" for version in versions):
            _leave(talk, spop.NO_VERSION, "version 2.0 is spoken here")
            return
        most = said.get("max-frame-size")
        if not isinstance(most, int) or isinstance(most, bool) or not 256 <= most <= spop.MOST:
            _leave(talk, spop.INVALID, "no usable max-frame-size")
            return
        talk.greeted, talk.reader.most = True, most
        pairs: dict[str, spop.Value] = {"version": spop.VERSION, "max-frame-size": most, "capabilities": ""}
        talk.going += spop.write_frame(spop.Frame(spop.AGENT_HELLO, 0, 0, _hello(pairs)))
        talk.ends = said.get("healthcheck") is True

    def _answer(self, talk: Talk, frame: spop.Frame) -> None:
        if not frame.flags & spop.FINAL:
            _leave(talk, spop.UNSUPPORTED, "parts of frames are not taken")
            return
        variables: dict[str, spop.Value] = {}
        for message in spop.read_messages(frame.payload):
            if message.name in (QUESTION, CANARY):
                variables |= self._judged(message)
        talk.going += spop.write_frame(
            spop.Frame(spop.ACK, frame.stream, frame.number, spop.write_variables(variables))
        )

    def _judged(self, message: spop.Message) -> dict[str, spop.Value]:
        request, for_proof = request_of(message)
        verdict = self.engine.judge(request)
        if message.name == QUESTION:
            self.tell(_told(request, verdict, for_proof))
        return {
            "deny": verdict.status,
            "would": 1 if verdict.would else 0,
            "score": verdict.score,
            "rules": ",".join(str(each.rule) for each in verdict.findings)[:4000],
        }


def request_of(message: spop.Message) -> tuple[Request, bool]:
    """The request that a message is about, and whether it is one of dockgate's own proofs."""
    said = message.arguments
    headers = spop.read_headers(_bytes(said.get("headers")))
    uri, version = _bytes(said.get("uri")), _bytes(said.get("version")) or b"1.1"
    scheme, _, rest = uri.partition(b"://")
    if version.startswith(b"2") and scheme in (b"http", b"https"):
        # HAProxy puts the pieces of an HTTP/2 request together as for a proxy; the client sent a path.
        uri = b"/" + rest.partition(b"/")[2]
    request = Request(
        id=str(said.get("id") or ""),
        client=str(said.get("client") or "127.0.0.1"),
        client_port=int(_int(said.get("client_port"))),
        server=str(said.get("server") or "127.0.0.1"),
        server_port=int(_int(said.get("server_port"))),
        method=_bytes(said.get("method")),
        uri=uri.replace(b"\0", b""),
        version=version,
        headers=headers,
        body=_bytes(said.get("body")),
        detect=said.get("mode") == "detect",
    )
    return request, any(name.lower() == PROOF_HEADER for name, _ in headers)


def _bytes(value: spop.Value) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode("latin-1", "replace")


def _int(value: spop.Value) -> int:
    return value if isinstance(value, int) and 0 <= value < 65_536 else 0


def _hello(pairs: dict[str, spop.Value]) -> bytes:
    """HAProxy wants the frame size as a 32-bit number."""
    most = pairs["max-frame-size"]
    assert isinstance(most, int)
    texts = spop.write_pairs({name: value for name, value in pairs.items() if name != "max-frame-size"})
    return texts + named(b"max-frame-size", most)


def named(name: bytes, number: int) -> bytes:
    return spop.write_number(len(name)) + name + bytes([3]) + spop.write_number(number)


def _leave(talk: Talk, status: int, why: str) -> None:
    payload = named(b"status-code", status) + spop.write_pairs({"message": why[:200]})
    talk.going += spop.write_frame(spop.Frame(spop.AGENT_DISCONNECT, 0, 0, payload))
    talk.ends = True


def _told(request: Request, verdict: Verdict, for_proof: bool) -> dict[str, object]:
    """What the parent hears of a request: nothing of its values."""
    if not verdict.would:
        return {"action": "passed"}
    gravest = sorted(verdict.findings, key=lambda each: each.severity or "9")
    method, path = request.method.decode("latin-1")[:16], request.uri.partition(b"?")[0].decode("latin-1")[:200]
    return {
        "at": round(time.time(), 3),
        "action": "refused" if verdict.status else "would refuse",
        "status": verdict.status,
        "id": request.id[:64],
        "client": request.client,
        "method": method if method.isalpha() else "",
        "path": path if path.isprintable() else "",
        "score": verdict.score,
        "proof": for_proof,
        "rules": [{"rule": each.rule, "message": each.message, "part": each.part} for each in gravest[:10]],
    }


def judge_forever(engine: Engine, listener: socket.socket, reports: socket.socket) -> None:
    """The life of one judge: ends when its parent does."""
    reports.setblocking(False)

    def tell(what: dict[str, object]) -> None:
        # A parent that is behind with counting must not keep a client waiting for its answer.
        with contextlib.suppress(BlockingIOError):
            reports.send(json.dumps(what).encode())

    judge, selector = Judge(engine, tell), selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    parent = os.getppid()
    while os.getppid() == parent:
        for key, _ in selector.select(timeout=5.0):
            if key.fileobj is listener:
                _accept(selector, listener)
            else:
                _serve(selector, judge, key.fileobj, key.data)  # type: ignore[arg-type]


def _accept(selector: selectors.BaseSelector, listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, Talk())


def _serve(selector: selectors.BaseSelector, judge: Judge, connection: socket.socket, talk: Talk) -> None:
    try:
        data = connection.recv(262_144) if not talk.going else b""
        if not data and not talk.going:
            talk.ends = True
        elif data and not talk.ends:
            judge.hear(talk, data)
        if talk.going:
            del talk.going[: connection.send(talk.going)]
    except BlockingIOError:
        pass
    except OSError:
        talk.going.clear()
        talk.ends = True
    if talk.ends and not talk.going:
        selector.unregister(connection)
        connection.close()
        return
    selector.modify(connection, selectors.EVENT_WRITE if talk.going else selectors.EVENT_READ, talk)
