"""Looking for what is broken on a host: what `dockgate doctor` drives. Changes nothing on the host.

    look  {pids, overlays}                      -> clock, links, conntrack, containers' sockets, overlays' neighbours
    meet  {token, name, seconds, vxlan, peers, arp} -> what reached this host of the others while all of them send, and
                                                   who answers for an address on the LAN
    ask   {pid, names, doors}                   -> what Docker's DNS says in a container's network, and which of
                                                   these addresses take a connection from there

`meet` runs on all hosts at the same time. Each sends UDP datagrams to the others' gossip and VXLAN ports, the last also
in the size of a full overlay packet and with "don't fragment", and hears what comes with a raw socket, which the kernel
serves behind the firewall's input. Datagrams to the VXLAN port carry a network number that no overlay has, so the
kernel drops them; those to the gossip port are noise that the engine leaves out and logs.

Standard library and ip only. A namespace is entered as in dockgate_spaces.py.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

from dockgate_spaces import SPACES, CannotDo, answer, listening, run

GOSSIP = 7946
NOBODYS_VNI = 0xFFFFFF
MAGIC = b"dockgate-doctor "
_ROUND_S, _CONNECT_S, _DNS_S = 0.25, 1.5, 2.0
_IP_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 3
_ETH_ARP, _REPLY = 0x0806, 2


# --- look


def look(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "clock": time.time(),
        "links": _links(),
        "conntrack": _conntrack(),
        "listening": listening("/proc/self/net"),
        "containers": {name: _container(pid) for name, pid in request["pids"].items()},
        "overlays": {ident: _overlay(ident) for ident in request["overlays"]},
    }


def _links() -> list[dict[str, Any]]:
    """Those with an IPv4 address. `ip -4` would leave out the MAC. ``carrier``: the other end is there and on."""
    return [
        {
            "name": link["ifname"],
            "mac": link.get("address", ""),
            "mtu": link.get("mtu", 0),
            "carrier": "LOWER_UP" in link.get("flags", ()),
            "addresses": _inet(link),
        }
        for link in json.loads(run("ip", "-j", "address"))
        if link.get("ifname") and _inet(link)
    ]


def _inet(link: dict[str, Any]) -> list[str]:
    return [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["family"] == "inet"]


def _conntrack() -> list[int]:
    """Entries and their limit; nothing where the kernel tracks no connections."""
    folder = Path("/proc/sys/net/netfilter")
    try:
        return [int((folder / f"nf_conntrack_{name}").read_text()) for name in ("count", "max")]
    except FileNotFoundError:
        return []


def _container(pid: int) -> dict[str, Any]:
    try:
        with SPACES.inside(f"pid:{pid}"):
            links, neighbours = _links(), json.loads(run("ip", "-j", "-4", "neigh") or "[]")
        sockets = listening(f"/proc/{pid}/net")
    except (CannotDo, OSError) as error:
        return {"error": str(error)}
    return {"links": links, "neighbours": _pairs(neighbours), "listening": sockets}


def _pairs(neighbours: list[dict[str, Any]]) -> list[list[str]]:
    return [[each["dst"], each["lladdr"]] for each in neighbours if "lladdr" in each]


def _overlay(ident: str) -> dict[str, Any]:
    """Where this host sends what is for a member elsewhere: address to MAC, and MAC to host."""
    try:
        with SPACES.inside(f"overlay:{ident}"):
            devices = [each["ifname"] for each in json.loads(run("ip", "-j", "link", "show", "type", "vxlan"))]
            neighbours = [
                pair for name in devices for pair in _pairs(_tell("ip", "-j", "-4", "neigh", "show", "dev", name))
            ]
            entries = [each for name in devices for each in _tell("bridge", "-j", "fdb", "show", "dev", name)]
    except (CannotDo, OSError) as error:
        return {"error": str(error)}
    return {"neighbours": neighbours, "hosts": [[each["mac"], each["dst"]] for each in entries if "dst" in each]}


def _tell(*argv: str) -> Any:
    return json.loads(run(*argv) or "[]")


# --- meet


def meet(request: dict[str, Any]) -> dict[str, Any]:
    """``peers``: [name, address, size of a full packet] of each other host; ``arp``: addresses to ask the LAN for;
    ``vxlan``: the UDP port of overlay networks."""
    token, name = request["token"], request["name"]
    ear = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    mouth = _Mouth(request)
    doors = [(peer, _knock(address, GOSSIP)) for peer, address, _ in request["peers"]]
    askers = _askers(request["arp"])
    heard: set[tuple[str, str]] = set()
    answers: set[tuple[str, str]] = set()
    end, due, started = time.monotonic() + request["seconds"], 0.0, time.monotonic()
    while (now := time.monotonic()) < end:
        if now >= due:
            due = now + _ROUND_S
            mouth.speak()
            for asker in askers:
                asker.ask()
        ready, _, _ = select.select([ear, *askers], [], [], max(0.0, min(due, end) - now))
        for one in ready:
            if one is ear:
                heard |= _understood(ear.recv(65_535), token, name)
            else:
                answers |= one.answers()
    return {
        "heard": sorted(map(list, heard)),
        "refused": [[*where, why] for where, why in sorted(mouth.refused.items())],
        "gossip": {peer: _opened(door, started) for peer, door in doors},
        "arp": sorted(map(list, answers)),
    }


class _Mouth:
    """Sends to every other host, each time one datagram of each kind. ``refused``: what the kernel did not send."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self.refused: dict[tuple[str, str], str] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)

    def speak(self) -> None:
        vxlan, port = struct.pack("!BxxxI", 0x08, NOBODYS_VNI << 8), self._request["vxlan"]
        for peer, address, size in self._request["peers"]:
            self._send(peer, "gossip", (address, GOSSIP), b"", 0)
            self._send(peer, "vxlan", (address, port), vxlan, 0)
            self._send(peer, "full", (address, port), vxlan, size - 28)

    def _send(self, peer: str, kind: str, to: tuple[str, int], head: bytes, length: int) -> None:
        said = json.dumps([self._request["token"], self._request["name"], peer, kind]).encode()
        try:
            self._socket.sendto((head + MAGIC + said + b"\0").ljust(length, b"\0"), to)
        except OSError as error:
            self.refused[peer, kind] = error.strerror or str(error)


def _understood(packet: bytes, token: str, name: str) -> set[tuple[str, str]]:
    """[sender, kind] when it is for us; anything else is somebody's traffic."""
    start = packet.find(MAGIC, 20, 120)
    if start < 0:
        return set()
    try:
        found, sender, receiver, kind = json.loads(packet[start + len(MAGIC) :].partition(b"\0")[0])
    except (ValueError, TypeError):
        return set()
    return {(sender, kind)} if (found, receiver) == (token, name) else set()


def _knock(address: str, port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setblocking(False)
    with suppress(BlockingIOError):
        door.connect_ex((address, port))
    return door


def _opened(door: socket.socket, started: float, limit_s: float = _CONNECT_S) -> str:
    """ "open", or why not."""
    left = max(0.0, started + limit_s - time.monotonic())
    _, done, _ = select.select([], [door], [], left)
    with door:
        if not done:
            return "no answer"
        code = door.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return {0: "open", errno.ECONNREFUSED: "refused"}.get(code, errno.errorcode.get(code, str(code)))


class _Asker:
    """ARP for some addresses on one link; every answer counts, as more than one host may give one."""

    def __init__(self, link: dict[str, Any], source: str, addresses: Sequence[str]) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_ARP))
        self._socket.bind((link["name"], _ETH_ARP))
        self._mac = bytes.fromhex(link["mac"].replace(":", ""))
        self._source, self._addresses = source, addresses

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self) -> None:
        for address in self._addresses:
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + self._mac + socket.inet_aton(self._source)
            frame = b"\xff" * 6 + self._mac + struct.pack("!H", _ETH_ARP) + body + bytes(6) + socket.inet_aton(address)
            with suppress(OSError):
                self._socket.send(frame)

    def answers(self) -> set[tuple[str, str]]:
        frame = self._socket.recv(2048)
        if len(frame) < 42 or struct.unpack("!H", frame[20:22])[0] != _REPLY:
            return set()
        address, mac = socket.inet_ntoa(frame[28:32]), frame[22:28].hex(":")
        return {(address, mac)} if address in self._addresses else set()


def _askers(addresses: Sequence[str]) -> list[_Asker]:
    """One for each link, for those of the addresses that lie behind it."""
    found = []
    for link in _links():
        for place in map(ip_interface, link["addresses"]):
            there = [each for each in addresses if ip_address(each) in place.network and place.network.prefixlen < 32]
            if there and link["carrier"] and len(link["mac"]) == 17:
                found.append(_Asker(link, str(place.ip), there))
                break
    return found


# --- ask


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """``names``: to look up; ``doors``: [address, port] to connect to; both from within the container's network."""
    started = time.monotonic()
    with SPACES.inside(f"pid:{request['pid']}"):
        asked = [(name, _query(name, number)) for number, name in enumerate(request["names"])]
        doors = [_knock(address, port) for address, port in request["doors"]]
    return {
        "names": {name: _reply(sock, started) for name, sock in asked},
        "doors": [_opened(door, started) for door in doors],
    }


def _query(name: str, number: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("idna").split(b"."))
    extra = b"\0" + struct.pack("!HHIH", 41, 8192, 0, 0)
    question = struct.pack("!6H", number + 1, 0x0100, 1, 0, 0, 1) + labels + b"\0" + struct.pack("!HH", 1, 1) + extra
    sock.connect(("127.0.0.11", 53))
    with suppress(OSError):
        sock.send(question)
    return sock


def _reply(sock: socket.socket, started: float) -> dict[str, Any]:
    with sock:
        sock.settimeout(max(0.01, started + _DNS_S - time.monotonic()))
        try:
            return _read(sock.recv(65_535))
        except TimeoutError:
            return {"error": "no answer"}
        except (OSError, struct.error, IndexError) as error:
            return {"error": str(error)}


def _read(answer: bytes) -> dict[str, Any]:
    """The A records; none for a name that is not known (NOERROR without one, NXDOMAIN, SERVFAIL)."""
    _, flags, questions, records, _, _ = struct.unpack("!6H", answer[:12])
    at, found = 12, []
    for _ in range(questions):
        at = _skip(answer, at) + 4
    for _ in range(records):
        at = _skip(answer, at)
        kind, _, _, length = struct.unpack("!HHIH", answer[at : at + 10])
        if kind == 1 and length == 4:
            found.append(socket.inet_ntoa(answer[at + 10 : at + 14]))
        at += 10 + length
    return {"addresses": sorted(found), "code": flags & 15}


def _skip(answer: bytes, at: int) -> int:
    while answer[at] and answer[at] < 0xC0:
        at += answer[at] + 1
    return at + (2 if answer[at] else 1)


VERBS = {"look": look, "meet": meet, "ask": ask}


if __name__ == "__main__":
    sys.exit(answer("dockgate_doctor.py", VERBS, sys.argv[1:]))
