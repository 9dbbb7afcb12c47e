"""The web application firewall's part of a configuration: who is asked, what of, and what becomes of the answer.

Role: the rules of a frontend, the backend of the judges, and the file that HAProxy's filter reads. Must not: let a
request through that nobody judged, unless the VIP says so.
Invariant: the filter's file is named by its content, so that the configuration before and the one after each find
theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from dockgate.haproxy.access_log import ID, VERDICT
from dockgate.haproxy.pages import payload
from dockgate.haproxy.tree import OURS, Backend, Line, line, milliseconds
from dockgate.haproxy.versions import Dialect
from dockgate.model.desired import Vip
from dockgate.model.objects import CONFIG_DIR, WAF_SOCKETS
from dockgate.model.waf import Waf

JUDGES = f"{OURS}waf"
MODE = "txn.dockgate_waf"
PROOF_HEADER = "X-Dockgate-Canary"
ENGINE, GROUP, MESSAGE = "waf", "question", "check"
HEAD_ROOM = 32_768
"""For a request's head, beside the body that is judged, in one buffer and one frame."""
BUFFER_MEMORY = 400 << 20
_ERROR = ("{", "var(txn.waf.error)", "-m", "found", "}")
_PLAIN_PATH = ("!{", "path", "-m", "sub", "..", "//", "\\", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "}")
"""A route that is looked at less must not be entered by a path that a member reads as another one."""
_CHECKS = ("check", "inter", "1s", "fastinter", "200ms", "downinter", "500ms", "fall", "2", "rise", "1")
_ASKED = ("{", f"var({MODE})", "-m", "found", "}")


@dataclass(frozen=True)
class FilterFile:
    """A file beside the configuration."""

    name: str
    text: str


def filter_file(vip: Vip, ways: Dialect) -> FilterFile | None:
    """What HAProxy's filter reads; None without a firewall."""
    if vip.waf is None:
        return None
    arguments = (
        f"mode=var({MODE}) id=var({ID}) client=src client_port=src_port server=dst server_port=dst_port"
        " method=method uri=url version=req.ver headers=req.hdrs_bin body=req.body"
    )
    lines = [
        f"[{ENGINE}]",
        "spoe-agent waf",
        f"    groups {GROUP}",
        "    option var-prefix waf",
        "    option set-on-error error",
        *(f"    {each}" for each in ways.filter_lines),
        f"    timeout processing {milliseconds(vip.waf.timeout_ms)}",
        f"    use-backend {JUDGES}",
        f"spoe-group {GROUP}",
        f"    messages {MESSAGE}",
        f"spoe-message {MESSAGE}",
        f"    args {arguments}",
    ]
    text = "\n".join(lines) + "\n"
    return FilterFile(f"waf-{hashlib.sha256(text.encode()).hexdigest()[:12]}.spoe", text)


def beside(vip: Vip, ways: Dialect) -> tuple[tuple[str, str], ...]:
    """The files that the configuration names."""
    file = filter_file(vip, ways)
    return ((file.name, file.text),) if file else ()


def process_lines(vip: Vip) -> Iterator[Line]:
    """Buffers that hold a whole request, and no more connections than there is memory for."""
    if vip.waf is not None:
        yield line("tune.bufsize", buffer_size(vip.waf), origin=vip.waf.source)
        # It would hang up on these without a word; a rule of the frontend refuses them with one.
        yield line("h1-accept-payload-with-any-method", origin=vip.waf.source)


def buffer_size(waf: Waf) -> int:
    return waf.body_limit + HEAD_ROOM


def most_connections(vip: Vip, most: int) -> int:
    return most if vip.waf is None else max(200, min(most, BUFFER_MEMORY // (2 * buffer_size(vip.waf))))


def filter_lines(vip: Vip, ways: Dialect) -> Iterator[Line]:
    file = filter_file(vip, ways)
    if file is not None and vip.waf is not None:
        yield line("filter", "spoe", "engine", ENGINE, "config", f"{CONFIG_DIR}/{file.name}", origin=vip.waf.source)


def question_rules(vip: Vip, on_route: dict[int, tuple[str, ...]]) -> Iterator[Line]:
    """Who is judged, the question, and the answer. ``on_route``: the condition of each route with a mode of its own."""
    waf = vip.waf
    if waf is None:
        return
    at = waf.source
    old = ("{", "req.ver", "1.0", "}", "{", "method", "GET", "HEAD", "DELETE", "}")
    body = ("{", "req.body_size", "gt", "0", "}")
    answer = ("status", "400", *payload(vip, 400, "this request must not have a body"))
    yield line("http-request", "return", *answer, "if", *old, *body, origin=at)
    yield from _modes(vip, waf, on_route)
    whole = ("time", milliseconds(vip.timeouts.request), "at-least", str(waf.body_limit + 1))
    yield line("http-request", "wait-for-body", *whole, "if", *_ASKED, origin=at)
    if waf.oversize == "refuse":
        answer = _answer(vip, 413, "the body is too large to be looked at")
        larger = ("{", "req.body_size", "gt", str(waf.body_limit), "}")
        yield line("http-request", "return", *answer, "if", *_ASKED, *larger, origin=at)
    yield line("http-request", "send-spoe-group", ENGINE, GROUP, "if", *_ASKED, origin=at)
    yield from _verdict(vip, waf)


def _modes(vip: Vip, waf: Waf, on_route: dict[int, tuple[str, ...]]) -> Iterator[Line]:
    if waf.mode != "off":
        yield line("http-request", f"set-var({MODE})", f"str({waf.mode})", origin=waf.source)
    for number, condition in on_route.items():
        route = vip.routes[number]
        plain = _PLAIN_PATH if route.waf != "on" and route.path else ()
        step = (f"unset-var({MODE})",) if route.waf == "off" else (f"set-var({MODE})", f"str({route.waf})")
        yield line("http-request", *step, "if", *condition, *plain, origin=route.source)


def _verdict(vip: Vip, waf: Waf) -> Iterator[Line]:
    """Word for the log first, then the answer."""
    at = waf.source
    refused = ("{", "var(txn.waf.deny)", "-m", "int", "gt", "0", "}")
    would = ("{", "var(txn.waf.would)", "-m", "int", "gt", "0", "}")
    unsaid = ("!{", "var(txn.waf.would)", "-m", "found", "}")
    for word, condition in (("passed", ()), ("noticed", would), ("refused", refused), ("unjudged", unsaid)):
        yield line("http-request", f"set-var({VERDICT})", f"str({word})", "if", *_ASKED, *condition, origin=at)
    if waf.fail == "closed":
        answer = _answer(vip, 503, "this request could not be checked; please try again")
        yield line("http-request", "return", *answer, "if", *_ASKED, *unsaid, origin=at)
    answer = _answer(vip, 403, "this request looks like an attack")
    yield line("http-request", "return", *answer, "if", *refused, origin=at)
    # A proof of ours asks with this header; where nothing is refused, its own attack is, so that it can be told.
    proof = ("{", f"req.hdr({PROOF_HEADER})", "-m", "found", "}")
    yield line("http-request", "return", *answer, "if", *would, *proof, origin=at)


def _answer(vip: Vip, status: int, text: str) -> tuple[str, ...]:
    """With the request's id, by which whoever was refused can ask why."""
    kind, content_type, *rest = payload(vip, status, text)
    return "status", str(status), kind, content_type, "hdr", "X-Request-ID", f"%[var({ID})]", *rest


def judges(vip: Vip, ways: Dialect, socket_name: str) -> Backend | None:
    """One server for each judge: the least busy one is asked, one that died is not."""
    waf = vip.waf
    if waf is None:
        return None
    at = waf.source
    lines = [
        line("mode", ways.filter_mode),
        line("balance", "leastconn"),
        line("option", "spop-check"),
        line("option", "redispatch", 1),
        line("retries", 2),
        line("timeout", "connect", "500ms"),
        line("timeout", "server", "1h"),
        line("timeout", "check", "2s"),
        *(
            line("server", f"judge{number}", f"unix@{WAF_SOCKETS}/{socket_name}-{number}.sock", *_CHECKS, origin=at)
            for number in range(1, waf.processes + 1)
        ),
    ]
    return Backend(JUDGES, tuple(lines), origin=at)
