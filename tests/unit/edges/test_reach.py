"""Driving the probe program: what is sent fits an exec, and an answer that makes no sense is never an outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.scenes import scene

from dockgate.edges import reach
from dockgate.errors import EngineError
from dockgate.verify import Cell, all_jobs

JOBS = all_jobs(scene())
CELLS = [job for job in JOBS if isinstance(job, Cell)]


@dataclass
class FakeSeat:
    """Answers each verb with what it is told to."""

    answer: Callable[[str, Any], object]
    name: str = "docker1"
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def run(self, verb: str, request: object) -> Any:
        self.asked.append((verb, request))
        return self.answer(verb, request)


def orders(*jobs: Cell) -> list[reach.Order]:
    return [reach.Order(job, 61_000 + number, 0.5) for number, job in enumerate(jobs)]


async def test_each_probe_gets_its_own_answer_in_order() -> None:
    seat = FakeSeat(
        lambda verb, request: [["open" if j["port"] == 80 else "probe_failed", "", ""] for j in request["jobs"]]
    )
    asked = [cell for cell in CELLS if cell.protocol == "tcp" and cell.frame is None][:20]
    found = await reach.probe(seat, orders(*asked))
    assert [outcome for outcome, _, _ in found] == ["open" if c.asked.port == 80 else "probe failed" for c in asked]


@pytest.mark.parametrize(
    "said", [[], [["open", "", ""]] * 3, [["perhaps", "", ""]] * 2, "nonsense", [["open"]] * 2], ids=str
)
async def test_an_answer_that_makes_no_sense_is_an_error(said: object) -> None:
    with pytest.raises(EngineError, match="cannot be understood"):
        await reach.probe(FakeSeat(lambda verb, request: said), orders(*CELLS[:2]))


async def test_a_forged_frame_says_where_it_goes_and_what_it_carries() -> None:
    forged = next(cell for cell in CELLS if cell.frame and cell.frame.vni)
    seat = FakeSeat(lambda verb, request: [["dropped", "", ""]])
    await reach.probe(seat, orders(forged))
    job = seat.asked[0][1]["jobs"][0]
    assert (job["kind"], job["vni"], job["inner"], job["address"]) == (
        "vxlan",
        4097,
        forged.ends.address,
        forged.asked.address,
    )


async def test_what_the_kernel_decided_gets_the_comment_of_our_rule_and_of_no_other_table() -> None:
    line = ["host", "tcp", "192.0.2.1", 61_000, "192.0.2.2", 80]
    said = {"seen": [], "decided": [[*line, "inet", "dockgate", "r_1", "drop"], [*line, "ip", "filter", "r_1", "drop"]]}
    place = next(iter(scene().hosts.values()))
    _, traced = await reach.collect(
        FakeSeat(lambda verb, request: said), "t", [place], {"host": {"r_1": "f:1 default deny"}}
    )
    assert [(str(item.decided), item.decided.place) for item in traced] == [
        ("f:1 default deny", place.name),
        ("ip filter r_1", place.name),
    ]


def test_a_long_request_goes_in_pieces_that_an_exec_takes() -> None:
    request = {"jobs": [{"name": "x" * 100}] * 5000}
    pieces = reach._pieces(request)
    assert max(map(len, pieces)) < 128 * 1024
    assert json.loads("".join(pieces)) == request


@pytest.mark.parametrize(("said", "more"), [("", "Traceback: no such file"), ("Segmentation fault", "")])
def test_a_program_that_did_not_answer_is_an_error_with_its_words(said: str, more: str) -> None:
    with pytest.raises(EngineError, match=r"docker1: could not survey for the proof: .+"):
        reach._answer("docker1", "survey", code=1, said=said, more=more)
