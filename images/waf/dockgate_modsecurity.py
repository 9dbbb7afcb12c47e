"""ModSecurity 3 through its C interface: load rules, judge one request at a time.

Its own binding rather than a package from PyPI, so that the engine is Debian's and gets Debian's security updates.
Must not: keep anything of a request once it is judged. Invariant: every transaction that is begun is cleaned up.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import dockgate_findings as findings
from dockgate_findings import Finding

_LIBRARY = "libmodsecurity.so.3"
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
_VOID, _INT, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
_TRANSACTION_CALLS: dict[str, list[type]] = {
    "msc_process_connection": [_TEXT, _INT, _TEXT, _INT],
    "msc_process_uri": [_TEXT, _TEXT, _TEXT],
    "msc_add_n_request_header": [_TEXT, _SIZE, _TEXT, _SIZE],
    "msc_process_request_headers": [],
    "msc_append_request_body": [_TEXT, _SIZE],
    "msc_process_request_body": [],
    "msc_process_logging": [],
    "msc_intervention": [_VOID],
    "msc_transaction_cleanup": [],
}
_AT = re.compile(r"File: (?P<file>[^,]*?)\. Line: (?P<line>\d+)\.(?: Column: \d+\.)? ?(?P<what>.*)", re.DOTALL)


class RulesRefused(ValueError):
    """The engine does not understand a rule. ``file``, ``line``: where."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}:{line}: {what}")
        self.file, self.line, self.what = file, line, what


@dataclass(frozen=True)
class Request:
    """``detect``: nothing is refused, it is only looked at."""

    id: str
    client: str
    client_port: int
    server: str
    server_port: int
    method: bytes
    uri: bytes
    version: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    detect: bool = False


@dataclass(frozen=True)
class Verdict:
    """``status``: what the client is to be answered, 0 to let it pass. ``would``: the rules want it refused."""

    status: int
    would: bool
    findings: tuple[Finding, ...] = ()
    score: int = field(default=0)


class _Intervention(ctypes.Structure):
    _fields_ = (("status", _INT), ("pause", _INT), ("url", _VOID), ("log", _VOID), ("disruptive", _INT))


class Engine:
    """The rules, loaded. One request at a time."""

    def __init__(self) -> None:
        self._library = _open()
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = [_VOID]
        self._lines: list[str] = []
        self._hear = _LOG(self._heard)
        self._engine = self._library.msc_init()
        self._library.msc_set_connector_info(self._engine, b"dockgate")
        self._library.msc_set_log_cb(self._engine, self._hear)
        self._rules = self._library.msc_create_rules_set()

    @property
    def version(self) -> str:
        said = str(self._library.msc_who_am_i(self._engine), "latin-1")
        found = re.search(r"v([0-9.]+)", said)
        return found[1] if found else said

    def load(self, files: Iterable[str]) -> int:
        """How many rules they hold. Raises ``RulesRefused``."""
        count = 0
        for file in files:
            error = _TEXT()
            loaded = self._library.msc_rules_add_file(self._rules, file.encode(), ctypes.byref(error))
            if loaded < 0:
                raise _refused(file, str(error.value or b"", "utf-8", "replace"))
            count += loaded
        return count

    def judge(self, request: Request) -> Verdict:
        self._lines.clear()
        mark = "detect-" if request.detect else "refuse-"
        name = (mark + request.id).encode("latin-1", "replace")
        transaction = self._library.msc_new_transaction_with_id(self._engine, self._rules, name, None)
        try:
            status = self._phases(transaction, request)
            self._library.msc_process_logging(transaction)
        finally:
            self._library.msc_transaction_cleanup(transaction)
        found = tuple(each for line in self._lines if (each := findings.read(line)) is not None)
        would = status > 0 or findings.would_refuse(found)
        return Verdict(0 if request.detect else status, would, found, findings.score(found))

    def _phases(self, transaction: int, request: Request) -> int:
        call = self._library
        call.msc_process_connection(
            transaction, request.client.encode(), request.client_port, request.server.encode(), request.server_port
        )
        call.msc_process_uri(transaction, request.uri, request.method, request.version)
        for name, value in request.headers:
            call.msc_add_n_request_header(transaction, name, len(name), value, len(value))
        call.msc_process_request_headers(transaction)
        if status := self._intervention(transaction):
            return status
        if request.body:
            call.msc_append_request_body(transaction, request.body, len(request.body))
        call.msc_process_request_body(transaction)
        return self._intervention(transaction)

    def _intervention(self, transaction: int) -> int:
        told = _Intervention(200, 0, None, None, 0)
        if not self._library.msc_intervention(transaction, ctypes.byref(told)):
            return 0
        # Of the rule that refuses, the engine speaks here and not in its log.
        if told.log:
            self._heard(None, ctypes.string_at(told.log))
        for text in (told.url, told.log):
            if text:
                self._free(text)
        return (told.status if 400 <= told.status < 600 else 403) if told.disruptive else 0

    def _heard(self, _: int | None, text: bytes | None) -> None:
        self._lines.append((text or b"").decode("utf-8", "replace"))


def _open() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.msc_init.restype = _VOID
    library.msc_who_am_i.argtypes, library.msc_who_am_i.restype = [_VOID], _TEXT
    library.msc_set_connector_info.argtypes = [_VOID, _TEXT]
    library.msc_set_log_cb.argtypes = [_VOID, _LOG]
    library.msc_create_rules_set.restype = _VOID
    library.msc_rules_add_file.argtypes = [_VOID, _TEXT, ctypes.POINTER(_TEXT)]
    library.msc_new_transaction_with_id.argtypes = [_VOID, _VOID, _TEXT, _VOID]
    library.msc_new_transaction_with_id.restype = _VOID
    for name, arguments in _TRANSACTION_CALLS.items():
        getattr(library, name).argtypes = [_VOID, *arguments]
    return library


def _refused(file: str, said: str) -> RulesRefused:
    found = _AT.search(said)
    if found is None:
        what = " ".join(said.split()) or "the engine does not say why"
        return RulesRefused(file, _line_of(file, what), what)
    return RulesRefused(found["file"] or file, int(found["line"]), " ".join(found["what"].split()))


def _line_of(file: str, what: str) -> int:
    """Of some mistakes the engine only says which rule it was."""
    named = re.search(r"\bid: (\d+)", what)
    if named is None:
        return 0
    with open(file, encoding="utf-8", errors="replace") as lines:
        told = re.compile(rf"\bid:'?{named[1]}\b")
        return max((number for number, line in enumerate(lines, 1) if told.search(line)), default=0)
