"""The firewall keeps up with a replacement, forth and back."""

from __future__ import annotations

from dataclasses import replace

from tests.golden.test_firewall import example, world

from dockgate.model.plan import Step
from dockgate.model.replacing import CopyContainer, RemoveMember, RenameMember, StartMember, StopMember
from dockgate.model.rules_actions import ApplyRules, KeepRules
from dockgate.plan.replace_rules import with_rules

HOST = "docker2"
STEPS = (
    Step(CopyContainer(HOST, "web1", "web1.next", "web", stand_in=True), "", "web1"),
    Step(StartMember(HOST, "web1.next"), "", "web1"),
    Step(StopMember(HOST, "web1", 10), "", "web1", undo=(StartMember(HOST, "web1"),)),
    Step(RenameMember(HOST, "web1", "web1.before"), "", "web1"),
    Step(StartMember(HOST, "web1"), "", "web1"),
    Step(RemoveMember(HOST, "web1.next"), "", "clean up"),
    Step(RemoveMember(HOST, "web1.before"), "", "clean up"),
)


def kinds() -> list[str]:
    made = with_rules(example(), world(example()), STEPS)
    return [type(step.action).__name__ for step in made]


def test_a_new_container_is_let_in_on_every_host_right_after_it_started_and_that_is_kept() -> None:
    told = kinds()
    first = told.index("StartMember")
    assert told[first + 1 : first + 7] == ["ApplyRules"] * 3 + ["KeepRules"] * 3


def test_on_the_way_back_the_old_one_is_let_in_right_after_it_was_started() -> None:
    made = with_rules(example(), world(example()), STEPS)
    (stop,) = [step for step in made if isinstance(step.action, StopMember)]
    assert [type(action) for action in stop.undo] == [StartMember, *[ApplyRules] * 3, *[KeepRules] * 3]


def test_the_rules_forget_who_is_gone_at_the_end() -> None:
    told = kinds()
    assert told[-7:] == ["RemoveMember", *["ApplyRules"] * 3, *["KeepRules"] * 3]


def test_without_a_firewall_in_the_file_nothing_is_added() -> None:
    assert with_rules(replace(example(), firewall=None), world(example()), STEPS) == STEPS
