"""When a HAProxy may be judged, and which answers prove a VIP."""

from __future__ import annotations

import pytest

from dockgate.controller.prove import _is_settled, _Question
from dockgate.edges.node import Answer, Outcome
from dockgate.model.observed import ServerState
from dockgate.model.proof import ProofRequest


def server(status: str, check: str = "", code: int = 0) -> ServerState:
    return ServerState("pres", "web1", "10.0.1.2", 80, status, 100, check=check, check_code=code)


@pytest.mark.parametrize(
    ("state", "uptime_s", "settled"),
    [
        (server("UP", "L7OK", 200), 2, True),
        (server("DOWN", "L7STS", 404), 2, True),
        (server("DOWN", "L4CON"), 2, True),
        (server("DOWN", "L7TOUT"), 2, True),
        (server("UP", "L4OK"), 2, True),
        (server("no check"), 0, True),
        (server("MAINT"), 0, True),
        (server("MAINT (resolution)"), 3, True),
        # a name may still be found
        (server("MAINT (resolution)"), 2, False),
        # not checked yet
        (server("DOWN"), 9, False),
        (server("UP", "INI"), 9, False),
        # the verdict of the process before the reload: seen on 3.2 with a check that no member passes any more
        (server("UP", "L7OK", 0), 2, False),
        (server("UP", "L4OK"), 1, False),
        # on its way
        (server("UP 1/2", "L7STS", 404), 9, False),
    ],
)
def test_a_server_is_settled_when_this_process_has_an_opinion(state: ServerState, uptime_s: int, settled: bool) -> None:
    assert _is_settled(state, uptime_s) is settled


@pytest.mark.parametrize(
    ("outcome", "status", "served", "counted_on", "passes"),
    [
        ("open", 200, True, True, True),
        ("open", 404, True, True, True),
        ("open", 500, True, True, True),
        ("open", 502, True, True, False),
        ("open", 504, True, False, False),
        ("open", 503, False, False, True),
        ("open", 503, True, False, False),
        ("open", 503, False, True, False),
        ("open", 0, True, True, False),
        ("refused", 0, False, False, False),
        ("dropped", 0, False, False, False),
        ("unreachable", 0, False, False, False),
        ("probe failed", 0, False, False, False),
    ],
)
def test_what_proves_an_http_vip(outcome: Outcome, status: int, served: bool, counted_on: bool, passes: bool) -> None:
    request = ProofRequest("192.168.50.11", 80, "http", "pres")
    assert _Question(request, Answer(outcome, status), served, counted_on).passes is passes


@pytest.mark.parametrize(("outcome", "passes"), [("open", True), ("refused", False), ("probe failed", False)])
def test_what_proves_a_tcp_vip(outcome: Outcome, passes: bool) -> None:
    request = ProofRequest("192.168.50.11", 80, "tcp", "pres")
    assert _Question(request, Answer(outcome), True, True).passes is passes
