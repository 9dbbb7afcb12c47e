"""What a kernel's tables say about one way: connections, routes, neighbours, forwarding, who listens. Reads only."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dockgate_spaces import SPACES, CannotDo, run, sockets

_ENDS = re.compile(r"src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?")


def connections(ports: list[int]) -> list[list[list[Any]]]:
    """[source, sport, address, dport] there and back of each connection with one of the source ports (an echo: with
    that identifier; its ports are 0)."""
    return [both for port in ports for line in _tracked(port) if len(both := ends(line)) == 2]


def _tracked(port: int) -> Iterator[str]:
    for family in ("ipv4", "ipv6"):
        with suppress(CannotDo):
            yield from run("conntrack", "-L", "-f", family, "-p", "tcp", "--orig-port-src", str(port)).splitlines()
    for family, protocol in (("ipv4", "icmp"), ("ipv6", "icmpv6")):
        with suppress(CannotDo):
            option = "--icmp-id" if protocol == "icmp" else "--icmpv6-id"
            yield from run("conntrack", "-L", "-f", family, "-p", protocol, option, str(port)).splitlines()


def ends(line: str) -> list[list[Any]]:
    return [
        [source, int(sport or 0), address, int(dport or 0)] for source, address, sport, dport in _ENDS.findall(line)
    ]


def ways(namespace: str, addresses: list[str]) -> list[dict[str, Any]]:
    """What the kernel would do with a packet to each address, and what it would not."""
    with SPACES.inside(namespace):
        return [_way(address) for address in addresses]


def _way(address: str) -> dict[str, Any]:
    done = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True, check=False)
    device = re.search(r" dev (\S+)", done.stdout)
    link = run("ip", "-o", "link", "show", "dev", device[1]) if device else ""
    down = device[1] if device and ("NO-CARRIER" in link or "state DOWN" in link) else ""
    via = re.search(r" via (\S+)", done.stdout)
    near = run("ip", "neigh", "show", via[1] if via else address).strip()
    return {"error": done.stderr.strip(), "neighbour": near, "down": down}


def forwarding(asked: list[list[str]]) -> list[dict[str, str] | None]:
    """Where an overlay network on this host sends what is for an address: the MAC it has for it, and the host for that
    MAC; "" where it has no entry. None for a network that cannot be looked at."""
    return [_or_none(_forwarding, *each) for each in asked]


def stations(asked: list[list[str]]) -> list[dict[str, str] | None]:
    """A container's own MAC for its address, and the one that it has for a peer; "" for none."""
    return [_or_none(_station, *each) for each in asked]


def _or_none(what: Callable[..., dict[str, str]], *words: str) -> dict[str, str] | None:
    try:
        return what(*words)
    except (CannotDo, OSError):
        return None


def _forwarding(namespace: str, address: str) -> dict[str, str]:
    with SPACES.inside(namespace):
        devices = [each["ifname"] for each in _told("ip", "-j", "link", "show", "type", "vxlan")]
        near = [each for name in devices for each in _told("ip", "-j", "-4", "neigh", "show", "dev", name)]
        mac = next((each["lladdr"] for each in near if each["dst"] == address and "lladdr" in each), "")
        entries = [each for name in devices for each in _told("bridge", "-j", "fdb", "show", "dev", name)]
    return {"mac": mac, "host": next((each["dst"] for each in entries if each["mac"] == mac and "dst" in each), "")}


def _station(namespace: str, address: str, peer: str) -> dict[str, str]:
    with SPACES.inside(namespace):
        links = _told("ip", "-j", "address")
        near = _told("ip", "-j", "neigh", "show", "to", peer) if peer else []
    own = (link["address"] for link in links for each in link["addr_info"] if each.get("local") == address)
    return {"own": next(own, ""), "peer": next((each["lladdr"] for each in near if "lladdr" in each), "")}


def _told(*argv: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*argv) or "[]")
    return found


def listeners(namespace: str) -> Iterator[list[Any]]:
    """[port, pid, command] of who listens in a container's namespace; where the holder of the socket may not be read,
    pid 0 and the container's first process."""
    first = int(namespace.partition(":")[2])
    inodes = {
        f"socket:[{inode}]": port for kind, _, port, inode in sockets(f"/proc/{first}/net") if kind == "tcp"
    }  # fmt: skip
    holders = dict(_held(first, inodes))
    for port in sorted(set(inodes.values())):
        pid = holders.get(port, 0)
        with suppress(OSError):
            yield [port, pid, _command(pid or first)]


def _held(first: int, inodes: dict[str, int]) -> Iterator[tuple[int, int]]:
    with suppress(OSError):
        own = os.readlink(f"/proc/{first}/ns/net")
        for place in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if place.name.isdigit() and os.readlink(place / "ns/net") == own:
                    for fd in (place / "fd").iterdir():
                        port = inodes.get(os.readlink(fd))
                        if port is not None:
                            yield port, int(place.name)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:120]
