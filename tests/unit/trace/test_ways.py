"""Ways beside the plain one: Docker's proxy between, the way back, forwarding entries."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.worlds_trace import (
    LONER,
    OVERLAY_FILE,
    PORT,
    REQUEST,
    changed,
    desired,
    host_of,
    log,
    predicted,
    seen,
    verdict,
    with_gateway,
)

from dockgate.model.observed import PublishedPort
from dockgate.trace import dry, join, predict
from dockgate.trace.evidence import Answer, Evidence, Forwarding, LogLine, Sighting
from dockgate.trace.legs import legs
from dockgate.trace.model import Prediction
from dockgate.trace.report import as_json, lines
from dockgate.trace.sessions import entry_port
from dockgate.trace.steps import Walk

SIX = "fd00:50::11"


def near() -> Prediction:
    """From a container of the load balancer's own host."""
    request = replace(REQUEST, vantage="docker1", container="loner")
    return predict(desired(OVERLAY_FILE), with_gateway(LONER), request)


def over_six(*, published: bool = True) -> Prediction:
    world = with_gateway()
    first = host_of(world, "docker1")
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


FOR_WEB1 = replace(log(status=503, ending="sC--"), retries=3)
FOR_NOBODY = replace(log("<NOSRV>", status=503, ending="sC--"), retries=6)


def lost(prediction: Prediction, entry: Forwarding, said: LogLine = FOR_WEB1) -> Walk:
    """The request came as far as the overlay network on the load balancer's host."""
    server = prediction.server("web1")
    assert server is not None
    (there, _) = legs(server.hops)
    evidence = seen(prediction, until=5)
    entry = replace(entry, place=there.begin.place.key)
    forth = tuple(s for s in evidence.sightings if s.syn or s.ends.dport == PORT)
    return join(prediction, replace(evidence, sightings=forth, log=said, forwarding=(entry,)))


@pytest.mark.parametrize(("entry", "why"), WAYS, ids=[why[:40] for _, why in WAYS])
def test_an_entry_of_the_overlay_that_is_missing_or_stale_is_the_cause(entry: Forwarding, why: str) -> None:
    stop = lost(predicted(), entry).stop
    assert stop is not None
    assert stop.where == "overlay back on docker1"
    assert why in stop.why


def test_a_request_whose_tries_had_every_member_marked_down_still_tells_how_far_a_try_came() -> None:
    """Seven tries, and three errors take a member out: in the end HAProxy's line names no server."""
    walk = lost(predicted(), WAYS[1][0], FOR_NOBODY)
    assert walk.stop is not None
    assert walk.stop.where == "overlay back on docker1"
    assert "HAProxy answered 503 when 6 retries had every member marked down: " in walk.stop.why
    told = [text for _, text in lines(walk)]
    assert any("server web1, and in the end none was left" in text for text in told), told


def test_a_check_that_nobody_answers_is_not_taken_for_a_try_of_a_request_that_had_none() -> None:
    walk = lost(predicted(), WAYS[1][0], replace(FOR_NOBODY, retries=0))
    assert walk.chosen is None
    assert all(step.hop.session == 1 for step in walk.steps)


def test_an_entry_is_the_cause_also_while_haproxy_still_tries() -> None:
    walk = lost(predicted(), WAYS[1][0])
    assert walk.evidence is not None
    trying = replace(walk.evidence, log=None, answer=Answer("silent", error="no answer within 4 s", connect_us=90))
    stop = join(walk.prediction, trying).stop
    assert stop is not None
    assert (stop.where, WAYS[1][1] in stop.why) == ("overlay back on docker1", True)


def test_a_member_that_takes_the_connection_and_says_nothing_is_where_it_ends() -> None:
    prediction = predicted()
    answer = Answer("silent", error="no answer within 4 s", source="192.168.50.100", connect_us=90)
    stop = join(prediction, replace(seen(prediction), answer=answer, log=None)).stop
    assert stop is not None
    assert (stop.where, stop.why) == ("web1 on docker2", "the connection opened, but no answer came")


def test_a_check_of_haproxys_is_not_taken_for_our_request_before_our_own_connection_stood() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    checks = tuple(s for s in evidence.sightings if s.syn)
    walk = join(prediction, Evidence(PORT, Answer("dropped", error="no answer"), checks))
    assert [step.hop.session for step in walk.steps if step.seen] == [1, 1, 1]


def test_an_entry_that_is_right_is_told_and_is_no_cause() -> None:
    good = Forwarding(("", ""), "10.0.1.4", MAC, "192.168.50.12", MAC, MAC)
    walk = lost(predicted(), good)
    assert walk.stop is not None
    assert "it never came to docker1" in walk.stop.why
    assert f"      10.0.1.4 is {MAC} here, at host 192.168.50.12" in [text for _, text in lines(walk)]


# --- a container that is no load balancer


def beside(address: str, **published: tuple[PublishedPort, ...]) -> Prediction:
    other = replace(LONER, **published)  # type: ignore[arg-type]
    request = replace(REQUEST, address=address, port=8000, home="docker1" if ":" in address else "")
    return predict(desired(OVERLAY_FILE), with_gateway(other), request)


def test_another_containers_published_port_is_a_walk_that_ends_in_it() -> None:
    prediction = beside("192.168.50.11", published=(PublishedPort(80, 8000),))
    assert (prediction.stop, prediction.target, prediction.balancer) == (None, "loner", None)
    walk = dry(prediction)
    assert [step.translation for step in walk.steps] == ["", "DNAT", ""]
    assert str(walk.steps[2].hop.after) == "?:? > 172.17.0.7:80"
    assert "session 1: client to loner" in [text for _, text in lines(walk)]


def test_over_ipv6_dockers_proxy_stands_before_it() -> None:
    prediction = beside(SIX, published6=(PublishedPort(80, 8000, "::"),))
    assert [(hop.session, hop.place.name) for hop in prediction.hops] == [
        (1, "client"), (1, "docker1"), (2, "docker1"), (2, "loner"),
    ]  # fmt: skip
    assert "session 2: Docker's proxy to loner" in [text for _, text in lines(dry(prediction))]


def test_an_answer_of_it_is_an_arrival_and_a_proxys_open_door_alone_is_none() -> None:
    prediction = beside("192.168.50.11", published=(PublishedPort(80, 8000),))
    evidence = replace(seen(prediction), log=None)
    assert join(prediction, evidence).arrived
    through = beside(SIX, published6=(PublishedPort(80, 8000, "::"),))
    opened = replace(seen(through, until=2), log=None)
    opened = replace(opened, answer=replace(opened.answer, outcome="open", status=0))
    assert not join(through, opened).arrived
