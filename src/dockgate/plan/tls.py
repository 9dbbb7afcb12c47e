"""TLS files of a load balancer: what must be put into its volume, what of it live, and what nobody needs any more.

A renewed certificate keeps its name, so that the configuration stays as it is and the running process takes it over its
runtime socket. A file with a new name is loaded by the start or the reload that its configuration needs anyway. What is
not needed any more goes after the proof: until then the previous configuration may come back.
"""

from __future__ import annotations

from dockgate.model.plan import Step
from dockgate.model.tls_actions import PutTlsFiles, RemoveTlsFiles
from dockgate.plan.parties import is_up
from dockgate.plan.seats import Seat


def put_tls_files(seat: Seat, group: str) -> list[Step]:
    """Before the configuration that names them is judged."""
    there = dict(seat.balancer.tls_files) if seat.balancer else {}
    files = tuple(file for file in seat.target.tls_files if not file.is_among(there.items()))
    if not files:
        return []
    live = tuple(file for file in files if file.name in there and file.kind == "certificate") if is_up(seat) else ()
    cause = "it was replaced" if len(live) == len(files) else "its configuration needs them"
    return [Step(PutTlsFiles(seat.host.name, seat.target.spec.name, files, live), cause, group)]


def remove_tls_files(seat: Seat, group: str) -> list[Step]:
    wanted = {file.name for file in seat.target.tls_files}
    gone = tuple(name for name, _ in (seat.balancer.tls_files if seat.balancer else ()) if name not in wanted)
    if not gone:
        return []
    action = RemoveTlsFiles(seat.host.name, seat.target.spec.name, gone)
    return [Step(action, "no port uses them any more", group)]
