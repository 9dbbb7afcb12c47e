"""Load: the file's text → Desired and notes, or every problem at once. Pure but for the secrets' reader it is given.

What is wrong in one place never hides what is wrong in another: a part that the schema refuses is left out and the rest
is checked again, until what is left can be resolved. Nothing is returned unless there was no problem at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dockgate.model.desired import Desired

from .document import Mapping, Node, parse
from .key_files import NoKeyFiles, ReadKeyFiles
from .keys import keys_at
from .path import Path
from .problems import MOST_PROBLEMS, Findings, Note, Problem, SpecError, closest
from .resolve import Job, resolve
from .rules import PROJECT
from .schema import FileSpec
from .secrets import ReadSecret
from .tree import Tree, plant
from .words import problem_path, report


@dataclass(frozen=True)
class Loaded:
    """What the file asks for, and what a person should know about it. ``outdated``: what is wrong by time alone."""

    desired: Desired
    notes: tuple[Note, ...] = ()
    outdated: tuple[Problem, ...] = ()

    def current(self) -> Loaded:
        """This one, for who makes something of it; ``SpecError`` when a part of it is outdated."""
        if self.outdated:
            raise SpecError(self.outdated)
        return self


def load(
    content: str | bytes, *, file: str, project: str, read_secret: ReadSecret, key_files: ReadKeyFiles | None = None
) -> Loaded:
    """Read ``dockgate.yaml``. ``file``: its name in messages; ``project``: the name if the file gives none.

    Raises ``SpecError`` with every problem, and nothing else, whatever the content.
    """
    findings = Findings()
    root = parse(content, file=file, findings=findings)
    if not isinstance(root, Mapping):
        findings.problem(root.source, "the file must be a mapping of keys to values", "begin with 'vips:'")
        findings.raise_if_any()
    spec, tree = _fit(root, findings)
    desired = resolve(Job(spec, tree, findings, project, read_secret, key_files or NoKeyFiles()))
    findings.raise_if_any()
    return Loaded(desired, findings.notes, findings.outdated)


def project_name(folder: str) -> str:
    """A project's name made from a folder's: ``My Shop`` → ``my-shop``."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.lower()).strip("-_")[: PROJECT.longest].rstrip("-_")
    return name or "dockgate"


def _fit(root: Node, findings: Findings) -> tuple[FileSpec, Tree]:
    """The largest part of the file that fits the schema. Each round leaves out what was wrong, so it ends."""
    pruned: set[Node] = set()
    holes: set[Path] = set()
    while True:
        tree = plant(root, pruned=pruned, findings=findings)
        for hole in holes:
            tree.punch(hole)
        try:
            return FileSpec.model_validate(tree.data), tree
        except ValidationError as error:
            details = error.errors(include_url=False)
            misspelled = _misspelled(details, tree)
            for detail in details:
                path = problem_path(detail, tree)
                missing = (*path, str(detail["loc"][-1])) if detail["type"] == "missing" else None
                if missing is None or (missing not in tree.holes and missing not in misspelled):
                    report(detail, tree, findings)
                pruned.add(tree.places[path].node)
                holes.add(path)


def _misspelled(details: list[ErrorDetails], tree: Tree) -> set[Path]:
    """Keys that were probably meant by unknown ones beside them: they are not missing as well."""
    meant: set[Path] = set()
    for detail in details[:MOST_PROBLEMS]:
        if detail["type"] == "extra_forbidden":
            *parent, key = problem_path(detail, tree)
            meant.update((*parent, close) for close in closest(str(key), keys_at(tuple(parent))))
    return meant
