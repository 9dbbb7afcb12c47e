"""What is handed on from a process to the one after a reload."""

from __future__ import annotations

import pytest
from tests.golden.haproxy.cases import CASES

from dockgate.haproxy.render import render
from dockgate.haproxy.state import carry_over

COLUMNS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)
PUBLISHED = render(CASES["published"].tree("3.2")).text
NAMED = render(CASES["running-example"].tree("3.2")).text


def dump(*servers: str) -> str:
    return "\n".join(["1", f"# {COLUMNS}", *servers]) + "\n"


def server(name: str, **fields: object) -> str:
    """A server that is up."""
    row = dict.fromkeys(COLUMNS.split(), "0") | {"be_id": "3", "be_name": "pres_containers", "srv_name": name}
    row |= {"srv_addr": "192.168.50.12", "srv_port": "23770", "srv_op_state": "2", "srv_check_health": "3"}
    row |= {"srv_uweight": "100", "srv_iweight": "100", "srv_check_state": "6"}
    return " ".join((row | {key: str(value) for key, value in fields.items()}).values())


def carried(text: str, *servers: str) -> dict[str, dict[str, str]]:
    lines = carry_over(dump(*servers), text).splitlines()[2:]
    rows = (dict(zip(COLUMNS.split(), line.split(" "), strict=True)) for line in lines)
    return {row["srv_name"]: row for row in rows}


def test_a_server_that_stays_where_it_is_keeps_its_health_and_what_a_person_did() -> None:
    row = carried(PUBLISHED, server("web1", srv_admin_state=8))["web1"]
    assert (row["srv_op_state"], row["srv_check_health"], row["srv_admin_state"]) == ("2", "3", "8")


def test_a_server_with_another_port_starts_as_down_at_the_new_one() -> None:
    row = carried(PUBLISHED, server("web1", srv_port=1))["web1"]
    assert (row["srv_port"], row["srv_op_state"], row["srv_check_health"]) == ("23770", "0", "0")


def test_a_slot_that_was_empty_is_no_longer_in_maintenance() -> None:
    row = carried(PUBLISHED, server("web1", srv_addr="0.0.0.0", srv_admin_state=1))["web1"]
    assert (row["srv_addr"], row["srv_admin_state"], row["srv_op_state"]) == ("192.168.50.12", "0", "0")


def test_a_slot_that_is_empty_now_is_left_to_the_configuration() -> None:
    assert "web2" not in carried(PUBLISHED, server("web2"))


def test_weights_are_the_configurations() -> None:
    row = carried(PUBLISHED, server("web1", srv_uweight=3, srv_iweight=5))["web1"]
    assert (row["srv_uweight"], row["srv_iweight"]) == ("100", "100")


def test_a_new_checked_server_starts_as_down() -> None:
    row = carried(NAMED, server("web1", srv_addr="10.0.0.1", srv_port=80))["web2"]
    assert (row["srv_op_state"], row["srv_fqdn"], row["srv_addr"], row["srv_port"]) == ("0", "web2", "-", "80")


def test_a_server_that_the_configuration_does_not_have_is_forgotten() -> None:
    assert set(carried(NAMED, server("web9"))) == {"web1", "web2"}


def test_what_is_not_a_state_is_refused() -> None:
    with pytest.raises(ValueError, match="not HAProxy's server state"):
        carry_over("Permission denied\n", NAMED)
