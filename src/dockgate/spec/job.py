"""Job: what the resolving functions share. The file's models, the way back to its lines, and where problems go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .key_files import NoKeyFiles, ReadKeyFiles
from .path import Path, dotted
from .problems import Findings, nearest, quote
from .schema import FileSpec
from .secrets import ReadSecret
from .tree import Tree


@dataclass(frozen=True)
class Job:
    """One file on its way to Desired. ``default_project``: the project's name if the file gives none."""

    spec: FileSpec
    tree: Tree
    findings: Findings
    default_project: str
    read_secret: ReadSecret = field(repr=False)
    key_files: ReadKeyFiles = field(default_factory=NoKeyFiles, repr=False)

    @property
    def project(self) -> str:
        return self.spec.project or self.default_project

    def problem(self, path: Path, what: str, fix: str = "", *, at_key: bool = False) -> None:
        """A problem at the value (or at the key) of ``path``."""
        place = self.tree.key(*path) if at_key else self.tree.value(*path)
        self.findings.problem(place, what, fix)

    def note(self, path: Path, text: str) -> None:
        self.findings.note(self.tree.key(*path), text)

    def refer(self, path: Path, section: str, name: str, known: Collection[str]) -> bool:
        """Whether ``name`` is in ``section``; a problem at ``path`` if not, unless its entry was left out as wrong."""
        if name in known:
            return True
        if self.tree.whole(section, name) and (section,) not in self.tree.holes:
            fix = "" if self.findings.full else nearest(name, known) or f"add it to '{section}'"
            self.problem(path, f"{dotted(path)} names {quote(name)}, which is not in '{section}'", fix)
        return False
