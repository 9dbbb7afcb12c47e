"""A HAProxy for the fake engine: reads our configuration text, keeps servers, answers on its two sockets.

It knows no traffic and no time: a check has an outcome as soon as it is asked for, or once it was asked for when it
was set down. Where a name resolves and who answers is the fake network's knowledge, given as ``lookup``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

Lookup = Callable[[str], str | None]
"""The address of a container by its name, as this load balancer's networks know it; None when there is none."""

_SET = re.compile(r"set server (?P<pool>[^/ ]+)/(?P<server>\S+) (?P<what>.+)")
_NUMBERS = re.compile(r"[\d.]+")


@dataclass
class FakeServer:
    pool: str
    name: str
    place: str
    port: int
    weight: int
    admin: str = "ready"
    down: bool = False

    def state(self, lookup: Lookup) -> str:
        """Its line in ``show servers state``."""
        row = self.row(lookup).split(",")
        flags = {"ready": 0, "maint": 1, "drain": 8}[self.admin] | (32 if "resolution" in row[4] else 0)
        up = 0 if self.down or row[4].startswith(("MAINT", "DOWN")) else 2
        return f"{self.pool} {self.name} {row[11].partition(':')[0] or '-'} {self.port} {up} {flags}"

    def row(self, lookup: Lookup) -> str:
        named = not _NUMBERS.fullmatch(self.place)
        address = (lookup(self.place) or "") if named else self.place.replace("0.0.0.0", "")
        status, check = self._state(address, named=named)
        shown = f"{address}:{self.port}" if address else ""
        code = 200 if check == "L7OK" else ""
        return f"{self.pool},{self.name},0,7,{status},{self.weight},{self.weight},3,2,{check},{code},{shown},7"

    def _state(self, address: str, *, named: bool) -> tuple[str, str]:
        if self.admin == "maint":
            return "MAINT", ""
        if self.down and address:
            return "DOWN", "L4CON"
        if not address:
            return ("MAINT (resolution)", "") if named else ("DOWN", "L4CON")
        return ("DRAIN" if self.admin == "drain" else "UP"), "L7OK"

    def usable(self, lookup: Lookup) -> bool:
        return ",UP," in self.row(lookup)


@dataclass
class FakeHaproxy:
    """One process. ``load`` is a start or a reload."""

    version: str = "3.2.0"
    pid: int = 0
    structure: str = ""
    text: str = ""
    servers: list[FakeServer] = field(default_factory=list)
    certificates: dict[str, bytes] = field(default_factory=dict)

    def load(self, text: str) -> bool:
        """False when the text is nothing that a HAProxy would start with."""
        if "global" not in text:
            return False
        found = re.search(r"^\s*description\s+'?dockgate \S+ (\w+)'?\s*$", text, re.MULTILINE)
        self.text, self.structure = text, found[1] if found else ""
        self.servers = list(_servers(text))
        self.certificates = {}
        self.pid += 1
        return True

    def admin(self, line: str, lookup: Lookup) -> str:
        return "\n".join(self._command(command, lookup) + "\n" for command in line.split(";"))

    def master(self, line: str, text: str) -> str:
        assert line == "reload", line
        return "Success=1\n--\n[NOTICE] loaded\n" if self.load(text) else "Success=0\n--\n[ALERT] no such thing\n"

    def default_backend(self, port: int) -> str:
        """The pool that a frontend on this port sends plain requests to."""
        frontend = re.search(rf"^frontend [^\n]*\n(?:\s+[^\n]*\n)*?\s+bind [^\n]*:{port}\b[^\n]*\n", self.text, re.M)
        rest = self.text[frontend.end() :] if frontend else ""
        found = re.search(r"^\s+default_backend (\S+)", rest, re.MULTILINE)
        return found[1] if found else ""

    def _command(self, command: str, lookup: Lookup) -> str:
        if command == "show info":
            return (
                f"Name: HAProxy\nVersion: {self.version}\nPid: {self.pid}\nUptime_sec: 60\n"
                f"description: dockgate fake {self.structure}\n"
            )
        if command == "show stat":
            rows = [server.row(lookup) for server in self.servers]
            for server in self.servers:
                server.down = False
            head = "# pxname,svname,scur,stot,status,weight,uweight,lastchg,type,check_status,check_code,addr,req_tot"
            return "\n".join([head, "front,FRONTEND,1,9,OPEN,,,,0,,,,9", *rows, ""])
        if command.startswith("show servers state"):
            return self._states(command.removeprefix("show servers state").strip(), lookup)
        if command.startswith("add server "):
            _, _, where, place, *_ = command.split()
            pool, _, name = where.partition("/")
            address, _, port = place.rpartition(":")
            self.servers.append(FakeServer(pool, name, address, int(port), 1, "maint"))
            return "New server registered.\n"
        if command.startswith("del server "):
            where = command.split()[2]
            self.servers = [each for each in self.servers if f"{each.pool}/{each.name}" != where]
            return "Server deleted.\n"
        if command.startswith(("enable health ", "enable server ")):
            _, what, where = command.split()
            (found,) = [each for each in self.servers if f"{each.pool}/{each.name}" == where]
            found.admin = "ready" if what == "server" else found.admin
            found.down = False
            return ""
        return self._set(command)

    def _states(self, pool: str, lookup: Lookup) -> str:
        if not pool:
            return "1\n# be_id be_name srv_id srv_name\n"
        rows = [server.state(lookup) for server in self.servers if server.pool == pool]
        head = "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state"
        return "\n".join([head, *rows, ""])

    def _set(self, command: str) -> str:
        found = _SET.fullmatch(command)
        assert found, f"the fake does not know {command!r}"
        server = next((s for s in self.servers if (s.pool, s.name) == (found["pool"], found["server"])), None)
        if server is None:
            return "No such server.\n"
        verb, *words = found["what"].split()
        if verb == "state":
            server.admin = words[0]
        elif verb == "health":
            server.down = words[0] == "down"
        elif verb == "weight":
            server.weight = int(words[0])
        elif verb == "addr":
            was, server.place = server.place, words[0]
            server.port = int(words[2]) if words[1:2] == ["port"] else server.port
            return f"IP changed from '{was}' to '{server.place}' by 'stats socket command'\n"
        return ""


def _servers(text: str) -> list[FakeServer]:
    found: list[FakeServer] = []
    pool = ""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if line and not line[0].isspace():
            pool = words[1] if words[:1] == ["backend"] else ""
        elif pool and not pool.startswith("dockgate:") and words[:1] == ["server"]:
            place, _, port = words[2].removeprefix("ipv4@").rpartition(":")
            weight = int(words[words.index("weight") + 1]) if "weight" in words else 100
            admin = "maint" if "disabled" in words else "ready"
            found.append(FakeServer(pool, words[1], place, int(port), weight, admin))
        elif pool and words[:1] == ["server-template"]:
            place, _, port = words[3].removeprefix("ipv4@").rpartition(":")
            names = (f"{words[1]}{number}" for number in range(1, int(words[2].removeprefix("1-")) + 1))
            found += [FakeServer(pool, name, place, int(port), 100) for name in names]
    return found
