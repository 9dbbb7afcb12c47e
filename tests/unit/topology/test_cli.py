"""The verb: what it writes where, and what ends with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.pictures import EXAMPLES
from typer.testing import CliRunner

from dockgate.cli import app
from dockgate.topology import from_json

RUNNER = CliRunner()
FILE = str(EXAMPLES / "02-published/dockgate.yaml")
NOWHERE = "hosts: {here: {engine: 'unix:///nowhere/docker.sock', address: 10.0.0.1}}\n"


def test_the_file_alone_is_drawn_into_a_picture_and_nothing_is_printed(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["topology", "-f", FILE, "--desired", "-o", str(tmp_path / "t.svg")])
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "t.svg").read_text().startswith("<svg ")


def test_a_picture_and_json_can_be_had_at_once(tmp_path: Path) -> None:
    words = ["topology", "-f", FILE, "--desired", "--output", "json", "-o", str(tmp_path / "t.png")]
    done = RUNNER.invoke(app, words)
    assert from_json(done.stdout, "standard output").view == "desired"
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_stored_can_be_compared_with(tmp_path: Path) -> None:
    stored = tmp_path / "monday.json"
    stored.write_text(RUNNER.invoke(app, ["topology", "-f", FILE, "--desired", "--output", "json"]).stdout)
    done = RUNNER.invoke(app, ["topology", "-f", FILE, "--desired", "--diff", str(stored)])
    assert done.exit_code == 0
    assert "compared: nothing changed" in done.stdout


def test_a_host_that_cannot_be_read_is_drawn_and_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text(f"project: p\n{NOWHERE}")
    done = RUNNER.invoke(app, ["topology", "-f", str(file), "--output", "json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["hosts"][0]["condition"]["state"] == "unknown"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "topology.pdf"], "a picture is an .svg or a .png"),
        (["-o", "/nowhere/at/all/t.svg"], "could not be written"),
        (["--diff", "/nowhere/at/all.json"], "could not be read"),
        (["--diff", FILE], "is not JSON"),
    ],
)
def test_what_cannot_be_done_is_said_and_ends_with_one(words: list[str], said: str) -> None:
    done = RUNNER.invoke(app, ["topology", "-f", FILE, "--desired", *words])
    assert done.exit_code == 1
    assert said in done.stderr
