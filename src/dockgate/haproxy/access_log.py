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
VERDICT, RULES = "txn.dockgate_verdict", "txn.waf.rules"
"""What the firewall did with a request, and because of which rules."""
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

_TEXT = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
"""HAProxy's own text, written out where something is added to it."""


def log_lines(vip: Vip, mode: str) -> Iterator[Line]:
    """The line that chooses the format for a port of this mode."""
    judged = vip.waf is not None and mode == "http"
    if vip.log == "text" and not judged:
        yield line("option", f"{mode}log")
        return
    if vip.log == "text":
        verdict = f"{{waf:%[var({VERDICT})] %[var({RULES})] %[var({ID})]}}"
        yield line("log-format", f"{_TEXT} {verdict}", origin=vip.source)
        return
    known = (f"%(request_id)[var({ID})]",) if vip.numbers_requests and mode == "http" else ()
    told = (f"%(waf)[var({VERDICT})]", f"%(waf_rules)[var({RULES})]") if judged else ()
    fields = (*_WHO, *(_REQUEST if mode == "http" else ()), *known, *told, *_HOW)
    yield line("log-format", " ".join(("%{+json}o", *fields)), origin=vip.source)
