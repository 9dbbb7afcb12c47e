"""Secrets: read from a file or the environment, hashed, and never repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from passlib.hash import sha512_crypt
from tests.unit.spec.reading import changed, desired, problem, problems, read

from dockgate.edges.files import load_file, read_spec
from dockgate.spec import SpecError
from dockgate.spec.document import MAX_BYTES
from dockgate.spec.secrets import password_hash


def with_password(password: str, user: str = "ops") -> str:
    return changed("pool: site\n", f"pool: site\n    stats: {{path: /lbstats, user: {user}, password: {password}}}\n")


def test_a_password_becomes_a_crypt_hash_that_verifies() -> None:
    stats = desired(with_password("{env: LBSTATS}")).vip("web").stats
    assert stats is not None
    assert stats.password_hash.startswith("$6$")
    assert sha512_crypt.verify("correct horse", stats.password_hash)
    assert "correct horse" not in repr(stats)


def test_the_salt_is_of_public_names_only() -> None:
    one, other = (password_hash(secret, project="p", vip="v", user="u").split("$") for secret in ("a", "b"))
    assert one[:3] == other[:3]
    assert one[3] != other[3]
    assert password_hash("a", project="p", vip="w", user="u").split("$")[2] != one[2]


INLINE = {
    "text": "hunter2",
    "a number": "4711",
    "a list": "[hunter2]",
    "an unknown key": "{value: hunter2}",
    "a key": "{hunter2: file}",
    "a variable's name that is none": "{env: hunter2!}",
    "a number as a variable": "{env: 4711}",
}


@pytest.mark.parametrize("password", INLINE.values(), ids=INLINE)
def test_an_inline_secret_is_refused_and_not_repeated(password: str) -> None:
    said = "\n".join(problems(with_password(password)))
    assert said
    assert "hunter2" not in said
    assert "4711" not in said


def test_an_inline_secret_is_told_where_secrets_are_kept() -> None:
    said = problem(with_password("hunter2"))
    assert said.startswith("f:11:50: vips.web.stats.password must say where the secret is kept")
    assert said.endswith("write {file: secrets/name} or {env: NAME}, and keep the secret itself there")


def test_a_secret_is_in_one_place() -> None:
    assert "a secret is kept in exactly one place" in problem(with_password("{file: a, env: B}"))
    assert "a secret is kept in exactly one place" in problem(with_password("{}"))


def test_an_empty_secret_is_refused() -> None:
    assert problem(with_password("{env: EMPTY}")).startswith("f:11:56: the secret in the variable EMPTY is empty")


def test_a_missing_secret_is_a_problem_of_its_line() -> None:
    assert problem(with_password("{env: NOPE}")) == "f:11:56: the secret NOPE does not exist; make it"


def test_a_note_about_a_secret_has_its_line() -> None:
    assert [str(note) for note in read(with_password("{file: secrets/lbstats}")).notes] == [
        "f:11:51: everyone can read it"
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with a secret that only its owner can read."""
    place = tmp_path / "My Shop"
    place.mkdir()
    (place / "dockgate.yaml").write_text(with_password("{file: lbstats}"))
    (place / "lbstats").write_text("correct horse\n")
    (place / "lbstats").chmod(0o600)
    return place


def test_a_secret_file_is_relative_to_the_yaml_and_loses_its_line_end(folder: Path) -> None:
    stats = load_file(folder / "dockgate.yaml").desired.vip("web").stats
    assert stats is not None
    assert sha512_crypt.verify("correct horse", stats.password_hash)


def test_the_project_is_called_like_the_folder(folder: Path) -> None:
    assert load_file(folder / "dockgate.yaml").desired.project == "my-shop"


def test_a_secret_that_everyone_can_read_is_noted(folder: Path) -> None:
    (folder / "lbstats").chmod(0o644)
    notes = load_file(folder / "dockgate.yaml").notes
    assert "everyone on this machine can read the secret file 'lbstats'" in str(notes[0])


def test_a_secret_from_the_environment(folder: Path) -> None:
    (folder / "dockgate.yaml").write_text(with_password("{env: LBSTATS}"))
    assert load_file(folder / "dockgate.yaml", {"LBSTATS": "x"}).desired.vip("web").stats
    with pytest.raises(SpecError, match="the environment variable LBSTATS is not set"):
        load_file(folder / "dockgate.yaml", {})


BAD_SECRETS = {
    "empty": (b"", "is empty"),
    "only a line end": (b"\n", "is empty"),
    "two lines": (b"hunter2\nhunter3\n", "holds line breaks or control characters"),
    "a NUL byte": (b"hunter2\0", "holds line breaks or control characters"),
    "not UTF-8": (b"hunter2\xff", "is not UTF-8 text"),
    "too long": (b"hunter2" * 100, "has more than 512 characters"),
    "a wrong file": (b"hunter2" * 1000, "has more than 4096 bytes"),
}


@pytest.mark.parametrize(("content", "said"), BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_refuses_a_secret_file_that_is(folder: Path, content: bytes, said: str) -> None:
    (folder / "lbstats").write_bytes(content)
    with pytest.raises(SpecError, match=said) as caught:
        load_file(folder / "dockgate.yaml")
    assert "hunter2" not in str(caught.value)


def test_refuses_a_secret_file_that_is_not_there(folder: Path) -> None:
    (folder / "lbstats").unlink()
    with pytest.raises(SpecError, match="the secret file 'lbstats' does not exist; create it, readable by you only"):
        load_file(folder / "dockgate.yaml")


def test_refuses_a_secret_file_that_is_a_pipe_without_waiting(folder: Path) -> None:
    (folder / "lbstats").unlink()
    os.mkfifo(folder / "lbstats")
    with pytest.raises(SpecError, match="cannot be read: not a regular file"):
        load_file(folder / "dockgate.yaml")


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the file does not exist; write one"):
        load_file(tmp_path / "nope.yaml")


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the file cannot be read"):
        load_file(tmp_path)


def test_reads_no_more_of_a_huge_file_than_shows_that_it_is_huge(tmp_path: Path) -> None:
    (tmp_path / "dockgate.yaml").write_bytes(b"#" * (MAX_BYTES + 4096))
    assert len(read_spec(tmp_path / "dockgate.yaml")) == MAX_BYTES + 1
    with pytest.raises(SpecError, match="more than the 1,048,576 that are read"):
        load_file(tmp_path / "dockgate.yaml")
