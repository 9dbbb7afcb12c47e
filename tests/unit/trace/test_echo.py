"""The way of an echo, the policy's decision about it, and whether it came back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.worlds_trace import LONER, OVERLAY_FILE, PORT, desired, with_gateway

from dockgate.trace import dry, join, predict
from dockgate.trace.echo import address_of
from dockgate.trace.evidence import Answer, Evidence, Sighting
from dockgate.trace.model import Ends, Prediction, Request
from dockgate.trace.report import lines


def ping(address: str, *, text: str = OVERLAY_FILE, **more: object) -> Prediction:
    request = replace(Request(f"icmp://{address}", address, address, 0, mode="echo"), **more)  # type: ignore[arg-type]
    return predict(desired(text), with_gateway(LONER), request)


@pytest.mark.parametrize(
    ("prediction", "way"),
    [
        (ping("192.168.50.11"), ["client", "docker1"]),
        (ping("192.168.50.11", vantage="docker1"), ["docker1"]),
        (ping("192.168.50.11", vantage="docker2"), ["docker2", "docker1"]),
        (ping("172.17.0.7", vantage="docker1"), ["docker1", "loner"]),
        (ping("172.17.0.1", vantage="docker1", container="loner"), ["loner", "docker1"]),
        (ping("192.168.50.12", vantage="docker1", container="loner"), ["loner", "docker1", "docker2"]),
        (ping("172.17.0.2", vantage="docker1", container="loner"), ["loner", "docker1", "lb"]),
        (
            ping("10.0.1.6", vantage="docker2", container="web1"),
            ["web1", "overlay back", "docker2", "docker3", "overlay back", "web2"],
        ),
    ],
)
def test_the_way_of_an_echo(prediction: Prediction, way: list[str]) -> None:
    assert prediction.stop is None
    assert [hop.place.name for hop in prediction.hops] == way


def test_an_echo_out_of_a_container_is_masqueraded_and_has_no_ports() -> None:
    walk = dry(ping("192.168.50.12", vantage="docker1", container="loner"))
    assert [step.translation for step in walk.steps] == ["", "MASQUERADE", ""]
    assert str(walk.steps[1].hop.after) == "192.168.50.11 > 192.168.50.12"
    assert walk.client_seen == "192.168.50.11"
    told = [text for _, text in lines(walk)]
    assert "echo: loner to 192.168.50.12" in told
    assert not any("HAProxy" in text for text in told)


@pytest.mark.parametrize(
    ("prediction", "why"),
    [
        (ping("10.0.1.4", vantage="docker2"), "which a host is no part of"),
        (ping("172.17.0.7"), "no way leads there from outside"),
        (ping("10.0.1.4", vantage="docker1", container="loner"), "no way leads there from outside"),
        (ping("192.168.50.12", vantage="docker2", container="web1"), "on internal networks only"),
    ],
)
def test_where_no_way_leads_that_is_foretold(prediction: Prediction, why: str) -> None:
    assert prediction.stop is not None
    assert why in prediction.stop.why
    assert prediction.stop.hint


WALLED = f"""{OVERLAY_FILE}\
firewall:
  default: deny
  allow:
    - {{name: host pings, from: host, to: bridge, protocol: icmp}}
"""


def test_the_policys_decision_is_told_with_the_line_of_the_file() -> None:
    may = ping("172.17.0.7", text=WALLED, vantage="docker1")
    line = 1 + WALLED.splitlines().index("    - {name: host pings, from: host, to: bridge, protocol: icmp}")
    assert may.stop is None
    assert len(may.policy) == 1
    assert may.policy[0].startswith("host docker1: lets it through by ")
    assert may.policy[0].endswith(f":{line} host pings")
    may_not = ping("172.17.0.1", text=WALLED, vantage="docker1", container="loner")
    assert may_not.stop is not None
    assert may_not.stop.where == "host docker1"
    assert "the policy drops it by " in may_not.stop.why
    assert may_not.stop.why.endswith(" default deny")


def test_an_echo_that_came_back_has_arrived_and_one_that_did_not_has_not() -> None:
    prediction = ping("192.168.50.11")
    ends = Ends("192.168.50.100", 0, "192.168.50.11", 0)
    packets = tuple(
        Sighting(hop.place.key, "eth0", False, 100 + at, way, PORT, ack, flags)
        for at, hop in enumerate(prediction.hops)
        for way, ack, flags in ((ends, 0, 2), (ends.turned, PORT + 1, 0x12))
    )
    answer = Answer("answered", source="192.168.50.100", connect_us=300)
    walk = join(prediction, Evidence(PORT, answer, packets))
    assert (walk.stop, walk.disagreements, walk.notes) == (None, (), ())
    assert all(step.seen and step.back for step in walk.steps)
    silent = join(prediction, Evidence(PORT, Answer("dropped", source="192.168.50.100"), packets[::2]))
    assert silent.stop is not None
    assert silent.client_seen == ""
    assert silent.stop.why == "it arrived there, and nothing came back"


def test_a_container_is_found_by_name_where_the_asker_reaches_it_best() -> None:
    world = with_gateway(LONER)
    ask = Request("icmp://lb", "lb", "", 0, mode="echo")
    assert address_of(world, replace(ask, vantage="docker1"), "lb") == "172.17.0.2"
    assert address_of(world, replace(ask, vantage="docker2", container="web1"), "lb") == "10.0.1.2"
    assert address_of(world, ask, "nobody") == ""
