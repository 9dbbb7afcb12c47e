"""Reading a file in a test: its problems as lines, or what it asks for."""

from __future__ import annotations

from textwrap import dedent
from typing import Literal

from dockgate.model.desired import Desired
from dockgate.spec import Loaded, ReadKeyFiles, SecretText, SecretUnavailable, SpecError, load

SECRETS = {("file", "secrets/lbstats"): "correct horse", ("env", "LBSTATS"): "correct horse", ("env", "EMPTY"): ""}

VALID = """\
hosts:
  docker1: {engine: "unix:///run/docker1.sock", address: 192.168.50.11}
  docker2: {engine: "ssh://ops@docker2.lab.lab"}
networks:
  back: {driver: overlay}
vips:
  web:
    hosts: [docker1]
    listen: [{port: 80}]
    pool: site
pools:
  site: {network: back, port: 80, members: [web1, web2]}
"""


def read_secret(kind: Literal["file", "env"], name: str) -> SecretText:
    """The secrets of these tests, from nowhere."""
    if (kind, name) not in SECRETS:
        raise SecretUnavailable(f"the secret {name} does not exist", hint="make it")
    return SecretText(SECRETS[kind, name], note="everyone can read it" if kind == "file" else "")


def read(content: str | bytes, key_files: ReadKeyFiles | None = None) -> Loaded:
    """Load a file called ``f``; text may be indented as the test is."""
    text = dedent(content) if isinstance(content, str) else content
    return load(text, file="f", project="shop", read_secret=read_secret, key_files=key_files)


def desired(content: str) -> Desired:
    return read(content).desired


def problems(content: str | bytes, key_files: ReadKeyFiles | None = None) -> list[str]:
    """What is wrong, one line each; empty for a good file."""
    try:
        read(content, key_files)
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []


def problem(content: str | bytes) -> str:
    """The only thing that is wrong."""
    found = problems(content)
    assert len(found) == 1, found
    return found[0]


def changed(old: str, new: str, *more: tuple[str, str]) -> str:
    """The valid file with something replaced, which must have been in it."""
    text = VALID
    for before, after in ((old, new), *more):
        assert before in text
        text = text.replace(before, after)
    return text
