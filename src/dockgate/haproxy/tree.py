"""The tree of a haproxy.cfg: typed sections, each of which knows its lines.

Role: hold a configuration as values that can be compared, and give its lines in order, each with its origin.
Must not: know the user's file, Docker, or which HAProxy version it is for (``build`` does).
Invariant: text leaves only through ``words.word``, but for an expert's own lines, which are marked; two equal trees
give the same lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from dockgate.model.http import Snippet
from dockgate.model.source import Source

NO_ADDRESS = "0.0.0.0"
OURS = "dockgate:"
"""How the backends begin that are no pool's."""


@dataclass(frozen=True)
class Line:
    """One line: its words, not yet quoted, and the place in the user's file that caused it. ``raw``: instead of words,
    a line that somebody else wrote, one line of printable characters."""

    words: tuple[str, ...]
    origin: Source | None = field(default=None, compare=False)
    raw: str = ""


def line(*words: str | int, origin: Source | None = None) -> Line:
    return Line(tuple(each if isinstance(each, str) else str(each) for each in words), origin)


def own_lines(snippets: Iterable[Snippet]) -> Iterator[Line]:
    """Lines of the user's own, as they stand, each behind a comment that says so. Not where from: a file in which they
    only moved must not cost a reload."""
    for each in snippets:
        yield Line((), each.source, "# The next line is your own, as it stands in your file.")
        yield Line((), each.source, each.text)


def milliseconds(value: int) -> str:
    """A time as HAProxy reads it: whole seconds as such, else milliseconds."""
    return f"{value // 1000}s" if value % 1000 == 0 else f"{value}ms"


@dataclass(frozen=True)
class Global:
    """The process. ``label`` and the structure make its description, which ``show info`` tells."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """A section of which nothing but its lines matters: defaults, resolvers, userlist."""

    kind: str
    name: str
    lines: tuple[Line, ...]
    origin: Source | None = field(default=None, compare=False)


@dataclass(frozen=True)
class UseBackend:
    """Requests for which every condition holds go to ``backend``. ``conditions``: the words of anonymous ACLs."""

    backend: str
    conditions: tuple[tuple[str, ...], ...]
    origin: Source | None = field(default=None, compare=False)

    def line(self) -> Line:
        acls = [each for words in self.conditions for each in ("{", *words, "}")]
        return line("use_backend", self.backend, *(["if", *acls] if acls else []), origin=self.origin)


@dataclass(frozen=True)
class Frontend:
    """A port of the VIP. ``bind_options``: what follows the address on its bind line."""

    name: str
    bind: str
    lines: tuple[Line, ...]
    routes: tuple[UseBackend, ...]
    default_backend: str
    origin: Source | None = field(default=None, compare=False)
    bind_options: tuple[str, ...] = ()


IPV4 = "ipv4@"


def place(address: str) -> str:
    """An address as a server line has it. A name needs its family said: HAProxy drops ``tcp-ut`` without a word where
    the family is not known when the line is read (srv_parse_tcp_ut, 2.6 to 3.5)."""
    return address if address.replace(".", "").isdigit() else f"{IPV4}{address}"


@dataclass(frozen=True)
class Server:
    """One server. ``slot``: its address is the engine's word and may be set over the runtime socket.

    ``address`` None: a slot that nobody is in, written as disabled.
    """

    name: str
    address: str | None
    port: int
    weight: int
    options: tuple[str, ...]
    slot: bool = False
    checked: bool = False
    origin: Source | None = field(default=None, compare=False)

    def line(self) -> Line:
        where = f"{place(self.address or NO_ADDRESS)}:{self.port}"
        state = ("disabled",) if self.address is None else ()
        return line("server", self.name, where, *state, "weight", self.weight, *self.options, origin=self.origin)

    def shape(self) -> Line:
        """The line without what the runtime socket can set."""
        where = "slot" if self.slot else f"{self.address}:{self.port}"
        return line("server", self.name, where, *self.options)


@dataclass(frozen=True)
class ServerTemplate:
    """``count`` servers, ``prefix``1 to ``prefix``N, that DNS fills with the addresses of ``address``."""

    prefix: str
    count: int
    address: str
    port: int
    weight: int
    options: tuple[str, ...]
    checked: bool = False
    origin: Source | None = field(default=None, compare=False)

    def line(self) -> Line:
        where = f"{place(self.address)}:{self.port}"
        span = f"1-{self.count}"
        options = ("weight", str(self.weight), *self.options)
        return line("server-template", self.prefix, span, where, *options, origin=self.origin)

    def shape(self) -> Line:
        return self.line()

    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}{number}" for number in range(1, self.count + 1))


@dataclass(frozen=True)
class Backend:
    """A pool, or a fixed answer when it has no servers."""

    name: str
    lines: tuple[Line, ...]
    servers: tuple[Server | ServerTemplate, ...] = ()
    origin: Source | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Config:
    """A whole configuration. ``comments``: the header, one line each. ``beside``: further files that it names."""

    comments: tuple[str, ...]
    process: Global
    sections: tuple[Section, ...]
    frontends: tuple[Frontend, ...]
    backends: tuple[Backend, ...]
    beside: tuple[tuple[str, str], ...] = ()


Block: TypeAlias = tuple[Line, tuple[Line, ...]]


def blocks(config: Config, *, structure: str | None = None) -> Iterator[Block]:
    """Each section's head and body, in order. Without ``structure``: only what a reload is needed for."""
    whole = structure is not None
    described = (line("description", f"{config.process.label} {structure}"),) if whole else ()
    yield line("global"), (*described, *config.process.lines)
    for section in config.sections:
        yield line(section.kind, *([section.name] if section.name else []), origin=section.origin), section.lines
    for frontend in config.frontends:
        yield line("frontend", frontend.name, origin=frontend.origin), tuple(_frontend(frontend))
    for backend in config.backends:
        servers = tuple(server.line() if whole else server.shape() for server in backend.servers)
        yield line("backend", backend.name, origin=backend.origin), (*backend.lines, *servers)


def _frontend(frontend: Frontend) -> Iterator[Line]:
    yield line("bind", frontend.bind, *frontend.bind_options, origin=frontend.origin)
    yield from frontend.lines
    yield from (route.line() for route in frontend.routes)
    yield line("default_backend", frontend.default_backend, origin=frontend.origin)
