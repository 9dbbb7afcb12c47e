"""The table that has the kernel tell which rules the packets of our request meet. For dockgate_trace.py.

It judges nothing, matches first packets and their answers only, and belongs to the process that made it (nft's owner
flag): the kernel removes it when that process ends, by whatever.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dockgate_spaces import SPACES, CannotDo, run

PREFIX = "dockgate_trace_"
_TABLE = """\
add table inet {name} {{ flags owner; }}
add chain inet {name} c_mark
add chain inet {name} c_first {{ type filter hook prerouting priority -350; policy accept; }}
add chain inet {name} c_output {{ type filter hook output priority -350; policy accept; }}
add rule inet {name} c_first jump c_mark
add rule inet {name} c_output jump c_mark
add rule inet {name} c_mark icmp type {{ echo-request, echo-reply }} icmp sequence {port} meta nftrace set 1
add rule inet {name} c_mark icmpv6 type {{ echo-request, echo-reply }} icmpv6 sequence {port} meta nftrace set 1
add rule inet {name} c_mark tcp flags & (fin | syn | rst) != syn return
"""
_OTHERS = """\
add rule inet {name} c_mark {family} {way}addr {address} tcp {way}port {port} limit rate 200/second burst 100 packets \
meta nftrace set 1
"""
_OURS = """\
add rule inet {name} c_mark tcp sport {port} meta nftrace set 1
add rule inet {name} c_mark tcp dport {port} meta nftrace set 1
"""
_READY_S, _END_S, _AGAIN_S = 3.0, 1.0, 0.005


@dataclass
class Marks:
    """Of one namespace. ``monitor``: where the kernel tells."""

    namespace: str
    port: int
    monitor: socket.socket
    nft: subprocess.Popen[str]

    def ready(self) -> bool:
        """Wait until the table is there."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline and self.nft.poll() is None:
            with SPACES.inside(self.namespace), suppress(CannotDo):
                if f"tcp dport {self.port} meta nftrace" in run("nft", "list", "table", "inet", f"{PREFIX}{self.port}"):
                    return True
            time.sleep(_AGAIN_S)
        return False

    def end(self) -> None:
        self.monitor.close()
        assert self.nft.stdin is not None
        with suppress(OSError):
            self.nft.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.nft.wait(_END_S)
        if self.nft.poll() is None:
            self.nft.kill()
            self.nft.wait()


def mark(namespace: str, port: int, others: Sequence[tuple[str, int]]) -> Marks:
    """Begin, from inside the namespace. ``others``: where sessions of which we do not know the port will go."""
    name = f"{PREFIX}{port}"
    monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    monitor.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    monitor.bind((0, 0))
    monitor.setsockopt(270, 1, 9)  # NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE
    monitor.setblocking(False)
    text = _TABLE.format(name=name, port=port)
    for address, number in others:
        family = "ip6" if ":" in address else "ip"
        text += "".join(
            _OTHERS.format(name=name, family=family, address=address, port=number, way=way) for way in ("d", "s")
        )
    nft = subprocess.Popen(
        ["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    assert nft.stdin is not None
    nft.stdin.write(text + _OURS.format(name=name, port=port))
    nft.stdin.flush()
    return Marks(namespace, port, monitor, nft)


def rules(namespace: str, family: str, table: str) -> Iterator[tuple[str, int, str]]:
    """Chain, handle and text of a table's rules, without their counters."""
    with SPACES.inside(namespace):
        try:
            text = run("nft", "-a", "list", "table", family, table)
        except CannotDo:
            return  # gone in the meantime
    chain = ""
    for line in text.splitlines():
        found = re.fullmatch(r"\s*(.*?) # handle (\d+)", line)
        if found is None:
            continue
        if found[1].startswith("chain "):
            chain = found[1].split()[1]
        elif not found[1].startswith(("table ", "set ", "map ")):
            yield chain, int(found[2]), re.sub(r"counter packets \d+ bytes \d+ ?", "", found[1]).strip()
