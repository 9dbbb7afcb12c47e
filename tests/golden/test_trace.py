"""A walk of the running example both ways, as it is told and drawn. DOCKGATE_WRITE_GOLDEN=1 writes them anew.

The pictures are those of docs/trace.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.golden.test_topology import check
from tests.worlds_trace import predicted, seen, verdict

from dockgate.trace import Walk, dry, join
from dockgate.trace.evidence import Answer
from dockgate.trace.picture import picture
from dockgate.trace.report import as_json, lines

TEXTS = Path(__file__).parent / "trace"
PICTURES = Path(__file__).parents[2] / "docs/img"


def walked(*, nat: bool) -> Walk:
    prediction = predicted(nat=nat)
    text = 'iifname != "docker0" tcp dport 80 xt target "DNAT"'
    rules = (verdict(("docker1", "host"), "DOCKER", table="nat", text=text), verdict(("docker1", "host"), "DOCKER"))
    return join(prediction, replace(seen(prediction), verdicts=rules))


def dropped() -> Walk:
    prediction = predicted()
    drop = verdict(("docker1", "host"), "DOCKER", word="drop", text="tcp dport 80 drop")
    answer = Answer("dropped", error="no answer within 4 s", total_us=4_000_000)
    evidence = seen(prediction, until=2)
    forth = tuple(s for s in evidence.sightings if s.syn)
    return join(prediction, replace(evidence, sightings=forth, answer=answer, log=None, verdicts=(drop,)))


WALKS = {
    "overlay": walked(nat=False),
    "published": walked(nat=True),
    "predicted": dry(predicted()),
    "dropped": dropped(),
    "paused": dry(predicted(balancer="paused")),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_reads_as_in_its_golden_file(name: str) -> None:
    check(TEXTS / f"{name}.txt", "".join(f"{text}\n" for _, text in lines(WALKS[name])))


def test_the_json_form_is_as_in_its_golden_file() -> None:
    check(TEXTS / "published.json", json.dumps(as_json(WALKS["published"]), indent=2) + "\n")


@pytest.mark.parametrize("name", ["overlay", "published"])
def test_a_walk_looks_as_in_the_documentation(name: str) -> None:
    check(PICTURES / f"trace-{name}.svg", picture(WALKS[name]))
