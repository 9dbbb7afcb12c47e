"""The judge's side of a conversation with HAProxy, with an engine that says what it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

HELLO = {"supported-versions": "2.0", "capabilities": "pipelining,async", "engine-id": "x"}


@dataclass
class Says:
    """Every request gets the same verdict."""

    verdict: Any
    asked: list[Any] = field(default_factory=list)

    def judge(self, request: Any) -> Any:
        self.asked.append(request)
        return self.verdict


@dataclass
class Stage:
    spop: ModuleType
    judging: ModuleType
    engine: Says
    told: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = self.judging.Judge(self.engine, self.told.append)
        self.talk = self.judging.Talk()

    def hear(self, kind: int, payload: bytes, *, stream: int = 0, flags: int = 1) -> list[Any]:
        """What is answered to one frame."""
        self.judge.hear(self.talk, self.spop.write_frame(self.spop.Frame(kind, stream, stream, payload, flags)))
        return self.answers()

    def answers(self) -> list[Any]:
        frames = list(self.spop.Reader().feed(bytes(self.talk.going)))
        self.talk.going.clear()
        return frames

    def greet(self, **more: object) -> list[Any]:
        pairs = self.spop.write_pairs({**HELLO, **more, "max-frame-size": 16_380})
        return self.hear(self.spop.HELLO, pairs)

    def ask(self, **arguments: object) -> Any:
        message = self.spop.Message("check", {"mode": "on", "uri": "/x?secret=1", "method": "GET", **arguments})
        (answer,) = self.hear(self.spop.NOTIFY, self.spop.write_message(message), stream=7)
        return answer


@pytest.fixture
def stage(spop: ModuleType, judging: ModuleType, modsecurity: ModuleType, findings: ModuleType) -> Stage:
    found = (findings.Finding(942100, "SQL Injection", "ARGS:secret", "2"),)
    return Stage(spop, judging, Says(modsecurity.Verdict(403, True, found, 5)))


def test_it_takes_the_frame_size_that_haproxy_offers(stage: Stage) -> None:
    (answer,) = stage.greet()
    assert answer.kind == stage.spop.AGENT_HELLO
    assert stage.spop.read_pairs(answer.payload) == {"version": "2.0", "capabilities": "", "max-frame-size": 16_380}


def test_a_health_check_is_answered_and_ended(stage: Stage) -> None:
    (answer,) = stage.greet(healthcheck=True)
    assert answer.kind == stage.spop.AGENT_HELLO
    assert stage.talk.ends


def test_it_answers_with_the_verdict_for_the_frame_that_asked(stage: Stage) -> None:
    stage.greet()
    answer = stage.ask()
    assert (answer.kind, answer.stream, answer.number) == (stage.spop.ACK, 7, 7)
    assert stage.spop.read_variables(answer.payload) == {"deny": 403, "would": 1, "score": 5, "rules": "942100"}


def test_what_is_told_of_a_refusal_holds_no_value_of_the_request(stage: Stage) -> None:
    stage.greet()
    stage.ask(uri="/login?password=hunter2", body=b"hunter2", id="abc")
    (told,) = stage.told
    assert told["path"] == "/login"
    assert told["id"] == "abc"
    assert "hunter2" not in str(told)


def test_an_address_of_http_2_is_judged_as_the_path_that_the_client_sent(stage: Stage) -> None:
    stage.greet()
    stage.ask(uri="https://www.example.org/a?b=c", version="2.0")
    assert stage.engine.asked[0].uri == b"/a?b=c"


def test_a_question_before_the_greeting_ends_the_connection(stage: Stage) -> None:
    (answer,) = stage.hear(stage.spop.NOTIFY, b"")
    assert answer.kind == stage.spop.AGENT_DISCONNECT
    assert stage.talk.ends


def test_a_part_of_a_frame_ends_the_connection(stage: Stage) -> None:
    stage.greet()
    (answer,) = stage.hear(stage.spop.NOTIFY, b"", stream=1, flags=0)
    assert answer.kind == stage.spop.AGENT_DISCONNECT


@given(pieces=st.lists(st.binary(max_size=200), max_size=6), greeted=st.booleans())
def test_garbage_ends_its_connection_and_nothing_else(
    spop: ModuleType, judging: ModuleType, modsecurity: ModuleType, pieces: list[bytes], greeted: bool
) -> None:
    stage = Stage(spop, judging, Says(modsecurity.Verdict(0, False)))
    if greeted:
        stage.greet()
    for piece in pieces:
        if not stage.talk.ends:
            stage.judge.hear(stage.talk, piece)
    other = Stage(spop, judging, stage.engine)
    other.greet()
    assert other.ask().kind == spop.ACK
