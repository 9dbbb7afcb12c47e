"""How a proof is told: equal rows as one, wrong cells one by one, JSON and JUnit with every one of them."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from tests.fakes.packets import FakeWorld
from tests.scenes import scene

from dockgate.verify import Proof, Result
from dockgate.verify.report import as_json, as_junit, attack_rows, rows, summary, title, wrong_lines

GOOD = replace(FakeWorld.of(scene()).prove(), seconds=3.14)


def with_one_wrong() -> tuple[Proof, Result]:
    """The way from web2 to web1 is open."""
    at = next(n for n, r in enumerate(GOOD.results) if title(r.job) == "web2 → web1 tcp 80 at 10.0.1.4:80")
    bad = replace(GOOD.results[at], status="wrong", why="let through: no rule of ours stopped it")
    return replace(GOOD, results=(*GOOD.results[:at], bad, *GOOD.results[at + 1 :])), bad


def test_equal_rows_are_told_as_one_and_none_is_lost() -> None:
    told = rows(GOOD)
    assert len(told) < 40
    assert sum(row.count for row in (*told, *attack_rows(GOOD))) == len(GOOD.results)


def test_a_row_says_who_whom_what_and_what_had_to_happen() -> None:
    row = next(row for row in rows(GOOD) if (row.source, row.target) == ("app", "db") and row.expected == "allow")
    assert (row.what, row.status, row.count) == ("tcp 5432 6000 6010 (IPv6 too)", "ok", 6)


def test_a_wrong_cell_names_what_was_expected_by_which_line_and_what_was_found() -> None:
    proof, bad = with_one_wrong()
    rule = bad.job.expected.rule  # type: ignore[union-attr]
    assert list(wrong_lines(proof, 5)) == [
        "WRONG  web2 → web1 tcp 80 at 10.0.1.4:80",
        f"  expected: drop by f:{rule.source.line} default deny at overlay back on docker3",
        "  found: let through: no rule of ours stopped it",
    ]


def test_a_good_proof_says_so_and_a_bad_one_does_not() -> None:
    assert summary(GOOD).startswith("proved: ")
    proof, _ = with_one_wrong()
    assert "1 not as the file says" in summary(proof)
    assert not proof.ok
    assert summary(replace(GOOD, missing=("docker3 could not be read",))).startswith("NOT proved: ")


def test_a_proof_of_nothing_is_no_proof() -> None:
    assert not Proof(()).ok


def test_json_tells_every_cell_and_who_decided() -> None:
    told = as_json(GOOD)
    cells = told["cells"]
    assert isinstance(cells, list)
    assert len(cells) == len(GOOD.results)
    denied = next(cell for cell in cells if cell["expected"] == "drop")
    assert denied["control"] == "open"
    assert denied["decided_by"]


def test_junit_has_a_case_for_each_cell_and_for_each_thing_that_could_not_be_asked() -> None:
    proof, _ = with_one_wrong()
    suite = ElementTree.fromstring(as_junit(replace(proof, missing=("docker3 could not be read",))))
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")
    assert len(suite.findall("testcase")) == len(proof.results) + 1 == int(suite.get("tests") or 0)
