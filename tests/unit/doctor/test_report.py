"""How findings are told: within 80 columns, severity in words, and the same in JSON."""

from __future__ import annotations

from tests.unit.doctor.scenes import say, with_host

from dockgate.doctor.model import Finding
from dockgate.doctor.report import as_json, lines, summary
from dockgate.model.observed import Unknown

LONG = Finding("error", "x", "docker1 - docker2", "word " * 30, "seen " * 40, "do " * 40, ("apps/web1",) * 9)


def test_every_line_fits_eighty_columns() -> None:
    assert max(len(line) for line, _ in lines([LONG], 80)) <= 80


def test_a_finding_says_what_how_it_was_seen_what_it_explains_and_what_to_do() -> None:
    found = say(with_host(Unknown("docker3: connection refused"), "docker3"))
    assert [line for line, _ in lines(found, 80)] == [
        "ERROR   docker3: its Docker engine cannot be read",
        "  seen    connection refused",
        "  so also apps/web2",
        "  do      see whether it runs, on docker3: systemctl status docker; and whether",
        "          this machine reaches it",
    ]


def test_what_is_explained_is_named_up_to_a_number() -> None:
    assert any(line.rstrip().endswith("and 3 more") for line, _ in lines([LONG], 200))


def test_the_summary_says_how_many_hosts_and_how_long() -> None:
    assert summary((), 3, 4.44) == "nothing is wrong (3 hosts, 4.4 s)"
    assert summary((LONG,), 1, 1) == "1 finding (1 host, 1.0 s)"


def test_json_has_the_same() -> None:
    told = as_json(say(with_host(Unknown("docker3: connection refused"), "docker3")), 3, 1.5)
    assert (told["schema"], told["well"], told["seconds"]) == ("dockgate.doctor/1", False, 1.5)
    (finding,) = told["findings"]  # type: ignore[misc]
    assert finding["severity"] == "error"
    assert finding["cause"] == "engine-unreachable"
    assert finding["affects"] == ("apps/web2",)
