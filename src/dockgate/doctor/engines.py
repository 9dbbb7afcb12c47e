"""Each engine against the file: do both say the same about who writes forwarding and published ports there?"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.doctor.case import Case, Trouble, host_root
from dockgate.doctor.model import Finding, Severity
from dockgate.firewall.engine import mismatch


def check_engines(case: Case) -> Iterator[Trouble]:
    for host in case.observed.known():
        wrong = mismatch(case.desired, host)
        if wrong is not None:
            severity: Severity = "error" if wrong.stops else "warning"
            where, what = host.name, "its engine and the file do not agree about Docker's rules"
            said = wrong.what.removeprefix(f"{host.name}: ")
            yield Trouble(
                Finding(severity, "docker-rules", where, what, said, wrong.hint), because=(host_root(host.name),)
            )
