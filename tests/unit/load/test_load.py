"""The load program: its command line, and a run that a test starts and stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dockgate.lab.errors import NotRight
from dockgate.lab.load import LoadReport, main, start_load

WEB = Path(__file__).parents[3] / "images" / "web" / "web.py"


@pytest.fixture
def url() -> Iterator[str]:
    """The demo backend on loopback."""
    environment = {**os.environ, "NAME": "web1", "PORT": "0", "ADDRESS": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-I", str(WEB)], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline().rsplit(':', 1)[1])}/"
    finally:
        process.kill()
        process.communicate()


def spawn(argv: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, text=True)


def test_the_command_prints_a_report_and_succeeds_when_none_failed(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([url, "--rate", "200", "--connections", "2", "--duration", "0.1"]) == 0
    assert "20 sent, 20 ok, 0 failed" in capsys.readouterr().out


def test_the_command_fails_when_a_request_failed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{url}status/503", "--rate", "100", "--connections", "1", "--duration", "0.05", "--json"]) == 1
    report = LoadReport.from_json(capsys.readouterr().out)
    assert [(kind.kind, kind.count) for kind in report.failures] == [("status 503", 5)]


def test_the_command_says_why_it_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ftp://127.0.0.1/"]) == 2
    assert "neither an http:// nor an https:// URL" in capsys.readouterr().err


def test_sigterm_stops_it_and_it_still_reports(url: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    argv = [sys.executable, "-m", "dockgate.lab.load", url, "--duration", "0", "--rate", "200", "--connections", "2"]
    process = subprocess.Popen([*argv, "--json", "--ready-file", str(ready)], stdout=subprocess.PIPE, text=True)
    try:
        while not ready.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert LoadReport.from_json(said).ok >= 2
    assert process.returncode == 0


def test_a_started_load_is_steady_and_its_report_is_there_when_it_is_over(url: str) -> None:
    with start_load(spawn, url, rate=500, connections=4, method="mixed") as load:
        assert load.process.poll() is None
        with pytest.raises(NotRight, match="no report"):
            _ = load.report
    assert load.report.ok >= 4
    assert load.report.failed == 0
    assert load.process.poll() == 0


def test_a_load_that_a_test_gives_up_leaves_no_process(url: str) -> None:
    with pytest.raises(KeyError), start_load(spawn, url, rate=500, connections=4) as load:
        raise KeyError
    assert load.process.poll() is not None


def test_a_load_that_ends_before_it_is_steady_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotRight, match="ended early with code 2"):
        start_load(spawn, "ftp://127.0.0.1/")
    assert "neither an http:// nor an https:// URL" in capfd.readouterr().err


def test_a_load_process_that_is_killed_is_an_error(url: str) -> None:
    load = start_load(spawn, url, rate=500, connections=4)
    load.process.kill()
    load.process.wait()
    with pytest.raises(NotRight, match="ended early"):
        load.observe(1)
    with pytest.raises(NotRight, match="was killed"):
        load.stop()
