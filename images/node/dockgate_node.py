"""The program in the node container: what must happen in a host's own network, asked for through the engine's exec.

    dockgate_node.py VERB JSON     one JSON answer on standard output and exit code 0;
                                   when the verb could not be carried out: {"error": "…"} and exit code 1
    dockgate_node.py VERB -        the same with the JSON on standard input
    dockgate_node.py hold          the container's main process: reaps orphans, ends at once on SIGTERM

    probe      [{address, port, mode, host_header, path, headers, timeout_s}] -> [{outcome, status, server, body, error,
               seconds, local_address, local_port}], in the same order, all asked at the same time
    announce   {address, device, count, interval_s} -> {address, devices: [{device, mac, why, frames}]}

Outcomes of a probe: open (for http: the connection; ``status`` is 0 if no answer came, ``error`` says why), refused,
dropped (silence), unreachable (a router or this host said so, or nobody answers ARP for it), probe_failed (we could not
even try: not a word about the network).

Standard library only, no external tools; it only reads /proc and /sys. Probes need no capability, announce CAP_NET_RAW.
It must not listen, and must not change anything on the host.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MOST_AT_ONCE = 256
MAX_ANSWER = 65_536
BODY_START = 200
ETH_P_ARP = 0x0806
BROADCAST = b"\xff" * 6
SIOCGIFHWADDR = 0x8927
ARPHRD_ETHER = 1
IFF_UP, IFF_LOOPBACK, IFF_NOARP = 0x1, 0x8, 0x80
ATF_COM = 0x2


class CannotDo(Exception):
    """The verb cannot be carried out; the message is for a person."""


# --- probe


@dataclass
class Answer:
    """What one probe found."""

    outcome: str = "probe_failed"
    status: int = 0
    server: str = ""
    body: str = ""
    error: str = ""
    seconds: float = 0.0
    local_address: str = ""
    local_port: int = 0


@dataclass(frozen=True)
class Probe:
    """What to ask. Mode http: one GET; mode tcp: a connection that opens."""

    address: str
    port: int
    mode: str = "tcp"
    host_header: str = ""
    path: str = "/"
    timeout_s: float = 3.0
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in ("http", "tcp"):
            raise ValueError(f"mode {self.mode!r} is neither http nor tcp")
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port} is not from 1 to 65535")
        for text in (self.path, self.host_header, *self.headers):
            if not text.isascii() or any(c.isspace() or not c.isprintable() for c in text):
                raise ValueError(f"{text!r} cannot stand in an HTTP request")
        for value in self.headers.values():
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"{value!r} cannot stand in an HTTP request")


def probe(request: Any) -> list[dict[str, Any]]:
    """Ask all at the same time; an answer for each, in order."""
    if not isinstance(request, list):
        raise CannotDo("probe wants a list")
    return [asdict(answer) for answer in asyncio.run(_probe_all(request))]


async def _probe_all(requests: Sequence[dict[str, Any]]) -> list[Answer]:
    gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def one(fields: dict[str, Any]) -> Answer:
        async with gate:
            return await _probe_one(fields)

    return await asyncio.gather(*(one(fields) for fields in requests))


async def _probe_one(fields: dict[str, Any]) -> Answer:
    answer = Answer()
    started = time.monotonic()
    try:
        asked = Probe(**fields)
        async with asyncio.timeout(asked.timeout_s):
            place = await _resolve(asked)
    except TimeoutError:
        answer.error = "its name was not resolved in time"
    except (TypeError, ValueError, OSError) as error:
        answer.error = str(error)
    else:
        await _connect_and_ask(asked, place, answer, deadline=started + asked.timeout_s)
    answer.seconds = round(time.monotonic() - started, 4)
    return answer


async def _resolve(asked: Probe) -> tuple[str, int]:
    try:
        ipaddress.IPv4Address(asked.address)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(
            asked.address, asked.port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
        return str(found[0][4][0]), asked.port
    return asked.address, asked.port


async def _connect_and_ask(asked: Probe, place: tuple[str, int], answer: Answer, *, deadline: float) -> None:
    left = max(deadline - time.monotonic(), 0.001)
    try:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        answer.error = str(error)
        return
    with connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_connect(connection, place), left)
        except TimeoutError:
            answer.outcome, answer.error = _silence(place[0], asked.timeout_s)
            return
        except OSError as error:
            answer.outcome, answer.error = outcome_of(error), os.strerror(error.errno or 0)
            return
        answer.outcome = "open"
        answer.local_address, answer.local_port = connection.getsockname()
        if asked.mode == "http":
            await _ask(connection, asked, answer, deadline=deadline)


async def _ask(connection: socket.socket, asked: Probe, answer: Answer, *, deadline: float) -> None:
    host = asked.host_header or asked.address
    lines = {"Host": host, "User-Agent": "dockgate", **asked.headers, "Connection": "close"}
    said = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    request = f"GET {asked.path or '/'} HTTP/1.1\r\n{said}\r\n"
    loop = asyncio.get_running_loop()
    got = b""
    try:
        async with asyncio.timeout(max(deadline - time.monotonic(), 0.001)):
            await loop.sock_sendall(connection, request.encode("ascii"))
            while not _enough(got) and (data := await loop.sock_recv(connection, MAX_ANSWER)):
                got += data
    except TimeoutError:
        answer.error = f"connected, but no whole answer within {asked.timeout_s:g} s"
    except OSError as error:
        answer.error = f"connected, then: {error.strerror or error}"
    read_answer(got, answer)


def _enough(got: bytes) -> bool:
    """Whether the head and the start of the body are in; a short body ends with the connection or its length."""
    head, end, body = got.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"\r\ncontent-length:")
    words = length.split(None, 1)
    known = bool(words) and words[0].isdigit() and len(body) >= int(words[0])
    return len(got) >= MAX_ANSWER or (bool(end) and (len(body) >= BODY_START or known))


def read_answer(got: bytes, answer: Answer) -> None:
    """Fill in what an HTTP answer says; without a whole head ``status`` stays 0 and ``error`` says why."""
    head, end, body = got.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not end or len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        answer.error = answer.error or ("connected, but the answer is not HTTP" if got else "connected, no answer")
        return
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    answer.status = int(words[1])
    answer.server = headers.get("x-server") or headers.get("server", "")
    answer.body = body[:BODY_START].decode("utf-8", "replace")


def outcome_of(error: OSError) -> str:
    """What a failed connect says about the network."""
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return "refused"
    if error.errno == errno.ETIMEDOUT:
        return "dropped"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EACCES):
        return "unreachable"
    return "probe_failed"


def _silence(address: str, seconds: float) -> tuple[str, str]:
    """Nothing came back: because nobody has that address on our own LAN, or because packets are dropped."""
    for line in _lines("/proc/net/arp")[1:]:
        fields = line.split()
        if fields[0] == address and not int(fields[2], 16) & ATF_COM:
            return "unreachable", "nobody on the LAN answers ARP for it"
    return "dropped", f"no answer within {seconds:g} s"


# --- announce


@dataclass(frozen=True)
class Interface:
    """A network interface. ``lan_facing``: other machines may be behind it; not a container's, nor their bridge."""

    name: str
    lan_facing: bool


@dataclass(frozen=True)
class Route:
    """A route of the main table. ``connected``: without a gateway."""

    device: str
    network: ipaddress.IPv4Network
    connected: bool


def announce(request: Any) -> dict[str, Any]:
    """Send gratuitous ARP, in request and reply form, so that every neighbour and switch learns the new place."""
    if not isinstance(request, dict) or "address" not in request:
        raise CannotDo("announce wants an address")
    try:
        address = ipaddress.IPv4Address(request["address"])
        count = max(1, min(int(request.get("count") or 3), 50))
        interval_s = max(0.0, min(float(request.get("interval_s", 0.1)), 2.0))
    except (ValueError, TypeError) as error:
        raise CannotDo(str(error)) from error
    chosen, why = choose_devices(
        address, device=request.get("device") or "", interfaces=read_interfaces(), routes=read_routes()
    )
    told = []
    for name in chosen:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as sender:
            sender.bind((name, 0))
            mac = _mac(sender, name)
            frames = gratuitous_arp(mac, address)
            for turn in range(count):
                if turn:
                    time.sleep(interval_s)
                for frame in frames:
                    sender.send(frame)
        told.append({"device": name, "mac": mac.hex(":"), "why": why, "frames": count * len(frames)})
    return {"address": str(address), "devices": told}


def choose_devices(
    address: ipaddress.IPv4Address, *, device: str, interfaces: Sequence[Interface], routes: Sequence[Route]
) -> tuple[list[str], str]:
    """Where to announce, and why there: the device asked for, else the LAN-facing one whose connected route covers the
    address most narrowly, else those of the default route, else every LAN-facing one."""
    if device:
        if device not in {interface.name for interface in interfaces}:
            raise CannotDo(f"there is no interface {device} on this host")
        return [device], "it was asked for"
    outward = {interface.name for interface in interfaces if interface.lan_facing}
    usable = [route for route in routes if route.device in outward]
    covering = [route for route in usable if route.connected and route.network.prefixlen and address in route.network]
    if covering:
        best = max(covering, key=lambda route: route.network.prefixlen)
        return [best.device], f"its network {best.network} holds the address"
    default = sorted({route.device for route in usable if not route.network.prefixlen})
    if default:
        return default, "it has the default route"
    if outward:
        return sorted(outward), "no route covers the address, and there is no default route: every LAN-facing interface"
    raise CannotDo("no interface of this host faces a LAN")


def gratuitous_arp(mac: bytes, address: ipaddress.IPv4Address) -> tuple[bytes, bytes]:
    """The two broadcast frames that say "address is at mac": as a request (RFC 5227 section 3) and as a reply."""
    ethernet = BROADCAST + mac + struct.pack("!H", ETH_P_ARP)

    def arp(operation: int, target: bytes) -> bytes:
        header = struct.pack("!HHBBH", ARPHRD_ETHER, 0x0800, 6, 4, operation)
        return ethernet + header + mac + address.packed + target + address.packed

    return arp(1, bytes(6)), arp(2, BROADCAST)


def read_interfaces(root: Path = Path("/sys/class/net")) -> list[Interface]:
    """Every Ethernet-like interface of this host that is up, by name."""
    with_default = {route.device for route in read_routes() if not route.network.prefixlen}
    found = []
    for place in sorted(root.iterdir()):
        if not (place / "flags").exists():
            continue
        flags = int(_text(place / "flags"), 16)
        kind = int(_text(place / "type"))
        speaks = kind == ARPHRD_ETHER and flags & IFF_UP and not flags & (IFF_LOOPBACK | IFF_NOARP)
        inward = (place / "master").exists() or (
            (place / "bridge").exists() and place.name not in with_default and not _has_physical_port(place)
        )
        if speaks:
            found.append(Interface(place.name, lan_facing=not inward))
    return found


def _has_physical_port(bridge: Path) -> bool:
    """Whether a bridge reaches outside: containers' ports are veth pairs, which have no device behind them."""
    ports = (bridge / "brif").iterdir() if (bridge / "brif").exists() else ()
    return any((bridge.parent / port.name / "device").exists() for port in ports)


def read_routes(text: str | None = None) -> list[Route]:
    """The main IPv4 routing table that /proc/net/route shows; addresses stand there in host byte order."""
    lines = _lines("/proc/net/route") if text is None else text.splitlines()
    routes = []
    for line in lines[1:]:
        fields = line.split()
        network = struct.pack("=I", int(fields[1], 16))
        mask = struct.pack("=I", int(fields[7], 16))
        prefix = int.from_bytes(mask, "big").bit_count()
        routes.append(Route(fields[0], ipaddress.IPv4Network((network, prefix)), connected=int(fields[2], 16) == 0))
    return routes


def _mac(sender: socket.socket, device: str) -> bytes:
    answer = fcntl.ioctl(sender.fileno(), SIOCGIFHWADDR, struct.pack("256s", device.encode()[:15]))
    return answer[18:24]


def _text(path: Path) -> str:
    return path.read_text().strip()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


# --- the program


def hold(*, ends_with: int = 0) -> bool:
    """Do nothing until SIGTERM (True) or the end of a child of ours (False); reap whatever is left behind by execs."""
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    print("holding", flush=True)
    while signal.sigwait(wanted) == signal.SIGCHLD:
        try:
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                if ended == ends_with:
                    return False
        except ChildProcessError:
            continue
    return True


VERBS: dict[str, Callable[[Any], Any]] = {"probe": probe, "announce": announce}
"""A verb takes the request and returns the answer, both plain JSON values; it raises CannotDo or OSError."""


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["hold"]:
        hold()
        return 0
    try:
        answer = carry_out(arguments)
    except (CannotDo, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(answer, sort_keys=True))
    return 0


def carry_out(arguments: Sequence[str]) -> Any:
    """The answer to VERB JSON."""
    if len(arguments) != 2 or arguments[0] not in VERBS:
        raise CannotDo(f"usage: dockgate_node.py hold | {' | '.join(sorted(VERBS))} JSON")
    text = sys.stdin.read() if arguments[1] == "-" else arguments[1]
    try:
        request = json.loads(text)
    except ValueError as error:
        raise CannotDo(f"the request is not JSON: {error}") from error
    return VERBS[arguments[0]](request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
