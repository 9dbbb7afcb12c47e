"""Reading statistics, on what both versions really answered (``recorded``: one file a version)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dockgate.haproxy.stats import running

RECORDED = Path(__file__).parent / "recorded"
VERSIONS = ("3.0", "3.2")


def recording(version: str) -> tuple[dict[str, str], Any]:
    """The outputs by command, and what they were read as when a person looked."""
    entries = json.loads((RECORDED / f"{version}.json").read_text())
    outputs = {entry["command"]: entry["output"] for entry in entries if "command" in entry}
    return outputs, entries[-1]["parsed"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_answer_is_read_as_it_was_when_recorded(version: str) -> None:
    outputs, parsed = recording(version)
    read = running(outputs["show info"], outputs["show stat"])
    assert json.loads(json.dumps(asdict(read))) == parsed
    assert read.version.startswith(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_of_columns_does_not_matter(version: str) -> None:
    outputs, _ = recording(version)
    turned = []
    for line in outputs["show stat"].removeprefix("# ").splitlines():
        fields = line.split(",")
        turned.append(",".join([fields[0], *reversed(fields[1:])]))
    stat = "# " + "\n".join(turned) + "\n"
    assert running(outputs["show info"], stat) == running(outputs["show info"], outputs["show stat"])


def test_a_process_with_another_configuration_than_ours_has_no_structure() -> None:
    outputs, _ = recording("3.2")
    lines = [line for line in outputs["show info"].splitlines() if not line.startswith("description")]
    foreign = "\n".join([*lines, "description: the proxy of accounting"])
    assert running(foreign, outputs["show stat"]).structure == ""


@pytest.mark.parametrize("answer", ["", "Permission denied\n", "Unknown command: 'show'\n"])
def test_what_is_not_statistics_is_refused(answer: str) -> None:
    outputs, _ = recording("3.2")
    with pytest.raises(ValueError, match="not HAProxy's statistics"):
        running(outputs["show info"], answer)
    with pytest.raises(ValueError, match="has no Version"):
        running(answer, outputs["show stat"])
