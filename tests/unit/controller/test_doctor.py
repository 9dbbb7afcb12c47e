"""The doctor's two rounds: what arrived once is not lost, and what was not asked stays unknown."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.doctor.scenes import DESIRED, OBSERVED, host, with_host

from dockgate.controller.doctor import _both, _size
from dockgate.doctor.model import Meeting
from dockgate.model.observed import Unknown

FIRST = Meeting(frozenset({("docker2", "vxlan")}), gossip={"docker2": "open", "docker3": "no answer"})
SECOND = Meeting(frozenset({("docker3", "full")}), gossip={"docker2": "no answer", "docker3": "refused"})


def test_what_arrived_in_either_round_arrives() -> None:
    (joined,) = _both({"docker1": FIRST}, {"docker1": SECOND}).values()
    assert isinstance(joined, Meeting)
    assert joined.heard == {("docker2", "vxlan"), ("docker3", "full")}
    assert joined.gossip == {"docker2": "open", "docker3": "refused"}


def test_a_host_that_took_no_part_in_the_second_round_is_unknown() -> None:
    assert _both({"docker1": FIRST}, {"docker1": Unknown("gone")}) == {"docker1": Unknown("gone")}


def test_a_full_packet_is_as_long_as_the_largest_overlay_in_use_makes_it() -> None:
    assert _size(DESIRED, OBSERVED) == 1500
    large = replace(host("docker2").networks[0], mtu=8950)
    other = replace(large, name="not-in-the-file", mtu=9000)
    assert _size(DESIRED, with_host(replace(host("docker2"), networks=(large, other)), "docker2")) == 9000
