"""Predicting a walk, holding the evidence against it, and naming what stopped a request."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.worlds_trace import (
    CLIENT,
    OVERLAY_FILE,
    PORT,
    REQUEST,
    ROUTES_FILE,
    desired,
    log,
    overlay,
    predicted,
    seen,
    server,
    verdict,
)

from dockgate.haproxy.sessions import OpenSession
from dockgate.model.desired import Desired, Listen, SniRoute
from dockgate.model.http import Maintenance
from dockgate.model.observed import Labels, Observed, ObservedHost, Unknown
from dockgate.model.tls import Tls, TlsFile
from dockgate.trace import dry, join, predict
from dockgate.trace.evidence import Answer, Evidence, LogLine
from dockgate.trace.logline import find
from dockgate.trace.model import Ends, Prediction, Request, Stop
from dockgate.trace.report import as_json, count, lines
from dockgate.trace.steps import Walk

LINE = (
    '192.168.50.100:28305 [24/Nov/2026:22:59:56.992] web-80 site/web1 0/1/2/3/6 200 133 - - ---- 1/1/0/0/2 0/0 "GET / '
    'HTTP/1.1"'
)


def stopped(walk: Walk) -> Stop:
    assert walk.stop is not None
    return walk.stop


# --- prediction


def test_the_way_over_an_overlay_has_one_translation_and_a_vxlan_leg() -> None:
    walk = dry(predicted())
    assert [step.translation for step in walk.steps] == ["", "DNAT", *[""] * 7]
    assert [step.hop.outer for step in walk.steps[5:7]] == [("192.168.50.11", "192.168.50.12")] * 2
    assert count(walk) == "9 hops, 1 translation, 2 sessions, the server sees 10.0.1.2 as its client"


def test_the_way_over_published_ports_has_nat_on_both_hosts() -> None:
    walk = dry(predicted(nat=True))
    assert [step.translation for step in walk.steps] == ["", "DNAT", "", "", "MASQUERADE", "DNAT", ""]
    assert str(walk.steps[5].hop.before) == "192.168.50.11:? > 192.168.50.12:23770"
    assert str(walk.steps[5].hop.after) == "192.168.50.11:? > 172.17.0.5:80"


def test_a_member_on_the_load_balancers_own_host_is_reached_without_vxlan() -> None:
    world = overlay()
    (name, first), second, third = world.hosts
    moved = replace(first, containers=(*first.containers, *second[1].containers))  # type: ignore[union-attr]
    world = Observed(((name, moved), (second[0], replace(second[1], containers=())), third))  # type: ignore[type-var]
    found = predict(desired(OVERLAY_FILE), world, REQUEST).server("web1")
    assert found is not None
    assert [hop.place.kind for hop in found.hops] == ["container", "overlay", "container"]


@pytest.mark.parametrize(
    ("host", "path", "pool"),
    [
        ("docker1.lab.lab", "/", "site"),
        ("docker1.lab.lab", "/apix", "site"),
        ("x.lab.lab", "/api/v1?q=1", "api"),
        ("else.where", "/", ""),
    ],
)
def test_routes_choose_the_pool_by_host_and_whole_segments(host: str, path: str, pool: str) -> None:
    request = replace(REQUEST, host=host, path=path)
    assert predict(desired(ROUTES_FILE), overlay(), request).pool == pool


def test_a_pool_that_chance_may_choose_is_foretold_as_possible_and_is_no_disagreement() -> None:
    text = OVERLAY_FILE.replace("pool: site}", "pool: site, routes: [{percent: 10, pool: next}]}")
    text = text.replace("pools: {", "pools: {next: {network: back, port: 80, members: [web2]}, ")
    states = (server("web1", "10.0.1.4"), server("web2", "10.0.1.6", pool="next"))
    prediction = predict(desired(text), overlay(states=states), REQUEST)
    assert (prediction.pool, prediction.chances) == ("site", ("next",))
    for name, pool in (("web1", "site"), ("web2", "next")):
        walk = join(prediction, replace(seen(prediction, name), log=log(name, pool=pool)))
        assert walk.chosen is not None
        assert (walk.chosen.name, walk.disagreements, walk.stop) == (name, (), None)
    other = join(prediction, replace(seen(prediction), log=log("web1", pool="elsewhere")))
    assert "predicted pool site, HAProxy used elsewhere" in other.disagreements


TLS = Tls((TlsFile("certificate-a.pem", "d", ("keys/a.crt", "keys/a.key"), fingerprint="ab" * 32),))


def secure(*, redirect: int | None = None) -> Desired:
    wanted = desired(OVERLAY_FILE)
    listens = (Listen(80, pool="site", tls=None if redirect else TLS, redirect=redirect),)
    return replace(wanted, vips=tuple(replace(vip, listens=listens) for vip in wanted.vips))


@pytest.mark.parametrize(
    ("wanted", "tls", "why", "hint"),
    [
        (secure(), False, "port 80 of the VIP speaks TLS", "dockgate trace https://docker1.lab.lab:80/"),
        (desired(OVERLAY_FILE), True, "port 80 of the VIP speaks no TLS", "trace http://docker1.lab.lab:80/"),
        (secure(redirect=443), False, "sends every request on to port 443", "trace https://docker1.lab.lab:443/"),
    ],
)
def test_a_port_that_is_asked_in_the_wrong_way_is_named_with_the_right_one(
    wanted: Desired, tls: bool, why: str, hint: str
) -> None:
    stop = predict(wanted, overlay(), replace(REQUEST, tls=tls)).stop
    assert stop is not None
    assert why in stop.why
    assert hint in stop.hint


def test_the_certificate_that_came_is_told_and_one_that_is_not_the_files_is_a_disagreement() -> None:
    prediction = predict(secure(), overlay(), replace(REQUEST, url="https://docker1.lab.lab:80/", tls=True))
    good = seen(prediction)
    good = replace(good, answer=replace(good.answer, tls="TLSv1.3", shown="ab" * 32))
    walk = join(prediction, good)
    assert (walk.disagreements, walk.stop) == ((), None)
    assert "    opens TLSv1.3; certificate: keys/a.crt" in [text for _, text in lines(walk)]
    other = join(prediction, replace(good, answer=replace(good.answer, shown="cd" * 32)))
    assert other.disagreements == ("the certificate shown (cdcdcdcdcdcdcdcd…) is none that the file has for this port",)


def test_a_handshake_that_fails_stops_at_the_load_balancer_with_what_tls_said() -> None:
    prediction = predict(secure(), overlay(), replace(REQUEST, tls=True))
    answer = Answer("closed", 0, "TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED", CLIENT, 100, 800, 2180, tls="TLSv1.3")
    stop = stopped(join(prediction, replace(seen(prediction, until=len(prediction.hops)), answer=answer, log=None)))
    assert stop.where == "HAProxy, frontend web-80"
    assert "CERTIFICATE_REQUIRED" in stop.why
    assert "a client's certificate" in stop.hint


def test_plain_words_to_a_port_that_speaks_tls_are_named_with_what_to_ask() -> None:
    prediction = predict(secure(), overlay(), REQUEST)
    evidence = seen(prediction, until=len(prediction.hops))
    stop = stopped(join(prediction, replace(evidence, answer=replace(evidence.answer, outcome="closed"), log=None)))
    assert stop.why == "port 80 of the VIP speaks TLS: closed"
    assert "https://" in stop.hint


def test_a_vip_in_maintenance_says_so() -> None:
    wanted = desired(OVERLAY_FILE)
    closed = replace(wanted, vips=tuple(replace(vip, maintenance=Maintenance()) for vip in wanted.vips))
    prediction = predict(closed, overlay(), REQUEST)
    evidence = seen(prediction, until=len(prediction.hops))
    log_ = LogLine(CLIENT, "web-80", "web-80", "<NOSRV>", 0, -1, -1, -1, 0, 503, "LR--", 0)
    walk = join(prediction, replace(evidence, answer=replace(evidence.answer, status=503), log=log_))
    assert stopped(walk).why == "HAProxy answered 503 itself: the VIP is in maintenance"
    some = replace(
        wanted, vips=tuple(replace(vip, maintenance=Maintenance(allow=("10.0.0.0/8",))) for vip in wanted.vips)
    )
    assert predict(some, overlay(), REQUEST).stop is None


def test_a_redirect_is_told_as_that_and_where_to_ask() -> None:
    prediction = predict(secure(redirect=443), overlay(), REQUEST)
    evidence = seen(prediction, until=len(prediction.hops))
    answer = replace(evidence.answer, status=308)
    log_ = LogLine(CLIENT, "web-80", "web-80", "<NOSRV>", 0, -1, -1, -1, 0, 308, "LR--", 0)
    stop = stopped(join(prediction, replace(evidence, answer=answer, log=log_)))
    assert stop.why == "HAProxy answered 308 itself: port 80 of the VIP sends every request on to port 443 by HTTPS"
    assert stop.hint == "dockgate trace https://docker1.lab.lab:443/"


TCP = replace(REQUEST, url="tcp://docker1.lab.lab:80", mode="tcp")


def raw(*more: Listen) -> Desired:
    wanted = desired(OVERLAY_FILE)
    listens = (Listen(80, "tcp", "site"), *more)
    return replace(wanted, vips=tuple(replace(vip, listens=listens) for vip in wanted.vips))


def opened(prediction: Prediction, name: str = "web1", *, established: bool = True) -> Evidence:
    """As ``seen``, but that nothing was said on the connection: HAProxy tells which of its own carries it."""
    found = seen(prediction, name)
    held = OpenSession("site", name, "10.0.1.2", 47502, "10.0.1.4", 80, established)
    quiet = tuple(replace(each, token=False) for each in found.sightings)
    log_ = LogLine(CLIENT, "web-80", "site", name, -1, 0, 1, -1, 300, 0, "--", 0)
    answer = replace(found.answer, outcome="open", status=0)
    return replace(found, answer=answer, sightings=quiet, held=held, log=log_)


def test_a_bare_connection_is_followed_by_haproxys_own_word_on_it() -> None:
    prediction = predict(raw(), overlay(), TCP)
    assert (prediction.stop, prediction.pool) == (None, "site")
    walk = join(prediction, opened(prediction))
    assert (walk.stop, walk.disagreements, walk.notes) == (None, (), ())
    assert all(step.seen and step.back for step in walk.steps)
    assert walk.sessions == 2
    text = "\n".join(line for _, line in lines(walk))
    assert text.startswith("connection to tcp://docker1.lab.lab:80 from client: open in ")
    assert "status" not in text


def test_a_connection_whose_server_did_not_take_it_has_not_arrived() -> None:
    prediction = predict(raw(), overlay(), TCP)
    evidence = replace(opened(prediction, established=False), log=None)
    assert not join(prediction, evidence).arrived


def test_a_connection_that_haproxy_closes_names_the_members_that_are_down() -> None:
    down = (server("web1", "10.0.1.4", status="DOWN"),)
    prediction = predict(raw(), overlay(states=down), TCP)
    assert prediction.stop is not None
    evidence = seen(prediction, until=len(prediction.hops))
    log_ = LogLine(CLIENT, "web-80", "site", "<NOSRV>", -1, -1, -1, -1, 0, 0, "SC", 0)
    stop = stopped(join(prediction, replace(evidence, answer=replace(evidence.answer, outcome="closed"), log=log_)))
    assert stop.why == "no member of pool site is up, so HAProxy closes the connection: web1 DOWN L7OK"


@pytest.mark.parametrize(
    ("wanted", "request_", "why", "hint"),
    [
        (desired(OVERLAY_FILE), TCP, "waits for a request", "dockgate trace http://docker1.lab.lab:80/"),
        (secure(), TCP, "waits for a request", "dockgate trace https://docker1.lab.lab:80/"),
    ],
)
def test_a_scheme_that_is_not_the_ports_is_named_with_the_ports(
    wanted: Desired, request_: Request, why: str, hint: str
) -> None:
    stop = predict(wanted, overlay(), request_).stop
    assert stop is not None
    assert why in stop.why
    assert stop.hint == hint


def test_a_vip_of_another_project_with_the_same_name_is_not_taken_for_ours() -> None:
    world = overlay()
    (name, first), *others = world.hosts
    assert isinstance(first, ObservedHost)
    ours = next(each for each in first.containers if each.name == "lb")
    labels = Labels.of({**dict(ours.labels.pairs), "dockgate.project": "another"})
    theirs = replace(ours, name="a-lb", pid=99, labels=labels)
    both = Observed(((name, replace(first, containers=(theirs, *first.containers))), *others))
    found = predict(desired(OVERLAY_FILE), both, REQUEST).balancer
    assert found is not None
    assert found.name == "lb"


def test_a_request_may_go_through_a_port_that_does_not_read_it() -> None:
    prediction = predict(raw(), overlay(), REQUEST)
    assert (prediction.stop, prediction.pool) == (None, "site")
    closed_by_us = LogLine(CLIENT, "web-80", "site", "web1", -1, 0, 1, -1, 5, 0, "CD", 0)
    assert join(prediction, replace(seen(prediction), log=closed_by_us)).arrived


def test_tls_that_is_passed_on_goes_by_its_name() -> None:
    wanted = desired(OVERLAY_FILE)
    listen = Listen(80, "tcp", sni=(SniRoute("a.example", "site"), SniRoute("*.b.example", "site")))
    wanted = replace(wanted, vips=tuple(replace(vip, listens=(listen,)) for vip in wanted.vips))
    for host, pool in (("a.example", "site"), ("x.b.example", "site"), ("c.example", "")):
        found = predict(wanted, overlay(), replace(TCP, host=host, tls=True))
        assert found.pool == pool
        assert (found.stop is None) == bool(pool)
    bare = predict(wanted, overlay(), TCP).stop
    assert bare is not None
    assert bare.hint == "dockgate trace tls://docker1.lab.lab:80"


def test_a_log_line_of_a_connection_is_read_as_text_and_as_json() -> None:
    text = "192.168.50.100:24001 [26/Nov/2026:02:02:46.721] db-5432 db/pg1 0/1/302 212 -- 1/1/0/0/0 0/0"
    said = {"at_ms": 1, "client": "192.168.50.100", "port": 24001, "listener": "db-5432", "pool": "db", "member": "pg1"}
    said |= {"bytes": 212, "queue_ms": 0, "connect_ms": 1, "total_ms": 302, "retries": 0, "ended": "--"}
    wanted = LogLine("192.168.50.100", "db-5432", "db", "pg1", -1, 0, 1, -1, 302, 0, "--", 0)
    assert find([text], 24001, "db-5432") == wanted
    assert find([json.dumps(said)], 24001, "db-5432") == wanted
    assert find([text], 24002, "db-5432") is None


def test_a_member_that_is_spoken_to_by_tls_is_told_as_not_to_be_seen() -> None:
    prediction = replace(predicted(), sealed=True)
    evidence = seen(prediction, until=len(prediction.hops))
    walk = join(prediction, replace(evidence, log=log()))
    assert walk.arrived
    assert any("spoken to by TLS" in note for note in walk.notes)


@pytest.mark.parametrize(
    ("request_", "world", "why"),
    [
        (replace(REQUEST, address="10.9.9.9"), overlay(), "no address of a host or VIP"),
        (replace(REQUEST, port=81), overlay(), "no VIP of the file listens on 192.168.50.11:81"),
        (REQUEST, overlay(balancer="exited"), "no load balancer of VIP web runs on docker1"),
        (REQUEST, overlay(balancer="paused"), "the load balancer's container is paused"),
        (
            REQUEST,
            overlay(states=(server("web1", "10.0.1.4", status="DOWN"),)),
            "no member of pool site is up: web1 DOWN",
        ),
        (REQUEST, Observed((("docker1", Unknown("gone")),)), "it could not be read: gone"),
    ],
)
def test_what_cannot_arrive_is_predicted_with_its_reason(request_: Request, world: Observed, why: str) -> None:
    stop = predict(desired(OVERLAY_FILE), world, request_).stop
    assert stop is not None
    assert why in stop.why
    assert stop.hint


# --- evidence


@pytest.mark.parametrize("nat", [False, True])
def test_a_walk_as_predicted_has_no_disagreement(nat: bool) -> None:
    prediction = predicted(nat=nat)
    walk = join(prediction, seen(prediction))
    assert all(step.seen and step.back for step in walk.steps)
    assert (walk.disagreements, walk.notes, walk.stop) == ((), (), None)
    assert walk.process == "python3 /srv/web.py (pid 372)"


def test_packets_of_others_are_not_taken_for_ours() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    other = tuple(
        replace(s, seq=s.seq + 5000, ack=s.ack + 5000, token=False, ends=replace(s.ends, sport=s.ends.sport + 1))
        for s in evidence.sightings
    )
    assert join(prediction, replace(evidence, sightings=(*other, *evidence.sightings))).steps == join(
        prediction, evidence
    ).steps  # fmt: skip


def test_another_translation_than_predicted_is_told() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    moved = tuple(
        replace(s, ends=replace(s.ends, address="172.17.0.9")) if s.ends.address == "172.17.0.2" and s.syn else s
        for s in evidence.sightings
    )
    told = join(prediction, replace(evidence, sightings=moved)).disagreements
    assert any("172.17.0.9:80" in text and "predicted" in text for text in told), told


def test_a_hop_that_nobody_saw_is_told_unless_it_was_not_watched() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    key = prediction.hops[1].place.key
    gap = replace(evidence, sightings=tuple(s for s in evidence.sightings if s.place != key or s.outer))
    assert any("nothing was seen there" in text for text in join(prediction, gap).disagreements)
    blind = join(prediction, replace(gap, blind=((key, "no right"),)))
    assert blind.disagreements == ()
    assert any("could not be watched: no right" in text for text in blind.notes)


def test_conntrack_that_says_otherwise_is_a_disagreement() -> None:
    prediction = predicted()
    there = Ends("192.168.50.100", PORT, "192.168.50.11", 80)
    back = Ends("172.17.0.2", 80, "192.168.50.100", PORT)
    good = replace(seen(prediction), connections=(("docker1", there, back),))
    assert join(prediction, good).disagreements == ()
    bad = replace(good, connections=(("docker1", there, replace(back, source="172.17.0.9")),))
    assert any("conntrack has" in text for text in join(prediction, bad).disagreements)


def test_a_connection_that_haproxy_had_open_is_followed_by_the_requests_mark() -> None:
    prediction = predicted()
    evidence = seen(prediction)
    token = next(s for s in evidence.sightings if s.token)
    only = [s for s in evidence.sightings if not (s.ends.sport == 47502 or s.ends.dport == 47502)]
    found = prediction.server("web1")
    assert found is not None
    marked = [replace(token, place=hop.place.key, outer=(*hop.outer, 1) if hop.outer else None) for hop in found.hops]
    walk = join(prediction, replace(evidence, sightings=(*only, *marked)))
    assert all(step.seen for step in walk.steps)
    assert any("a connection that it had open" in text for text in walk.notes)


def test_only_rules_that_judged_our_packet_are_told_each_once() -> None:
    prediction = predicted()
    place = prediction.hops[1].place.key
    ours = verdict(place, "DOCKER")
    evidence = replace(seen(prediction), verdicts=(ours, ours, replace(ours, seq=9, handle=99)))
    assert join(prediction, evidence).steps[1].verdicts == (ours,)


# --- what stopped it


AT = ("docker1", "host")
OURS = 'drop comment "dockgate.yaml:12 no web"'
DROPS = [
    (
        verdict(AT, "c_forward", table="dockgate", family="inet", word="drop", text=OURS),
        "our rule dropped it: dockgate",
    ),
    (verdict(AT, "DOCKER", word="drop", text="drop"), "Docker's rule dropped it: ip filter DOCKER handle 28"),
    (verdict(AT, "DOCKER-USER", word="drop", text="drop"), "a rule in DOCKER-USER, the operator's chain dropped"),
    (verdict(AT, "FORWARD", word="drop", text="drop"), "a rule in FORWARD, where Docker and the operator both have"),
    (verdict(AT, "fw", table="x", word="drop", text='iifname "docker0"'), "neither ours nor Docker's dropped it: ip x"),
    (verdict(AT, "fw", word="drop", text="drop"), "neither ours nor Docker's dropped it: ip filter fw handle 28"),
    (
        verdict(AT, "FORWARD", word="drop", handle=0, text=""),
        "the policy of a chain dropped it: ip filter FORWARD policy",
    ),
]


@pytest.mark.parametrize(("drop", "why"), DROPS, ids=[why for _, why in DROPS])
def test_the_rule_that_dropped_it_is_named_and_whose_it_is(drop: object, why: str) -> None:
    prediction = predicted()
    evidence = replace(
        seen(prediction, until=2), answer=Answer("dropped", error="no answer"), log=None, verdicts=(drop,)
    )  # type: ignore[arg-type]
    stop = stopped(join(prediction, evidence))
    assert stop.where == "docker1"
    assert why in stop.why
    assert stop.hint


def failed(
    outcome: str, *, until: int, error: str = "", prediction: Prediction | None = None, routes: str = ""
) -> Stop:
    prediction = prediction or predicted()
    evidence = replace(seen(prediction, until=until), answer=Answer(outcome, error=error, source="x"), log=None)
    if routes:
        evidence = replace(evidence, routes=((prediction.hops[0].place.key, routes),))
    return stopped(join(prediction, evidence))


def test_the_last_hop_that_saw_it_is_named_with_the_kernels_word() -> None:
    stop = failed("dropped", until=1, routes="nobody answers for its address on the link")
    assert stop.where == "client"
    assert stop.why == "it never came to docker1: nobody answers for its address on the link"


def test_a_packet_that_did_not_leave_is_named_with_the_senders_error() -> None:
    assert failed("unreachable", until=0, error="Network is unreachable").why.endswith("Network is unreachable")


def test_a_paused_load_balancer_is_where_it_ends() -> None:
    stop = failed("silent", until=3, prediction=predicted(balancer="paused"))
    assert (stop.where, stop.hint) == ("lb on docker1", "docker unpause lb")


def test_a_refusal_names_the_port_on_which_nothing_listens() -> None:
    prediction = predict(desired(OVERLAY_FILE), overlay(), replace(REQUEST, port=81))
    stop = failed("refused", until=2, prediction=prediction)
    assert "nothing listens on 192.168.50.11 port 81" in stop.why


def test_haproxys_own_503_names_the_members_that_are_down() -> None:
    down = (server("web1", "10.0.1.4", status="DOWN"), server("web2", "10.0.1.6", status="MAINT"))
    prediction = predicted(states=down)
    evidence = replace(
        seen(prediction, until=3), answer=Answer("answered", 503), log=log("<NOSRV>", status=503, ending="SC--")
    )
    stop = stopped(join(prediction, evidence))
    assert "no member of pool site is up, so HAProxy answers 503: web1 DOWN L7OK, web2 MAINT L7OK" in stop.why


def test_a_servers_own_503_is_an_arrival() -> None:
    prediction = predicted()
    evidence = replace(seen(prediction), answer=Answer("answered", 503), log=log(status=503))
    assert join(prediction, evidence).arrived


# --- the log line, and the telling


def test_the_log_line_is_found_by_port_and_frontend() -> None:
    found = find([LINE.replace("28305", "28306"), LINE, "Server site/web1 is UP"], PORT, "web-80")
    assert found is not None
    assert (found.server, found.queue_ms, found.connect_ms, found.total_ms, found.retries) == ("web1", 1, 2, 6, 2)
    assert find([LINE], PORT, "other-80") is None


def test_a_json_log_tells_the_same_as_a_text_log() -> None:
    said = {
        "at_ms": 1, "client": "192.168.50.100", "port": 28305, "listener": "web-80", "pool": "site", "member": "web1",
        "method": "GET", "uri": "/", "version": "HTTP/1.1", "status": 200, "request_ms": 0, "answer_ms": 3,
        "bytes": 133, "queue_ms": 1, "connect_ms": 2, "total_ms": 6, "retries": 2, "ended": "----",
    }  # fmt: skip
    text = find([LINE], PORT, "web-80")
    assert find(["<134>{", json.dumps(said), json.dumps(said | {"port": 1})], PORT, "web-80") == text
    assert find([json.dumps(said | {"listener": "web-80~"})], PORT, "web-80") == text
    assert find([json.dumps(said)], PORT, "other-80") is None


@pytest.mark.parametrize("width", [60, 80, 132])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    prediction = predicted(nat=True)
    rule = verdict(("docker1", "host"), "DOCKER", text="a very long rule " * 12)
    told = lines(join(prediction, replace(seen(prediction), verdicts=(rule,))), width)
    assert max(len(text) for _, text in told) <= width


def test_json_counts_what_was_seen() -> None:
    prediction = predicted(nat=True)
    told = as_json(join(prediction, seen(prediction)))
    assert told["count"] == {"hops": 7, "translations": 3, "sessions": 2, "client_seen": "192.168.50.11"}
    assert told["arrived"] is True


def test_hops_and_translations_that_nobody_saw_are_not_counted() -> None:
    prediction = predicted(nat=True)
    walk = join(prediction, replace(seen(prediction, until=5), answer=Answer("silent", source=CLIENT), log=None))
    assert count(walk) == "5 hops, 2 translations, 2 sessions"
