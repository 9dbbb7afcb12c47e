"""Words: pydantic's errors as sentences for a person. No jargon of the library reaches the screen."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from .keys import keys_at
from .path import Path, dotted
from .problems import Findings, nearest, quote
from .rules import describe
from .tree import Tree


def report(error: ErrorDetails, tree: Tree, findings: Findings) -> None:
    """Add one pydantic error to the findings, at the place in the file that it is about."""
    path = _path(error, tree)
    kind = error["type"]
    confidential = "password" in path
    if kind == "extra_forbidden":
        key = " here" if confidential else f" {quote(str(path[-1]))}"
        where = f" in {dotted(path[:-1])}" if len(path) > 1 else ""
        fix = "" if findings.full else nearest(str(path[-1]), keys_at(path[:-1]))
        findings.problem(tree.key(*path), f"unknown key{key}{where}", fix, confidential=confidential)
        return
    if kind == "missing":
        parent = path[:-1]
        what = f"{dotted(parent)} has no {quote(str(path[-1]))}"
        findings.problem(tree.key(*parent), what, "add it", confidential=confidential)
        return
    place = tree.key(*path) if error["loc"][-1:] == ("[key]",) else tree.value(*path)
    what, fix = _sentence(error, confidential=confidential)
    findings.problem(place, f"{dotted(path)} {what}", fix, confidential=confidential)


def problem_path(error: ErrorDetails, tree: Tree) -> Path:
    """The path in the tree of what is wrong: for a missing key, of what should hold it."""
    return tree.known(_path(error, tree))


def _path(error: ErrorDetails, tree: Tree) -> Path:
    """Where in the file; parts that pydantic adds (``[key]``, the long form of a short one) are dropped."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "missing":
        return (*tree.known(path[:-1]), path[-1])
    return tree.known(path)


def _sentence(error: ErrorDetails, *, confidential: bool) -> tuple[str, str]:
    context = error.get("ctx", {})
    value = "this" if confidential else describe(error["input"])
    match error["type"]:
        case "dockgate":
            return str(context["what"]), str(context["fix"])
        case "literal_error":
            options = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
            said = error["input"]
            close = nearest(said, options) if isinstance(said, str) else ""
            return f"must be {' or '.join(options)}, not {value}", close if close.startswith("did") else ""
        case "bool_type":
            return f"must be true or false, not {value}", ""
        case "list_type":
            return f"must be a list, not {value}", f"write [{error['input']}]" if _is_word(error["input"]) else ""
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be a mapping of keys to values, not {value}", ""
        case "too_short":
            return "must not be empty", "add at least one"
    return f"cannot be {value}", ""


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.isalnum() and len(value) < 40
