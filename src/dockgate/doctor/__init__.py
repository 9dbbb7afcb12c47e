"""What is broken and why: Docker's, DNS's and HAProxy's views held against each other. Pure.

``diagnose`` is the way in. Invariants: what could not be looked at is a finding of its own; what a finding explains is
told with it and not beside it; the same facts give the same findings in the same order.
"""

from __future__ import annotations

from dockgate.doctor.balancers import check_balancers
from dockgate.doctor.case import Case, fold
from dockgate.doctor.certificates import check_certificates
from dockgate.doctor.engines import check_engines
from dockgate.doctor.hosts import check_addresses, check_hosts
from dockgate.doctor.members import check_members
from dockgate.doctor.model import Facts, Finding
from dockgate.doctor.pairs import check_neighbours, check_pairs
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed

CHECKS = (
    check_hosts,
    check_engines,
    check_addresses,
    check_pairs,
    check_neighbours,
    check_balancers,
    check_certificates,
    check_members,
)
"""Causes before what they cause."""


def diagnose(desired: Desired, observed: Observed, facts: Facts) -> tuple[Finding, ...]:
    case = Case(desired, observed, facts)
    return fold(trouble for check in CHECKS for trouble in check(case))


__all__ = ["CHECKS", "Facts", "Finding", "diagnose"]
