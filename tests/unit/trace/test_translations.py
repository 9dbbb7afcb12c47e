"""Which rules are told as translations: Docker's by where they stand, ours by what they say."""

from __future__ import annotations

import pytest

from dockgate.trace.evidence import Verdict


def rule(table: str, chain: str, text: str) -> Verdict:
    return Verdict(
        ("docker1", "host"), "inet" if table == "dockgate" else "ip", table, chain, 7, "accept", 1, True, text
    )


@pytest.mark.parametrize(
    ("table", "chain", "text"),
    [
        ("nat", "DOCKER", "tcp dport 80"),
        ("dockgate", "n_publish", 'dnat ip to meta l4proto . th dport map @n_any4 comment "f:9 published ports"'),
        ("dockgate", "n_leave0", 'oifname != "docker0" masquerade comment "f:9 masquerading of bridge"'),
    ],
)
def test_a_rule_that_translates_is_told_so(table: str, chain: str, text: str) -> None:
    assert rule(table, chain, text).translates


def test_a_rule_that_only_has_the_word_in_its_name_is_not() -> None:
    assert not rule("dockgate", "r_9", 'counter accept comment "f:9 let masquerade out"').translates
