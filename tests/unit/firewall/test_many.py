"""Many exposed services: the rule set grows by chains, lines and elements, never by sets or by lines in one's way."""

from __future__ import annotations

from bench.firewall_world import balanced, desired, facts

from dockgate.firewall import HostFacts, compile_ruleset, complete
from dockgate.firewall.ruleset import Ruleset, Vmap
from dockgate.firewall.tables import FEW
from dockgate.model.desired import Desired

FIXED = 60
"""Lines of the longest chain, whatever the file holds."""


def rules_of(made: tuple[Desired, HostFacts]) -> Ruleset:
    return compile_ruleset(complete(made[0]), made[1])


def sets_in(ruleset: Ruleset) -> int:
    """All that the kernel holds as a set, those without a name too."""
    unnamed = [
        line
        for chain in ruleset.chains
        for line in chain.lines
        if isinstance(line.action, Vmap) and not line.action.name
    ]
    return len(ruleset.sets) + len(ruleset.maps) + len(unnamed)


def test_a_set_for_each_of_many_services_would_make_loading_take_half_a_minute() -> None:
    """10,000 of them took 32 to 45 s: the kernel looks at every set of the table for each new one."""
    few, many = rules_of((desired(30), facts(30))), rules_of((desired(300), facts(300)))
    assert sets_in(many) == sets_in(few)
    assert len(many.chains) - len(few.chains) == 2 * 270


def test_a_set_for_each_of_many_load_balancers_is_not_made_either() -> None:
    few, many = rules_of(balanced(20)), rules_of(balanced(200))
    assert sets_in(many) == sets_in(few)


def test_a_packet_meets_no_more_lines_where_there_are_more_services() -> None:
    for few, many in ((desired(30), facts(30)), (desired(300), facts(300))), (balanced(20), balanced(200)):
        longest = [max(len(chain.lines) for chain in rules_of(made).chains) for made in (few, many)]
        assert longest[0] == longest[1]
        assert longest[1] <= FIXED + 4 * FEW
