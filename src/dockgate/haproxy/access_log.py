"""Access log: how a port writes down each request or connection.

Role: HAProxy's own text formats, or one JSON object a line. Must not: hold what may be a secret: no header's value but
the request's id, and no cookie.
Invariant: HAProxy encodes the values itself, so nothing that a client sends can end a text or add a key.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.haproxy.tree import Line, line
from dockgate.model.desired import Vip

ID = "txn.dockgate_id"
_WHO = ("%(at_ms:sint)[accept_date(ms)]", "%(client)ci", "%(port:sint)cp", "%(listener)ft", "%(pool)b", "%(member)s")
_HOW = (
    "%(bytes:sint)B",
    "%(queue_ms:sint)Tw",
    "%(connect_ms:sint)Tc",
    "%(total_ms:sint)Tt",
    "%(retries:sint)rc",
    "%(ended)ts",
)
_REQUEST = (
    "%(method)HM",
    "%(uri)HU",
    "%(version)HV",
    "%(status:sint)ST",
    "%(request_ms:sint)TR",
    "%(answer_ms:sint)Tr",
)


def log_lines(vip: Vip, mode: str) -> Iterator[Line]:
    """The line that chooses the format for a port of this mode."""
    if vip.log == "text":
        yield line("option", f"{mode}log")
        return
    known = (f"%(request_id)[var({ID})]",) if vip.http.request_id and mode == "http" else ()
    fields = (*_WHO, *(_REQUEST if mode == "http" else ()), *known, *_HOW)
    yield line("log-format", " ".join(("%{+json}o", *fields)), origin=vip.source)
