"""The web application firewall's container: as many single-threaded judges as configured, each on a socket of its own.

``serve``: the parent loads the rules once, forks the judges (they share that memory), starts one again that died, and
tells what they found: one JSON line each for what was refused, and the state to whoever asks. ``check``: loads the
rules and says what is wrong with them. ``status``: the state as JSON, after an attack that every judge had to refuse.

Each judge has a socket of its own so that HAProxy sees which one is busy or dead. Invariant: a judge that gets anything
but a proper question closes that connection and goes on; nothing of a request's values is written anywhere.
"""

from __future__ import annotations

import glob
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import dockgate_spop as spop
from dockgate_judge import CANARY, judge_forever, named
from dockgate_modsecurity import Engine, RulesRefused

RULES = Path("/etc/waf")
SOCKETS = Path("/run/waf")
SETTINGS, ORDER = "settings.json", "order"
"""``order``: the files that the engine loads, one pattern a line; a name without a slash is beside it."""
ATTACK = (
    b"/?q=%3Cscript%3Ealert(1)%3C/script%3E&id=1'%20OR%20'1'='1'%20--%20&file=../../../../etc/passwd&c=;cat+/etc/passwd"
)
KEPT = 20
_AGAIN_S = 1.0
_TOLD_AT_ONCE = 65_536


@dataclass(frozen=True)
class Settings:
    """``name``: of the sockets. ``rules``: what the status says they are."""

    name: str
    processes: int
    rules: str

    def socket(self, number: int) -> str:
        return str(SOCKETS / f"{self.name}-{number}.sock")

    @property
    def control(self) -> str:
        return str(SOCKETS / f"{self.name}-status.sock")


def settings() -> Settings:
    said = json.loads((RULES / SETTINGS).read_text())
    return Settings(str(said["name"]), int(said["processes"]), str(said["rules"]))


def loaded() -> tuple[Engine, int]:
    engine = Engine()
    return engine, engine.load(ordered((RULES / ORDER).read_text().split()))


def ordered(names: Iterable[str]) -> Iterable[str]:
    """The files that the names stand for; a pattern that finds nothing is a mistake."""
    for name in names:
        found = sorted(glob.glob(name if "/" in name else str(RULES / name)))
        if not found:
            raise FileNotFoundError(f"there is no {name}")
        yield from found


@dataclass
class State:
    """What was counted since the start. ``last``: the refusals, latest last, our own proofs left out."""

    counts: dict[str, int] = field(default_factory=lambda: {"passed": 0, "refused": 0, "would refuse": 0})
    last: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT))
    restarts: int = 0

    def hear(self, what: dict[str, object]) -> None:
        action = str(what["action"])
        self.counts[action] = self.counts.get(action, 0) + 1
        if action == "passed":
            return
        print(json.dumps({"waf": what}, sort_keys=True), flush=True)
        if not what.get("proof"):
            self.last.append(what)


class Parent:
    def __init__(self, engine: Engine, rules: int, configured: Settings) -> None:
        self.engine, self.rules, self.settings = engine, rules, configured
        self.state = State()
        self.listeners = [_listen(configured.socket(number)) for number in range(1, configured.processes + 1)]
        self.control = _listen(configured.control)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.judges: dict[int, int] = {}
        self.due: dict[int, float] = {}

    def run(self) -> None:
        for number in range(len(self.listeners)):
            self._fork(number)
        print(json.dumps({"ready": self.settings.name, "rules": self.rules}), flush=True)
        selector = selectors.DefaultSelector()
        selector.register(self.ours, selectors.EVENT_READ)
        selector.register(self.control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(timeout=0.5):
                if key.fileobj is self.ours:
                    self.state.hear(json.loads(self.ours.recv(_TOLD_AT_ONCE)))
                else:
                    self._tell()
            self._look_after()

    def _fork(self, number: int) -> None:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.ours.close()
            self.control.close()
            judge_forever(self.engine, self.listeners[number], self.theirs)
            os._exit(0)
        self.judges[pid] = number

    def _look_after(self) -> None:
        """Start one again that died, no more often than once a second."""
        while self.judges:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            number = self.judges.pop(pid, None)
            if number is not None:
                self.state.restarts += 1
                print(json.dumps({"died": self.settings.socket(number + 1)}), flush=True)
                self.due[number] = time.monotonic() + _AGAIN_S
        for number, at in list(self.due.items()):
            if time.monotonic() >= at:
                del self.due[number]
                self._fork(number)

    def _tell(self) -> None:
        try:
            connection, _ = self.control.accept()
            with connection:
                connection.settimeout(1.0)
                connection.sendall(json.dumps(self._told()).encode())
        except OSError:
            return

    def _told(self) -> dict[str, object]:
        return {
            "engine": self.engine.version,
            "set": self.settings.rules,
            "rules": self.rules,
            "judges": len(self.judges),
            "wanted": self.settings.processes,
            "restarts": self.state.restarts,
            "counts": self.state.counts,
            "last": list(self.state.last),
        }


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o660)
    listener.listen(1024)
    return listener


def ask_judge(path: str, *, timeout_s: float = 5.0) -> dict[str, spop.Value]:
    """What a judge says of an attack. Raises OSError or ``Broken`` when it does not answer as it must."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        reader = spop.Reader()
        hello = spop.write_pairs({"supported-versions": "2.0", "capabilities": ""}) + named(b"max-frame-size", 65_536)
        connection.sendall(spop.write_frame(spop.Frame(spop.HELLO, 0, 0, hello)))
        if (greeting := _next(connection, reader)).kind != spop.AGENT_HELLO:
            raise spop.Broken(f"it greets with a frame of kind {greeting.kind}")
        connection.sendall(spop.write_frame(spop.Frame(spop.NOTIFY, 1, 1, spop.write_message(canary()))))
        answer = _next(connection, reader)
        if answer.kind != spop.ACK:
            raise spop.Broken(f"it answers with a frame of kind {answer.kind}")
        return spop.read_variables(answer.payload)


def canary() -> spop.Message:
    headers = [(b"host", b"dockgate-canary"), (b"user-agent", b"dockgate"), (b"accept", b"*/*")]
    arguments: dict[str, spop.Value] = {
        "mode": "on", "id": "canary", "client": "127.0.0.1", "server": "127.0.0.1", "method": "GET",
        "uri": ATTACK.decode(), "version": "1.1", "headers": spop.write_headers(headers), "body": b"",
    }  # fmt: skip
    return spop.Message(CANARY, arguments)


def _next(connection: socket.socket, reader: spop.Reader) -> spop.Frame:
    while True:
        data = connection.recv(65_536)
        if not data:
            raise spop.Broken("it hangs up")
        for frame in reader.feed(data):
            return frame


def canaries(configured: Settings) -> list[str]:
    """Each judge's answer to the attack: "refused", "let it pass", or what went wrong."""
    told = []
    for number in range(1, configured.processes + 1):
        try:
            said = ask_judge(configured.socket(number))
            told.append("refused" if said.get("deny") else "let it pass")
        except (OSError, spop.Broken) as error:
            told.append(f"no answer: {error}")
    return told


def status(configured: Settings) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5.0)
        connection.connect(configured.control)
        said = b"".join(iter(lambda: connection.recv(65_536), b""))
    told: dict[str, object] = json.loads(said)
    return {**told, "canaries": canaries(configured)}


def main(arguments: Iterable[str]) -> int:
    verb = next(iter(arguments), "")
    try:
        if verb == "status":
            print(json.dumps(status(settings()), sort_keys=True))
            return 0
        engine, rules = loaded()
    except RulesRefused as error:
        print(json.dumps({"file": error.file, "line": error.line, "error": error.what}))
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 2
    if verb == "check":
        print(json.dumps({"rules": rules}))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Parent(engine, rules, settings()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
