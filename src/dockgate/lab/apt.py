"""The machine's own apt configuration, read so that the lab downloads the same way.

Role: find the Debian mirror, and the settings (proxies, certificates, validity checks) under which it is reached.
Must not: download anything, or switch a signature check off.
Both formats of sources are read: deb822 (*.sources) and one line per source (*.list).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab.errors import NotRight
from dockgate.lab.process import run

_DEFAULT_MIRROR = re.compile(r"https?://[a-z0-9.-]+/debian(?=[\"'\s])")

_SUITES = {
    "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
    "oldoldstable", "oldstable", "stable", "testing", "unstable",
}  # fmt: skip
_KEPT = re.compile(
    r"Acquire::(?:(?:http|https|ftp)::.+|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date|Max-FutureTime)"
)


@dataclass(frozen=True)
class Source:
    """One archive as apt's sources name it: its address without a slash at the end, a suite and its components."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class AptSetup:
    """How packages are fetched here: `mirror`'s address and apt options, each as a line of apt.conf."""

    mirror: str
    options: tuple[str, ...]


def read_setup(etc: Path = Path("/etc/apt")) -> AptSetup:
    """The machine's setup; $DOCKGATE_DEBIAN_MIRROR overrides the mirror."""
    chosen = os.environ.get("DOCKGATE_DEBIAN_MIRROR")
    mirror = chosen.rstrip("/") if chosen else plain_address(debian_mirror(read_sources(etc)) or tools_mirror())
    dump = run(["apt-config", "dump"], attempt="reading apt's configuration")
    return AptSetup(mirror=mirror, options=kept_options(dump))


def read_sources(etc: Path) -> list[Source]:
    """All binary sources below `etc`, in the order apt reads its files."""
    found: list[Source] = []
    for path in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))):
        if not path.is_file() or path.suffix not in {".list", ".sources"}:
            continue
        text = path.read_text(errors="replace")
        found += parse_deb822(text) if path.suffix == ".sources" else parse_list(text)
    return found


def parse_list(text: str) -> list[Source]:
    """The `deb` lines of a one-line-format file; options in brackets are skipped."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            found.append(Source(words[1].rstrip("/"), words[2], tuple(words[3:])))
    return found


def parse_deb822(text: str) -> list[Source]:
    """The enabled `deb` sources of a deb822 file: one for each of its addresses and suites."""
    found = []
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes") in {"no", "false", "0"}:
            continue
        components = tuple(stanza.get("components", "").split())
        for uri in stanza.get("uris", "").split():
            found += [Source(uri.rstrip("/"), suite, components) for suite in stanza.get("suites", "").split()]
    return found


def debian_mirror(sources: Iterable[Source]) -> str | None:
    """The first address that serves a whole Debian release from a network (not its security or updates part)."""
    for source in sources:
        if (
            source.suite in _SUITES
            and "main" in source.components
            and re.match(r"(?:mirror\+)?(?:https?|ftp|file):", source.uri)
            and "security" not in source.uri
        ):
            return source.uri
    return None


def plain_address(uri: str) -> str:
    """The address itself where a source names a file of addresses (`mirror+file:`, as on Debian's cloud machines):
    images are built where that file is not."""
    path = Path(uri.removeprefix("mirror+file:"))
    if not uri.startswith("mirror+file:") or not path.is_file():
        return uri
    words = [line.split()[0] for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return words[0].rstrip("/") if words else tools_mirror()


def tools_mirror(program: str | None = None) -> str:
    """The mirror that mmdebstrap itself uses when it is told none: for machines whose apt names no Debian archive
    (Ubuntu, for one). ``program``: its path, found in PATH by default."""
    path = program or shutil.which("mmdebstrap")
    text = Path(path).read_text(errors="replace") if path else ""
    found = _DEFAULT_MIRROR.search(text)
    if found is None:
        raise NotRight(
            "apt's sources name no Debian archive, and mmdebstrap tells none",
            attempt="looking for a Debian mirror",
            next_step="Set DOCKGATE_DEBIAN_MIRROR to one.",
        )
    return found[0]


def kept_options(dump: str) -> tuple[str, ...]:
    """The options out of `apt-config dump` that say how a mirror is reached, each as a line of apt.conf."""
    kept = []
    for line in dump.splitlines():
        name, _, value = line.partition(" ")
        if _KEPT.fullmatch(name) and value not in {'"";', ""}:
            kept.append(f"{name} {value}")
    return tuple(kept)


def single_source(mirror: str, suite: str) -> str:
    """The source line of one suite for mmdebstrap, refused if its address could be read as two words."""
    if re.search(r"[\s\[\]]", mirror):
        raise NotRight(
            f"the mirror address {mirror!r} has spaces or brackets in it",
            attempt="reading apt's sources",
            next_step="Set DOCKGATE_DEBIAN_MIRROR to a plain address.",
        )
    return f"deb {mirror} {suite} main"


def _stanzas(text: str) -> Iterator[Mapping[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and last:
                fields[last] += " " + line.strip()
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if fields:
            yield fields
