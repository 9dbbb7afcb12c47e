"""Resolve the web application firewall: its settings, and the rules that lie beside the file."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dockgate.model.waf import Exclusion, RulesFile, Waf
from dockgate.waf.files import SET_PREFIX

from .job import Job
from .own_rules import faults
from .path import Path, dotted
from .problems import quote
from .schema import RouteSpec
from .schema_waf import ExclusionSpec, WafSpec
from .secrets import SecretUnavailable

MOST_FILE = 1 << 20
MOST_TOGETHER = 8 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_SETUPS = ("crs-setup.conf", "crs-setup.conf.example")


def resolve_waf(job: Job, path: Path, spec: WafSpec | None, routes: list[RouteSpec]) -> Waf | None:
    """None where nothing of the VIP is looked at."""
    looked_at = [route.waf for route in routes if route.waf in ("on", "detect")]
    at = (*path, "waf")
    if spec is None:
        return Waf(mode="off", source=job.tree.key(*path)) if looked_at else None
    given = spec.model_dump(exclude_none=True, include={"paranoia", "threshold", "processes", "body_limit"})
    waf = Waf(
        mode=spec.mode,
        fail=spec.fail,
        timeout_ms=spec.timeout or Waf.timeout_ms,
        oversize=spec.oversize,
        exclusions=_exclusions(job, (*at, "exclusions"), spec.exclusions),
        rules=_rule_set(job, (*at, "rules"), spec.rules) if spec.rules else (),
        rules_place=spec.rules or "",
        own=_own(job, (*at, "own_rules"), spec.own_rules),
        source=job.tree.key(*at),
        **given,
    )
    return waf if spec.mode != "off" or looked_at else None


def _exclusions(job: Job, at: Path, specs: list[ExclusionSpec]) -> tuple[Exclusion, ...]:
    made = []
    for index, spec in enumerate(specs):
        if not spec.rules and job.tree.whole(*at, index, "rules"):
            job.problem((*at, index, "rules"), "an exclusion must name at least one rule", "give their ids")
        spans = [ids for ids in spec.rules if "-" in ids]
        if spans and spec.argument:
            what = f"an argument is taken out of single rules, and {spans[0]} is a span of them"
            job.problem((*at, index, "rules"), what, "name each rule's id, or leave the argument out")
        path = (spec.path or "").rstrip("/") or None
        made.append(Exclusion(tuple(spec.rules), path, spec.argument, job.tree.value(*at, index)))
    return tuple(made)


def _rule_set(job: Job, at: Path, folder: str) -> tuple[RulesFile, ...]:
    """A release's settings and its rules; other folders of it (tests, tools) are not for an engine."""
    try:
        top, inside = job.key_files.names(folder), job.key_files.names(f"{folder}/rules")
    except SecretUnavailable as error:
        job.problem(at, error.what, error.hint)
        return ()
    setup = next((name for name in _SETUPS if name in top), None)
    if setup is None:
        job.problem(at, f"{quote(folder)} has no crs-setup.conf", "name the folder of an unpacked release")
        return ()
    files = [_file(job, at, f"{folder}/{setup}", f"{SET_PREFIX}crs-setup.conf")]
    for name in inside:
        if name.endswith((".conf", ".data")) and _NAME.fullmatch(name):
            kept = name if name.endswith(".data") else f"{SET_PREFIX}{name}"
            files.append(_file(job, at, f"{folder}/rules/{name}", kept))
    if not any(re.match(rf"{SET_PREFIX}REQUEST-901", file.name) for file in files):
        job.problem(at, f"{quote(folder)}/rules has no REQUEST-901-…conf", "name the folder of an unpacked release")
    _check_size(job, at, files)
    return tuple(files)


def _own(job: Job, at: Path, places: list[str]) -> tuple[RulesFile, ...]:
    files: list[RulesFile] = []
    for index, place in enumerate(places):
        where = (*at, index)
        base = place.rpartition("/")[2]
        if not base.endswith((".conf", ".data")) or not _NAME.fullmatch(base):
            job.problem(where, f"{quote(place)} is no file of rules", "its name must end with .conf or .data")
            continue
        name = base if base.endswith(".data") else f"own-{index + 1:02}-{base}"
        if any(file.name == name for file in files):
            job.problem(where, f"{dotted(at)} has two files called {base}", "rules look it up by that name: rename one")
        files.append(_file(job, where, place, name))
        if base.endswith(".conf"):
            _look_at(job, where, files[-1])
    _check_size(job, at, files)
    return tuple(files)


def _look_at(job: Job, at: Path, file: RulesFile) -> None:
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        job.problem(at, f"{quote(file.place)} is not UTF-8", "save it as UTF-8")
        return
    for line, what in faults(text):
        job.problem(at, f"{file.place}:{line}: {what}", "correct the rule")


def _file(job: Job, at: Path, place: str, name: str) -> RulesFile:
    try:
        return RulesFile(name, place, job.key_files.read(place, MOST_FILE))
    except SecretUnavailable as error:
        job.problem(at, error.what, error.hint)
        return RulesFile(name, place, b"")


def _check_size(job: Job, at: Path, files: Iterable[RulesFile]) -> None:
    together = sum(len(file.content) for file in files)
    if together > MOST_TOGETHER:
        job.problem(at, f"these rules have {together} bytes together, more than {MOST_TOGETHER}", "use fewer")
