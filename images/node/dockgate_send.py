"""The request itself: HTTP, a bare connection, either of them inside TLS, or an echo. For dockgate_trace.py.

One attempt, from the port (echo: the sequence number) that is watched. What came back is told, not judged.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import ssl
import struct
import time
from contextlib import ExitStack
from typing import Any

from dockgate_frames import summed
from dockgate_spaces import SPACES, version_of

LOOK_S = 0.3
HELD: list[socket.socket] = []
"""A connection that says nothing, open until it is closed by word."""
_KINDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EPERM: "dropped",
}
_UNREACHABLE = {0: "network unreachable", 1: "host unreachable", 3: "port unreachable", 13: "forbidden by a firewall"}
_UNREACHABLE_6 = {0: "no route", 1: "forbidden by a firewall", 3: "address unreachable", 4: "port unreachable"}


def send(wanted: dict[str, Any]) -> dict[str, Any]:
    begun = time.monotonic()
    answer: dict[str, Any] = {"outcome": "open", "error": "", "status": 0, "source": ""}
    answer |= {"at": int(time.time() * 1e6), "connect_us": 0}
    try:
        if wanted["echo"]:
            _echo(wanted, answer)
        else:
            _connect(wanted, answer)
    except ssl.SSLError as error:
        answer["outcome"], answer["error"] = "closed", f"TLS: {error.reason or error}"
    except TimeoutError:
        stood = answer["source"] and not wanted["echo"]
        answer["outcome"] = "silent" if stood else "dropped"
        answer["error"] = f"no answer within {wanted['wait_s']:g} s"
    except OSError as error:
        answer["outcome"] = _KINDS.get(error.errno or 0, "not sent")
        answer["error"] = error.strerror or str(error)
    answer["total_us"] = int((time.monotonic() - begun) * 1e6)
    return answer


# --- a connection


def _connect(wanted: dict[str, Any], answer: dict[str, Any]) -> None:
    six = version_of(wanted["address"]) == 6
    begun = time.monotonic()
    with SPACES.inside(wanted["ns"]):
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    with ExitStack() as stack:
        stack.enter_context(sock)
        sock.settimeout(wanted["wait_s"])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::" if six else "0.0.0.0", wanted["port"]))
        sock.connect((wanted["address"], wanted["to"]))
        answer["connect_us"] = int((time.monotonic() - begun) * 1e6)
        answer["source"] = sock.getsockname()[0]
        talk = stack.enter_context(_opened(sock, wanted["tls"], answer)) if wanted["tls"] else sock
        if wanted["say"]:
            _ask(talk, wanted["say"], answer)
        else:
            _look(talk, answer)
            HELD.append(talk)
            stack.pop_all()


def _opened(sock: socket.socket, name: str, answer: dict[str, Any]) -> socket.socket:
    """TLS over it. No certificate is refused: a trace goes where a browser would warn."""
    way = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    way.check_hostname, way.verify_mode = False, ssl.CERT_NONE
    talk = way.wrap_socket(sock, server_hostname=name)
    answer["tls"] = talk.version() or ""
    answer["shown"] = hashlib.sha256(talk.getpeercert(binary_form=True) or b"").hexdigest()
    return talk


def _ask(sock: socket.socket, text: str, answer: dict[str, Any]) -> None:
    sock.sendall(text.encode())
    got = b""
    while b"\r\n\r\n" not in got and len(got) < 65536 and (data := sock.recv(4096)):
        got += data
    words = got.split(b" ", 2)
    answer["status"] = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    answer["outcome"] = "answered" if got else "closed"


def _look(sock: socket.socket, answer: dict[str, Any]) -> None:
    """Whether it stays open for a moment, in which the other end may greet. That something arrives is not enough to
    know: TLS sends session tickets."""
    sock.settimeout(LOOK_S)
    try:
        answer["outcome"] = "open" if sock.recv(4096) else "closed"
    except TimeoutError:
        answer["outcome"] = "open"


# --- an echo


def _echo(wanted: dict[str, Any], answer: dict[str, Any]) -> None:
    four = version_of(wanted["address"]) == 4
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if four else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )  # fmt: skip
    begun = time.monotonic()
    with SPACES.inside(wanted["ns"]):
        probe, sock = (socket.socket(family, socket.SOCK_RAW, protocol) for _ in range(2))
    with probe, sock:  # the second is not connected: who refuses the echo has another address
        probe.connect((wanted["address"], 0))
        answer["source"] = probe.getsockname()[0]
        head = struct.pack("!BBHHH", 8 if four else 128, 0, 0, wanted["port"], wanted["port"])
        packet = head + b"dockgate " + os.urandom(16)
        sock.sendto(summed(packet, 2, b"") if four else packet, (wanted["address"], 0))
        while not answer["connect_us"]:
            sock.settimeout(max(0.001, begun + wanted["wait_s"] - time.monotonic()))
            data, sender = sock.recvfrom(2048)
            if _settled(data[(data[0] & 15) * 4 :] if four else data, sender[0], wanted["port"], answer):
                answer["connect_us"] = int((time.monotonic() - begun) * 1e6)


def _settled(icmp: bytes, sender: str, port: int, answer: dict[str, Any]) -> bool:
    """By the answer to our echo, or by somebody's word that it cannot be delivered."""
    ours = struct.pack("!HH", port, port)
    if len(icmp) >= 8 and icmp[0] in (0, 129) and icmp[4:8] == ours:
        answer["outcome"] = "answered"
        return True
    if len(icmp) >= 8 and icmp[0] in (1, 3) and ours in icmp[28:68]:
        words = (_UNREACHABLE if icmp[0] == 3 else _UNREACHABLE_6).get(icmp[1], f"code {icmp[1]}")
        answer["outcome"], answer["error"] = "unreachable", f"{sender.partition('%')[0]} says: {words}"
        return True
    return False
