"""What an answer is worth: a refusal needs its rule, its place and a living target; nothing is excused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.scenes import scene

from dockgate.firewall.tables import comment_of
from dockgate.verify import Cell, Result, all_jobs
from dockgate.verify.judge import judge_one
from dockgate.verify.model import Decided, Job, Measured, Outcome

JOBS = all_jobs(scene())


def cell(source: str, target: str, what: str) -> Cell:
    found = [j for j in JOBS if isinstance(j, Cell) and not j.attack and (j.source.name, j.target.name, j.what) == (
        source, target, what)]  # fmt: skip
    return found[0]


DENIED, REJECTED, ALLOWED = (
    cell("web2", "web1", "tcp 80"),
    cell("db", "docker2", "tcp 53"),
    cell("app", "db", "tcp 5432"),
)
TO_HOST = cell("app", "docker2", "udp 59999")


def by(job: Cell, verdict: str = "drop", *, place: str = "", rule: str = "", table: str = "inet dockgate") -> Decided:
    word = rule or comment_of(job.expected.rule)
    assert verdict in ("drop", "accept")
    return Decided(place or job.expected.place.name, table, "r", "drop" if verdict == "drop" else "accept", word)


def judged(job: Job, outcome: Outcome, *decided: Decided, control: Outcome = "open", seen: str = "") -> Result:
    return judge_one(job, Measured(outcome, seen_as=(seen,) if seen else (), decided=decided, control=control))


def test_a_drop_by_the_expected_rule_with_a_living_target_is_ok() -> None:
    assert judged(DENIED, "dropped", by(DENIED)).status == "ok"


def test_silence_alone_proves_nothing() -> None:
    found = judged(DENIED, "dropped")
    assert (found.status, found.why) == ("not proven", "no rule was seen to stop it: dropped")


def test_a_refusal_by_a_dead_target_proves_nothing() -> None:
    assert judged(DENIED, "dropped", by(DENIED), control="refused").status == "not proven"


@pytest.mark.parametrize(
    "other",
    [
        by(DENIED, rule="f:1 another rule"),
        by(DENIED, place="overlay back on docker1"),
        by(DENIED, rule="none", table="ip filter"),
    ],
    ids=["another rule", "another place", "another table"],
)
def test_a_drop_by_anything_else_is_wrong(other: Decided) -> None:
    assert judged(DENIED, "dropped", other).status == "wrong"


def test_an_answer_where_none_may_come_is_wrong_at_once() -> None:
    found = judged(DENIED, "open", by(DENIED, "accept", rule="f:9 somebody's accept"), seen=DENIED.address)
    assert (found.status, found.final, found.why) == ("wrong", True, "let through by f:9 somebody's accept")


def test_a_packet_that_the_target_saw_got_through_although_nobody_answered() -> None:
    assert judged(DENIED, "dropped", seen=DENIED.address).why.startswith("let through")


def test_a_host_that_saw_a_packet_before_its_own_rules_dropped_it_did_not_let_it_through() -> None:
    assert judged(TO_HOST, "dropped", by(TO_HOST), seen=TO_HOST.address).status == "ok"
    assert judged(TO_HOST, "dropped", seen=TO_HOST.address).why.startswith("let through")


def test_a_reject_must_be_told_and_a_drop_must_not() -> None:
    assert judged(REJECTED, "refused", by(REJECTED)).status == "ok"
    assert judged(REJECTED, "dropped", by(REJECTED)).status == "wrong"
    assert judged(DENIED, "refused", by(DENIED)).status == "wrong"


def test_an_allowed_way_needs_its_rule_and_the_clients_own_address() -> None:
    accept = by(ALLOWED, "accept")
    assert judged(ALLOWED, "open", accept, seen=ALLOWED.address).status == "ok"
    assert judged(ALLOWED, "open", seen=ALLOWED.address).status == "wrong"
    assert judged(ALLOWED, "open", accept, seen="172.17.0.1").why == "db saw 172.17.0.1 in the place of 172.17.0.2"
    assert judged(ALLOWED, "refused", accept).status == "wrong"


def test_whoever_stops_an_allowed_way_is_named() -> None:
    stopped = by(ALLOWED, rule="", table="ip filter")
    stopped = replace(stopped, rule="", chain="DOCKER-USER")
    assert judged(ALLOWED, "dropped", by(ALLOWED, "accept"), stopped).why == "stopped by ip filter DOCKER-USER"


def test_the_folder_that_a_file_was_read_from_makes_no_difference() -> None:
    place, _, name = comment_of(DENIED.expected.rule).partition(" ")
    assert judged(DENIED, "dropped", by(DENIED, rule=f"/etc/dockgate/{place} {name}")).status == "ok"
    assert judged(DENIED, "dropped", by(DENIED, rule=f"/etc/dockgate/{place}0 {name}")).status == "wrong"


@pytest.mark.parametrize("job", [JOBS[0], JOBS[-1]])
def test_a_probe_that_failed_or_never_was_is_never_a_pass(job: Job) -> None:
    assert judged(job, "probe failed").status == "probe failed"
    assert judge_one(job, None).status == "probe failed"
