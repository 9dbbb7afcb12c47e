"""Ways beside the plain one: Docker's proxy between, the way back, forwarding entries, and echoes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.scenes import container
from tests.worlds_trace import OVERLAY_FILE, PORT, REQUEST, desired, log, overlay, predicted, seen, verdict

from dockgate.model.observed import Observed, ObservedHost, PublishedPort
from dockgate.trace import dry, join, predict
from dockgate.trace.echo import address_of
from dockgate.trace.evidence import Answer, Evidence, Forwarding, Sighting
from dockgate.trace.legs import legs
from dockgate.trace.model import Ends, Prediction, Request
from dockgate.trace.report import as_json, lines
from dockgate.trace.sessions import entry_port
from dockgate.trace.steps import Walk

SIX = "fd00:50::11"


def changed(world: Observed, name: str, **fields: object) -> Observed:
    return Observed(
        tuple((each, replace(host, **fields) if each == name else host) for each, host in world.hosts)  # type: ignore[type-var,arg-type]
    )


def host(world: Observed, name: str) -> ObservedHost:
    found = world.host(name)
    assert isinstance(found, ObservedHost)
    return found


def with_gateway(*more: object) -> Observed:
    """docker1's bridge has an address, and ``more`` containers."""
    world = overlay()
    first = host(world, "docker1")
    networks = tuple(
        replace(net, gateway="172.17.0.1", subnet="172.17.0.0/16") if net.name == "bridge" else net
        for net in first.networks
    )
    return changed(world, "docker1", networks=networks, containers=(*first.containers, *more))


LONER = container("loner", ("bridge", "172.17.0.7", ""), pid=31)


def near() -> Prediction:
    """From a container of the load balancer's own host."""
    request = replace(REQUEST, vantage="docker1", container="loner")
    return predict(desired(OVERLAY_FILE), with_gateway(LONER), request)


def over_six(*, published: bool = True) -> Prediction:
    world = with_gateway()
    first = host(world, "docker1")
    six = (PublishedPort(80, 80, "::"),) if published else ()
    world = changed(
        world,
        "docker1",
        containers=tuple(replace(c, published6=six) if c.name == "lb" else c for c in first.containers),
    )
    request = replace(REQUEST, url=f"http://[{SIX}]/", host=SIX, address=SIX, home="docker1")
    return predict(desired(OVERLAY_FILE), world, request)


# --- Docker's proxy


def test_a_container_of_the_load_balancers_own_host_goes_through_dockers_proxy() -> None:
    walk = dry(near())
    assert [(step.hop.session, step.hop.place.name) for step in walk.steps[:5]] == [
        (1, "loner"), (1, "docker1"), (2, "docker1"), (2, "lb"), (3, "lb"),
    ]  # fmt: skip
    assert str(walk.steps[2].hop.before) == "172.17.0.1:? > 172.17.0.2:80"
    assert (walk.sessions, walk.translations) == (3, 0)
    told = "\n".join(text for _, text in lines(walk))
    assert "session 1: client to Docker's proxy" in told
    assert "session 3: load balancer to server" in told


def test_a_vip_over_ipv6_is_answered_by_dockers_proxy() -> None:
    walk = dry(over_six())
    assert str(walk.steps[0].hop.before) == f"?:? > [{SIX}]:80"
    assert str(walk.steps[3].hop.after) == "172.17.0.1:? > 172.17.0.2:80"


def test_a_port_that_docker_publishes_for_ipv4_only_says_so() -> None:
    stop = over_six(published=False).stop
    assert stop is not None
    assert stop.why == "Docker publishes port 80 of lb for IPv4 only"


def proxied(prediction: Prediction) -> Evidence:
    """With somebody else's session from the same proxy, from port 40002, begun between ours and its own."""
    base = seen(prediction)
    inner = prediction.hops[2]
    ours, theirs = replace(inner.before, sport=47502), replace(inner.before, sport=40002)
    more = (
        Sighting(inner.place.key, "docker0", True, 320, theirs, 8000, 0, 2),
        Sighting(inner.place.key, "docker0", True, 450, ours, 2001, 0, 0x18, token=True),
    )
    answer = replace(base.answer, source="172.17.0.7")
    said = replace(log(), client="172.17.0.1")
    return replace(base, sightings=(*more, *base.sightings), log=said, answer=answer)


def test_the_proxys_session_is_the_one_that_says_what_our_request_says() -> None:
    prediction = near()
    evidence = proxied(prediction)
    assert entry_port(prediction, evidence) == 47502
    walk = join(prediction, evidence)
    assert [step.hop.before.sport for step in walk.steps if step.hop.session == 2] == [47502, 47502]
    assert all(step.seen for step in walk.steps)
    assert (walk.sessions, walk.disagreements, walk.stop) == (3, (), None)


def test_a_proxys_session_that_nobody_saw_has_no_port_and_no_log_line() -> None:
    prediction = near()
    base = seen(prediction, until=2)
    assert entry_port(prediction, base) == 0


# --- the way back


def test_each_hops_answer_is_told_with_its_translation_and_rules() -> None:
    prediction = predicted(nat=True)
    rule = replace(verdict(("docker1", "host"), "DOCKER-FORWARD", handle=7), syn=False)
    walk = join(prediction, replace(seen(prediction), verdicts=(rule,)))
    back = walk.steps[1].back
    assert back is not None
    assert str(back.came) == f"172.17.0.2:80 > 192.168.50.100:{PORT}"
    assert str(back.left) == f"192.168.50.11:80 > 192.168.50.100:{PORT}"
    assert back.verdicts == (rule,)
    assert walk.steps[1].verdicts == ()
    told = [step["back"]["translated_back"] for step in as_json(walk)["steps"]]
    assert told == [False, True, False, False, True, True, False]


def test_an_answer_that_leaves_with_other_ends_than_the_packet_came_with_is_a_disagreement() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    moved = tuple(
        replace(s, ends=replace(s.ends, source="192.168.50.99"))
        if s.syn_ack and s.ends.source == "192.168.50.11"
        else s
        for s in evidence.sightings
    )
    told = join(prediction, replace(evidence, sightings=moved)).disagreements
    assert any("the answer should have left it as 192.168.50.11:80" in text for text in told), told


def test_a_rule_that_dropped_the_answer_is_named_as_one_on_the_way_back() -> None:
    prediction = predicted()
    evidence = seen(prediction, until=3)
    drop = replace(verdict(("docker1", "host"), "DOCKER-USER", word="drop", text="tcp sport 80 drop"), syn=False)
    walk = join(prediction, replace(evidence, answer=Answer("dropped", error="no answer"), log=None, verdicts=(drop,)))
    assert walk.stop is not None
    assert "dropped the answer to it, on its way back" in walk.stop.why


def test_what_drops_our_packet_before_any_interface_sees_it_is_named() -> None:
    prediction = predicted()
    key = prediction.hops[0].place.key
    drop = replace(verdict(key, "OUTPUT", word="drop", text="drop"), own=True)
    walk = join(prediction, Evidence(PORT, Answer("dropped", error="no answer"), verdicts=(drop,)))
    assert walk.stop is not None
    assert walk.stop.where == "client"
    assert "dropped it: ip filter OUTPUT" in walk.stop.why
    others = join(
        prediction, Evidence(PORT, Answer("dropped", error="no answer"), verdicts=(replace(drop, own=False),))
    )
    assert others.stop is not None
    assert "OUTPUT" not in others.stop.why


# --- forwarding


MAC = "02:42:0a:00:01:04"
WAYS = [
    (Forwarding(("", ""), "10.0.1.4"), "it has no neighbour entry for 10.0.1.4 (web1 on docker2)"),
    (
        Forwarding(("", ""), "10.0.1.4", MAC, "192.168.50.13", own=MAC),
        "it sends what is for 10.0.1.4 (web1 on docker2) to 192.168.50.13, and not to 192.168.50.12",
    ),
    (Forwarding(("", ""), "10.0.1.4", MAC, "", own=MAC), "to nobody, and not to 192.168.50.12"),
    (
        Forwarding(("", ""), "10.0.1.4", MAC, "192.168.50.12", own="02:42:0a:00:01:99"),
        f"10.0.1.4 (web1 on docker2) is {MAC} to it, and has 02:42:0a:00:01:99 itself",
    ),
    (
        Forwarding(("", ""), "10.0.1.4", MAC, "192.168.50.12", known_as="02:42:0a:00:01:77", own=MAC),
        "lb takes 02:42:0a:00:01:77 for 10.0.1.4 (web1 on docker2), which has 02:42:0a:00:01:04 itself",
    ),
]


def lost(prediction: Prediction, entry: Forwarding) -> Walk:
    """The request came as far as the overlay network on the load balancer's host."""
    server = prediction.server("web1")
    assert server is not None
    (there, _) = legs(server.hops)
    evidence = seen(prediction, until=5)
    entry = replace(entry, place=there.begin.place.key)
    forth = tuple(s for s in evidence.sightings if s.syn or s.ends.dport == PORT)
    said = replace(log(status=503, ending="sC--"), retries=3)
    return join(prediction, replace(evidence, sightings=forth, log=said, forwarding=(entry,)))


@pytest.mark.parametrize(("entry", "why"), WAYS, ids=[why[:40] for _, why in WAYS])
def test_an_entry_of_the_overlay_that_is_missing_or_stale_is_the_cause(entry: Forwarding, why: str) -> None:
    stop = lost(predicted(), entry).stop
    assert stop is not None
    assert stop.where == "overlay back on docker1"
    assert why in stop.why


def test_an_entry_that_is_right_is_told_and_is_no_cause() -> None:
    good = Forwarding(("", ""), "10.0.1.4", MAC, "192.168.50.12", MAC, MAC)
    walk = lost(predicted(), good)
    assert walk.stop is not None
    assert "it never came to docker1" in walk.stop.why
    assert f"      10.0.1.4 is {MAC} here, at host 192.168.50.12" in [text for _, text in lines(walk)]


# --- echoes


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
    assert silent.stop.why == "it arrived there, and nothing came back"


def test_a_container_is_found_by_name_where_the_asker_reaches_it_best() -> None:
    world = with_gateway(LONER)
    ask = Request("icmp://lb", "lb", "", 0, mode="echo")
    assert address_of(world, replace(ask, vantage="docker1"), "lb") == "172.17.0.2"
    assert address_of(world, replace(ask, vantage="docker2", container="web1"), "lb") == "10.0.1.2"
    assert address_of(world, ask, "nobody") == ""
