"""Words: the one place where a value becomes text of a haproxy.cfg.

Role: quote a value so that HAProxy reads back exactly this one word; make names that HAProxy accepts.
Must not: let a value end its word or its line, be expanded as an environment variable or as a log-format tag.
Invariant: ``word`` gives one word for every value that it accepts; what cannot be one word on one line (control
characters, line separators of any alphabet) raises.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_BARE = re.compile(r"[A-Za-z0-9_./:@,=+*?!%&<>{}()\[\]|~^;-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@,=+*?!&<>(){}|~^;-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@lru_cache(maxsize=65_536)
def word(value: str) -> str:
    """``value`` as one word. Inside single quotes HAProxy expands nothing; a single quote itself is escaped outside."""
    if _CONTROL.search(value):
        raise ValueError(f"a control character cannot stand in haproxy.cfg: {value!r}")
    if _BARE.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


class Encoded(str):
    """Text that ``encode`` made: already as it stands in haproxy.cfg."""

    __slots__ = ()


def encode(content: bytes) -> Encoded:
    """Any bytes but NUL as one word, by HAProxy's own escapes; nothing in it is expanded. Raises ValueError for NUL."""
    if b"\0" in content:
        raise ValueError("a NUL byte cannot stand in haproxy.cfg")
    return Encoded("".join(chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\x{byte:02x}" for byte in content))


def literal_format(value: str) -> str:
    """``value`` for a place where HAProxy expects a log-format string, meaning just itself."""
    return value.replace("%", "%%")


def pattern(value: str) -> str:
    """``value`` as the pattern of an anonymous ACL, which a lone brace would end."""
    if value in ("{", "}", ""):
        raise ValueError(f"not a pattern that HAProxy can match: {value!r}")
    return value


def name(value: str) -> str:
    """``value`` as the name of a section or a server: itself where HAProxy allows it, else made safe and told apart."""
    if _NAME.fullmatch(value):
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.:-]', '_', value)}:{digest}"


def host(value: str) -> str:
    """``value`` as a server's host: an IPv4 address or a DNS name, and nothing else (no ``unix@``, no ``fd@``)."""
    if not _HOST.fullmatch(value):
        raise ValueError(f"not a host name or IPv4 address: {value!r}")
    return value
