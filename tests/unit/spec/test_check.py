"""`dockgate check` as a person and a script see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from tests.unit.spec.reading import VALID
from typer.testing import CliRunner

from dockgate.cli.check import check, failure
from dockgate.edges.files import load_file
from dockgate.spec import SpecError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "spec"

app = typer.Typer()
app.command()(check)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout


def shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal would show, with a file name that does not depend on the machine."""
    monkeypatch.chdir(file.parent)
    with pytest.raises(SpecError) as caught:
        load_file(Path(file.name), {})
    return failure(caught.value, file.read_text().splitlines())


def test_a_broken_file_is_explained_as_in_the_golden_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(GOLDEN / "broken.yaml", monkeypatch) == (GOLDEN / "broken.txt").read_text()


def test_a_line_that_may_hold_a_secret_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text("vips:\n  a: {listen: [{port: no}], stats: {path: /s, user: u, password: hunter2}}\n")
    assert "hunter2" not in shown(file, monkeypatch)


def test_a_confidential_line_is_not_shown_for_another_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text("vips:\n  a: {listen: [{port: 1}], stats: {path: /s, user: u, password:\n    hunter2}, no: 1}\n")
    assert "hunter2" not in shown(file, monkeypatch)


def test_a_good_file_is_one_line_and_exit_code_0(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text("project: shop\n" + VALID)
    assert run("-f", str(file)) == (0, f"{file} is fine: project shop: 2 hosts, 1 network, 1 VIP, 1 pool\n")


def test_a_broken_file_is_exit_code_1_and_a_count(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text(VALID + "firewal: 1\nvip: 2\n")
    code, text = run("-f", str(file))
    assert code == 1
    assert text.splitlines()[-1] == f"{file} has 2 problems"


def test_a_script_gets_every_place_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text(VALID + "firewal: 1\n")
    code, text = run("-f", str(file), "--output", "json")
    assert code == 1
    document = json.loads(text)
    assert document["ok"] is False
    place = {"file": str(file), "line": 13, "column": 1}
    assert document["problems"] == [{**place, "what": "unknown key 'firewal'", "fix": "did you mean 'firewall'?"}]


def test_a_script_gets_the_notes_of_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text(VALID + "firewall: {failsafe: []}\n")
    document = json.loads(run("-f", str(file), "--output", "json")[1])
    assert document["ok"] is True
    assert document["notes"][0]["line"] == 13


def test_a_file_that_is_not_there_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    code, text = run("-f", str(tmp_path / "nope.yaml"))
    assert code == 1
    assert "the file does not exist" in text
