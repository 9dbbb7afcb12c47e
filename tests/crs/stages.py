"""Stages of the Core Rule Set's regression tests, of release 3 and of release 4: what to send, and what must be found.

Release 3 has ``stage:`` below each entry of ``stages`` and ``log_contains: id "942100"``; release 4 has neither, but
``log: {expect_ids: […]}``. Invariant: what a stage expects and this reader does not know is an error, never a pass.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from ruamel.yaml import YAML

_FORM = "application/x-www-form-urlencoded"
_KNOWN = {"log_contains", "no_log_contains", "status", "log", "response_contains", "expect_error", "isolated"}
_KNOWN |= {"retry_once", "html_contains", "no_html_contains"}
_ANY_RULE = r'\[id "\d+"\]'
_ID = re.compile(r"\b(\d{6})\b")


@dataclass(frozen=True)
class Expected:
    """``found``: all of these rules; ``absent``: none of these; ``statuses``: one of them, if any are named.

    ``nothing``: no rule at all. ``values``: something of the request's values in the log, where dockgate keeps none."""

    found: frozenset[int] = frozenset()
    absent: frozenset[int] = frozenset()
    statuses: frozenset[int] = frozenset()
    error: bool = False
    nothing: bool = False
    values: bool = False

    @property
    def by_rules(self) -> bool:
        return bool(self.found or self.absent or self.nothing)


@dataclass(frozen=True)
class Stage:
    """``name``: e.g. 942100-3, with a number behind it where a test has several stages."""

    name: str
    request: bytes
    expected: Expected


def read(folder: Path) -> Iterator[Stage]:
    """Every stage of every enabled test below ``folder``, sorted by file."""
    for path in sorted(folder.rglob("*.y*ml")):
        if "-overrides" not in path.name:
            yield from stages_of(path)


def stages_of(path: Path) -> Iterator[Stage]:
    document = YAML(typ="safe", pure=True).load(path.read_text())
    if not isinstance(document, Mapping) or not document.get("tests"):
        return
    if (document.get("meta") or {}).get("enabled", True) is False:
        return
    rule = document.get("rule_id", path.stem)
    for test in document["tests"]:
        name = str(test.get("test_title") or f"{rule}-{test.get('test_id')}")
        stages = [each.get("stage", each) for each in test["stages"]]
        for number, stage in enumerate(stages, 1):
            where = name if len(stages) == 1 else f"{name}.{number}"
            old = any("stage" in each for each in test["stages"])
            yield Stage(where, request_of(stage.get("input", {}), old=old), expected(where, stage.get("output", {})))


def expected(name: str, output: Mapping[str, Any]) -> Expected:
    unknown = set(output) - _KNOWN
    if unknown:
        raise ValueError(f"{name} expects what is not understood: {sorted(unknown)}")
    log = output.get("log") or {}
    found = {int(each) for each in log.get("expect_ids", ())} | _ids(name, output.get("log_contains"))
    absent = {int(each) for each in log.get("no_expect_ids", ())} | _ids(name, output.get("no_log_contains"))
    wanted, unwanted = str(log.get("match_regex") or ""), str(log.get("no_match_regex") or "")
    found |= {int(each) for each in _ID.findall(wanted)}
    absent |= {int(each) for each in _ID.findall(unwanted)}
    if unwanted and unwanted != _ANY_RULE and not _ID.search(unwanted):
        raise ValueError(f"{name} must not find what is no rule: {unwanted!r}")
    status = output.get("status", [])
    statuses = status if isinstance(status, list) else [status]
    return Expected(
        found=frozenset(found),
        absent=frozenset(absent),
        statuses=frozenset(int(each) for each in statuses),
        error=bool(output.get("expect_error")),
        nothing=unwanted == _ANY_RULE,
        values=bool(wanted and not _ID.search(wanted)),
    )


def request_of(said: Mapping[str, Any], *, old: bool) -> bytes:
    """The bytes on the wire. ``old``: the body of a form is written in URL encoding, as release 3's runner does."""
    if said.get("encoded_request"):
        return base64.b64decode(said["encoded_request"])
    headers = _headers(said)
    names = {name.lower() for name, _ in headers}
    body = base64.b64decode(said["encoded_data"]) if said.get("encoded_data") else _text(said.get("data")).encode()
    complete = bool(said.get("autocomplete_headers", not said.get("stop_magic", False)))
    if complete and body:
        if "content-type" not in names:
            headers.append(("Content-Type", _FORM))
        kind = next(value for name, value in headers if name.lower() == "content-type")
        body = _encoded(body) if old and kind == _FORM else body
        if not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
    if complete and "connection" not in names:
        headers.append(("Connection", "close"))
    version, uri = said.get("version") or "HTTP/1.1", _text(said.get("uri") or "/")
    head = [f"{said.get('method') or 'GET'} {uri} {version}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _headers(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    ordered = said.get("ordered_headers")
    if ordered:
        return [(str(each["name"]), _text(each["value"])) for each in ordered]
    return [(str(name), _text(value)) for name, value in (said.get("headers") or {}).items()]


def _encoded(body: bytes) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    if unquote(text) != text:
        return body
    pairs = parse_qsl(text, keep_blank_values=False)
    return urlencode(pairs).encode() if len(pairs) == len(text.split("&")) else body


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\r\n".join(map(str, value)) + "\r\n"
    return "" if value is None else str(value)


def _ids(name: str, pattern: object) -> set[int]:
    if not pattern:
        return set()
    found = {int(each) for each in _ID.findall(str(pattern))}
    if not found:
        raise ValueError(f"{name} looks for what is no rule: {pattern!r}")
    return found
