"""`dockgate trace` with what it cannot trace: one sentence and a next step, before any host is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.worlds_trace import OVERLAY_FILE
from typer.testing import CliRunner

from dockgate.cli import app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dockgate.yaml"
    path.write_text(OVERLAY_FILE)
    return path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["ftp://docker1/"],
            "cannot be traced: it must begin with http://, https://, tcp://, tls://, icmp:// and name a host",
        ),
        (["icmp://docker1/x"], "icmp://docker1/x cannot be traced: an echo has no port and no path"),
        (["icmp://docker1:80"], "an echo has no port and no path"),
        (["tcp://docker1/"], "tcp://docker1/ cannot be traced: it needs a port and no path"),
        (["docker1"], "docker1 cannot be traced"),
        (["http:///x"], "http:///x cannot be traced"),
        (["http://docker1:port/"], "http://docker1:port/ is not a URL"),
        (["http://docker1:99999/"], "http://docker1:99999/ is not a URL"),
        (["http://no-such-name.invalid/"], "no-such-name.invalid could not be resolved here"),
        (["http://docker1/", "-o", "walk.png"], "walk.png: the picture of a walk is an .svg"),
    ],
)
def test_what_cannot_be_traced_is_told_with_the_next_step(file: Path, words: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["trace", *words, "--file", str(file)])
    assert result.exit_code == 1
    assert told in " ".join(result.output.split())
    assert "next: " in result.output
