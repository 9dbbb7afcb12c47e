"""Rules for HTTP's values: header names and values, and the places that a redirect leads to."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from .problems import quote
from .rules import DNS, Rule, describe, fault, text, whole

HEADER_NAME = Rule("a header name", r"[A-Za-z0-9][A-Za-z0-9_-]*", "use letters, digits, '-' and '_'", 64)
HEADER_VALUE = Rule(
    "a header value",
    r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?",
    "use printable ASCII characters, with no space at either end; nothing in it is expanded",
    1024,
)
PLACE = Rule(
    "a place to go to",
    r"(https?://" + DNS.pattern + r"(:[0-9]{1,5})?)?(/[A-Za-z0-9._~!*+,;=:@&/?-]*)?",
    "write a URL like https://www.example.org, or a path like /new",
    512,
)
LIMIT_KEY = Rule(
    "what is counted",
    r"(client|host|path|header:[A-Za-z0-9][A-Za-z0-9_-]{0,63})",
    "write client, host, path or header:NAME",
)
COOKIE = Rule("the name of a cookie", r"[A-Za-z0-9_-]+", "use letters, digits, '-' and '_'", 64)
REALM = Rule("a realm", r"[A-Za-z0-9][A-Za-z0-9_.-]*", "use letters, digits, - _ and .", 64)
SNIPPET = Rule(
    "a line of haproxy.cfg",
    r"[\x21\x24-\x7e][\x20-\x7e]*",
    "write one line of printable ASCII characters that is no comment",
    1024,
)
MOST_BYTES = 1 << 40
MOST_HEADERS = 15 << 10
_SECTIONS = (
    *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "cache"),
    *("program", "ring", "log-forward", "http-errors", "fcgi-app", "crt-store", "traces", "acme", "log-profile"),
)
_DOCKGATES = (
    "server",
    "server-template",
    "default-server",
    "bind",
    "mode",
    "default_backend",
    "balance",
    "description",
)
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_MESSAGE_FRAME = ("connection", "content-length", "transfer-encoding", "upgrade", "keep-alive", "te", "trailer")
_OWN = ("x-forwarded-for", "x-forwarded-proto", "forwarded", "x-request-id")


def _free_header(value: str) -> str:
    """Neither a header that frames the message, nor one that the load balancer itself answers for."""
    if value.lower() in _MESSAGE_FRAME:
        raise fault(f"cannot be {quote(value)}: it says where a message ends", "leave it to the load balancer")
    if value.lower() in _OWN:
        raise fault(f"cannot be {quote(value)}: dockgate sets it", "see 'trusted_proxies' and 'request_id'")
    return value


def _somewhere(value: str) -> str:
    if not value or value.startswith("//"):
        raise fault(f"must be {PLACE.noun}, not {quote(value)}", PLACE.words)
    return value


def read_size(value: object) -> int:
    match = re.fullmatch(r"([0-9]{1,9})(B|KB|MB|GB)", value) if isinstance(value, str) else None
    if not match:
        raise fault(f"must be a size with its unit, not {describe(value)}", "write it like 512KB, 10MB or 2GB")
    size = int(match[1]) * _UNITS[match[2]]
    if not 1 <= size <= MOST_BYTES:
        raise fault(f"must be between 1B and 1024GB, not {describe(value)}")
    return size


def _headers_size(value: object) -> int:
    size = read_size(value)
    if size > MOST_HEADERS:
        raise fault(f"must be at most 15KB, not {describe(value)}", "HAProxy keeps a request's head in 16 KB")
    return size


def _own_line(value: str) -> str:
    """Nothing that ends the section, or that dockgate has to know of."""
    first = value.split()[0]
    if first in _SECTIONS:
        raise fault(f"begins a section of its own: {quote(first)}", "snippets are lines of a frontend or a backend")
    if first in _DOCKGATES:
        raise fault(f"cannot be a {quote(first)} line: dockgate writes those", "see the reference for the key it has")
    return value


def size(value: int) -> str:
    """A size as the file writes it: 512KB, 10MB."""
    unit = next(unit for unit, factor in reversed(_UNITS.items()) if value % factor == 0)
    return f"{value // _UNITS[unit]}{unit}"


HeaderName: TypeAlias = Annotated[str, *text(HEADER_NAME, _free_header)]
HeaderValue: TypeAlias = Annotated[str, *text(HEADER_VALUE)]
RedirectTo: TypeAlias = Annotated[str, *text(PLACE, _somewhere)]
LimitKey: TypeAlias = Annotated[str, *text(LIMIT_KEY)]
CookieName: TypeAlias = Annotated[str, *text(COOKIE)]
Realm: TypeAlias = Annotated[str, *text(REALM)]
Percent: TypeAlias = Annotated[int, *whole(0, 100)]
Requests: TypeAlias = Annotated[int, *whole(1, 1_000_000)]
ConnectionCount: TypeAlias = Annotated[int, *whole(1, 8000)]
SIZE_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^[0-9]+(B|KB|MB|GB)$"})
Size: TypeAlias = Annotated[int, BeforeValidator(read_size), SIZE_SCHEMA]
HeadersSize: TypeAlias = Annotated[int, BeforeValidator(_headers_size), SIZE_SCHEMA]
SnippetText: TypeAlias = Annotated[str, *text(SNIPPET, _own_line)]
