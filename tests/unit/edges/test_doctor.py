"""Driving the doctor's program: its answers become facts, and one that makes no sense is an error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from dockgate.doctor.model import Meeting, OverlayFacts
from dockgate.edges import doctor
from dockgate.edges.api import ExecResult
from dockgate.edges.doctor import Room
from dockgate.errors import EngineError
from dockgate.model.observed import Unknown


@dataclass
class OneAnswer:
    """An engine whose node container answers everything the same."""

    said: object
    code: int = 0
    host: str = "docker1"
    asked: list[Any] = field(default_factory=list)

    async def exec(self, container: str, argv: Sequence[str], *, user: str = "", timeout_s: float = 10.0) -> ExecResult:
        self.asked.append((argv[2], json.loads("".join(argv[3:]))))
        return ExecResult(self.code, self.said if isinstance(self.said, str) else json.dumps(self.said))


def room(said: object, code: int = 0) -> Room:
    return Room(OneAnswer(said, code), "node")  # type: ignore[arg-type]


LOOK = {
    "clock": 0.0,
    "links": [{"name": "eth0", "mac": "02:00", "mtu": 1500, "carrier": True, "addresses": ["10.0.0.1/24"]}],
    "conntrack": [],
    "listening": [["tcp", "0.0.0.0", 80], ["udp", "0.0.0.0", 53]],
    "containers": {"web1": {"error": "gone"}},
    "overlays": {"n": {"neighbours": [["10.0.1.4", "02:42"]], "hosts": [["02:42", "192.168.50.12"]]}},
}
MEET = {"heard": [["docker2", "vxlan"]], "refused": [], "gossip": {"docker2": "open"}, "arp": []}


async def test_a_look_becomes_facts_and_what_failed_stays_unknown() -> None:
    found = await doctor.look(room(LOOK), {"web1": 7}, ["n"])
    assert found.links[0].holds("10.0.0.1")
    assert found.listening == (("0.0.0.0", 80),)
    assert found.conntrack is None
    assert found.containers == {"web1": Unknown("gone")}
    assert found.overlays["n"] == OverlayFacts((("10.0.1.4", "02:42"),), (("02:42", "192.168.50.12"),))
    assert found.ahead_s < -1_000_000


ROUND = doctor.Round("t", 1500, 7777, frozenset({"192.168.50.12"}), 1)


async def test_a_meeting_tells_every_peer_the_address_and_the_size() -> None:
    engine = OneAnswer(MEET)
    met = await doctor.meet(Room(engine, "node"), {"docker2": "192.168.50.12"}, ROUND)  # type: ignore[arg-type]
    assert met == Meeting(frozenset({("docker2", "vxlan")}), gossip={"docker2": "open"})
    assert engine.asked[0][1]["peers"] == [["docker2", "192.168.50.12", 1500]]
    assert (engine.asked[0][1]["vxlan"], engine.asked[0][1]["arp"]) == (7777, ["192.168.50.12"])


async def test_answers_of_dns_are_addresses_none_or_unknown() -> None:
    said = {"names": {"a": {"addresses": ["10.0.1.4"]}, "b": {"addresses": []}, "c": {"error": "no answer"}},
            "doors": ["open"]}  # fmt: skip
    asked = await doctor.ask(room(said), 7, ["a", "b", "c"], [("10.0.1.4", 80)])
    assert asked.names == {"a": ("10.0.1.4",), "b": (), "c": Unknown("no answer")}
    assert asked.doors == {("10.0.1.4", 80): "open"}


@pytest.mark.parametrize(
    "said", ["nonsense", {}, {**LOOK, "conntrack": [1]}, {**LOOK, "links": [{}]}], ids=lambda said: str(said)[:20]
)
async def test_an_answer_that_makes_no_sense_is_an_error(said: object) -> None:
    with pytest.raises(EngineError, match="docker1"):
        await doctor.look(room(said), {}, [])


@pytest.mark.parametrize("said", [{**MEET, "heard": [["docker2", "smoke"]]}, {**MEET, "arp": [["x"]]}])
async def test_a_kind_that_nobody_knows_is_an_error(said: object) -> None:
    with pytest.raises(EngineError, match="not understood"):
        await doctor.meet(room(said), {}, ROUND)


async def test_fewer_doors_than_asked_is_an_error() -> None:
    with pytest.raises(EngineError, match="not understood"):
        await doctor.ask(room({"names": {}, "doors": []}), 7, [], [("10.0.1.4", 80)])


async def test_a_failure_of_the_program_is_told_in_its_own_words() -> None:
    with pytest.raises(EngineError, match="Operation not permitted"):
        await doctor.look(room({"error": "Operation not permitted"}, code=1), {}, [])


async def test_a_program_that_is_not_there_asks_for_the_newer_image() -> None:
    with pytest.raises(EngineError) as failed:
        await doctor.look(room("", code=2), {}, [])
    assert "older than this dockgate" in failed.value.hint
