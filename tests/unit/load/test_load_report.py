"""Reports: JSON there and back, the text, percentiles, receipts."""

from __future__ import annotations

import pytest

from dockgate.lab.load_report import Failure, FailureKind, Latency, LoadReport, ServerCount, SlowAnswer, receipts

REPORT = LoadReport(
    url="http://192.168.50.11/",
    method="GET",
    run="cafe0123",
    connections=32,
    rate=2000.0,
    started_at=1000.0,
    duration_s=2.0,
    sent=4000,
    ok=3999,
    failed=1,
    achieved_rate=1999.5,
    failures=(FailureKind("reset", 1, 0.5, 0.5, (Failure("cafe0123-1000", "GET", 0.5, 1.25, "reset by peer"),)),),
    servers=(ServerCount("web1", 3999, 0.0, 2.0),),
    latency=Latency(0.5, 1.0, 2.0, 612.0),
    service=Latency(0.4, 0.9, 1.9, 612.0),
    longest_gap_s=0.6,
    gap_at_s=0.5,
    slow_count=1,
    slow=(SlowAnswer("cafe0123-1001", 0.5005, 612.0, 611.5, "web1"),),
    connects=33,
    idle_closes=0,
    cpu_s=0.3,
    late_ms=75.0,
)


def test_a_report_survives_json() -> None:
    assert LoadReport.from_json(REPORT.to_json()) == REPORT


def test_something_else_is_not_taken_for_a_report() -> None:
    with pytest.raises((KeyError, TypeError)):
        LoadReport.from_json("{}")


def test_the_text_tells_what_failed_when_and_how() -> None:
    text = str(REPORT)
    assert text.startswith("GET http://192.168.50.11/: 4000 sent, 3999 ok, 1 failed")
    assert "FAILED    1 x reset, from 0.50 to 0.50 s" in text
    assert "cafe0123-1000 at 0.500 s after 1.2 ms: reset by peer" in text
    assert "CLIENT    was itself up to 75 ms behind its schedule" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_answers_are_counted_by_server() -> None:
    assert (REPORT.served_by("web1"), REPORT.served_by("web2")) == (3999, 0)


def test_percentiles_are_of_real_values() -> None:
    assert Latency.of(range(1, 1001)) == Latency(501, 991, 1000, 1000)
    assert Latency.of([]) == Latency(0, 0, 0, 0)


def test_receipts_are_read_from_a_backends_log() -> None:
    assert receipts("web1 listens on 0.0.0.0:80\nreceived a-1\nreceived a-2\nreceived a-1\n") == {"a-1": 2, "a-2": 1}
