"""`dockgate trace` with a real request: the walk as the world has it, in both topologies, and every breakage named."""

from __future__ import annotations

import hashlib
import json
import signal
import ssl
import subprocess
from collections.abc import Iterator

import pytest
from tests.certificates import pair
from tests.scenarios.stage import DOCKGATE, Stage, eventually
from tests.scenarios.tracer import (
    ADDRESS,
    CLIENT_ADDRESS,
    OLD_URL,
    URL,
    Tracer,
    added_rule,
    ends,
    kinds,
    left,
    overlay_tracer,
    published_tracer,
)

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def overlay(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    yield from overlay_tracer(lab, tmp_path_factory.mktemp("trace-overlay"))


@pytest.fixture(scope="module")
def published(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    yield from published_tracer(lab, tmp_path_factory.mktemp("trace-published"))


@pytest.fixture(scope="module")
def secure(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    """HTTPS on 8543, a redirect to it on 8180, client certificates on 8544, TCP on 9000, TCP inside TLS on 9443."""
    stage = Stage(lab, tmp_path_factory.mktemp("trace-secure"))
    keys = stage.folder / "keys"
    keys.mkdir()
    pair("docker1.lab.lab").write(keys, "site")
    (keys / "ca.crt").write_bytes(pair(subject="ca", signs=True).cert)
    hosts = "\n".join(
        f'  {name}: {{engine: "unix://{lab.socket(name)}", address: {lab.address(name)}}}' for name in ADDRESS
    )
    shown = "certificates: [{cert: keys/site.crt, key: keys/site.key}]"
    file = stage.write(
        f"project: secure\nhosts:\n{hosts}\n"
        "networks: {secure_net: {driver: overlay, internal: true}}\n"
        "vips:\n  web:\n    hosts: [docker1]\n    pool: web\n    listen:\n"
        f"      - {{port: 8180, redirect: 8543}}\n      - {{port: 8543, tls: {{{shown}}}}}\n"
        f"      - {{port: 8544, tls: {{{shown}, clients: {{authority: keys/ca.crt}}}}}}\n"
        "      - {port: 9000, mode: tcp, pool: raw}\n"
        f"      - {{port: 9443, mode: tcp, pool: raw, tls: {{{shown}}}}}\n"
        "pools:\n  web: {network: secure_net, port: 80, members: [safe1]}\n"
        "  raw: {network: secure_net, port: 80, members: [safe1]}\n"
    )
    try:
        stage.up(file)
        stage.start("docker2", "safe1", network="secure_net")
        stage.members_up(file, "safe1")
        yield Tracer(stage, file, "web")
    finally:
        stage.clear()


# --- the walk


def test_the_walk_over_the_overlay_is_the_worlds_field_by_field(overlay: Tracer) -> None:
    walk = overlay.trace(URL)
    server, home = walk["haproxy"]["server"], {"web1": "docker2", "web2": "docker3"}[walk["haproxy"]["server"]]
    assert kinds(walk) == [
        (1, "client", ""), (1, "host", "docker1"), (1, "container", "docker1"),
        (2, "container", "docker1"), (2, "overlay", "docker1"), (2, "host", "docker1"),
        (2, "host", home), (2, "overlay", home), (2, "container", home),
    ]  # fmt: skip
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    front = overlay.address("docker1", overlay.balancer, "bridge")
    inside = overlay.address("docker1", overlay.balancer, "presentation_backend")
    target = overlay.address(home, server, "presentation_backend")
    steps = walk["steps"]
    assert ends(steps[0]) == (CLIENT_ADDRESS, ADDRESS["docker1"], 80)
    assert (steps[1]["translation"], ends(steps[1], "after")) == ("DNAT", (CLIENT_ADDRESS, front, 80))
    assert {ends(step, "after") for step in steps[3:]} == {(inside, target, 80)}
    assert [step["translation"] for step in steps] == [None, "DNAT", *[None] * 7]
    assert {tuple(step["vxlan"][:2]) for step in steps if step["vxlan"]} == {(ADDRESS["docker1"], ADDRESS[home])}
    assert steps[-1]["place"]["name"] == server
    assert "web.py" in walk["process"]
    assert walk["count"] == {"hops": 9, "translations": 1, "sessions": 2, "client_seen": inside}
    assert walk["disagreements"] == []
    assert walk["notes"] == []


def test_the_rules_on_the_way_are_those_that_nft_lists_under_these_handles(overlay: Tracer) -> None:
    rules = overlay.trace(URL)["steps"][1]["rules"]
    assert {(rule["table"], rule["verdict"]) for rule in rules} == {("nat", "accept"), ("filter", "accept")}
    for rule in rules:
        listed = overlay.nft("docker1", "-a", "list", "chain", rule["family"], rule["table"], rule["chain"])
        assert f"# handle {rule['handle']}\n" in listed


def test_the_servers_own_word_on_its_client_is_the_traces(overlay: Tracer) -> None:
    walk = overlay.trace(URL)
    assert json.loads(overlay.stage.get(f"{URL}info")[1])["client"].startswith(walk["count"]["client_seen"])


def test_the_walk_over_published_ports_has_nat_on_both_hosts(published: Tracer) -> None:
    walk = published.trace(OLD_URL)
    server, home = walk["haproxy"]["server"], {"pub1": "docker2", "pub2": "docker3"}[walk["haproxy"]["server"]]
    steps = walk["steps"]
    assert kinds(walk) == [
        (1, "client", ""), (1, "host", "docker1"), (1, "container", "docker1"), (2, "container", "docker1"),
        (2, "host", "docker1"), (2, "host", home), (2, "container", home),
    ]  # fmt: skip
    assert all(step["seen"] and step["back"] for step in steps)
    front = published.address("docker1", published.balancer, "bridge")
    target = published.address(home, server, "bridge")
    port = int(published.inspect(home, server, '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'))
    assert ends(steps[1], "after") == (CLIENT_ADDRESS, front, 8080)
    assert ends(steps[3]) == (front, ADDRESS[home], port)
    assert ends(steps[4], "after") == (ADDRESS["docker1"], ADDRESS[home], port)
    assert ends(steps[5], "after") == (ADDRESS["docker1"], target, 80)
    assert [s["translation"] for s in steps] == [None, "DNAT", None, None, "MASQUERADE", "DNAT", None]
    assert walk["count"] == {"hops": 7, "translations": 3, "sessions": 2, "client_seen": ADDRESS["docker1"]}
    assert walk["disagreements"] == []
    tracked = {(c["host"], c["there"]["dport"], c["back"]["source"]) for c in walk["connections"]}
    assert {("docker1", 8080, front), ("docker1", port, ADDRESS[home]), (home, port, target)} <= tracked


@pytest.mark.parametrize("vantage", [(), ("--from", "docker3")])
def test_https_is_the_same_walk_with_the_certificate_that_came(secure: Tracer, vantage: tuple[str, ...]) -> None:
    walk = secure.trace("https://docker1.lab.lab:8543/", *vantage)
    assert walk["answer"]["status"] == 200
    assert walk["answer"]["tls"].startswith("TLSv1.")
    der = ssl.PEM_cert_to_DER_cert((secure.file.parent / "keys/site.crt").read_text())
    assert walk["answer"]["shown"] == hashlib.sha256(der).hexdigest()
    assert (walk["haproxy"]["server"], walk["haproxy"]["frontend"]) == ("safe1", "web-8543")
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert {step["session"] for step in walk["steps"]} == {1, 2}
    assert walk["disagreements"] == []


@pytest.mark.parametrize("url", ["http://docker1.lab.lab:9000/", "https://docker1.lab.lab:9443/"])
def test_a_request_through_a_port_that_does_not_read_it_is_the_same_walk(secure: Tracer, url: str) -> None:
    walk = secure.trace(url)
    assert (walk["answer"]["status"], walk["haproxy"]["server"]) == (200, "safe1")
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert walk["disagreements"] == []


@pytest.mark.parametrize("url", ["tcp://docker1.lab.lab:9000", "tls://docker1.lab.lab:9443"])
def test_a_bare_connection_is_the_same_walk(secure: Tracer, url: str) -> None:
    walk = secure.trace(url)
    assert walk["answer"]["outcome"] == "open"
    assert bool(walk["answer"]["tls"]) == url.startswith("tls")
    assert walk["haproxy"]["server"] == "safe1"
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert walk["count"]["sessions"] == 2
    assert walk["count"]["client_seen"] == secure.address("docker1", secure.balancer, "secure_net")
    assert "web.py" in walk["process"]
    assert (walk["disagreements"], walk["notes"]) == ([], [])


def test_a_bare_connection_under_other_traffic_finds_its_own(secure: Tracer) -> None:
    ports = {number: f"tcp://docker1.lab.lab:{number}" for number in (9000,)}
    with secure.stage.load("http://docker1.lab.lab:9000/", rate=300, connections=300) as load:
        load.observe(0.5)
        walks = [secure.trace(ports[9000]) for _ in range(2)]
    assert load.report.failed == 0, str(load.report)
    assert [walk["disagreements"] for walk in walks] == [[], []]
    assert all(step["seen"] for walk in walks for step in walk["steps"])


def test_a_connection_to_a_pool_without_members_is_closed_and_says_so(secure: Tracer) -> None:
    secure.lab.docker("docker2", "stop", "safe1")
    try:
        eventually(lambda: "is up" in secure.stopped("tcp://docker1.lab.lab:9000")["why"], "it is told")
    finally:
        secure.lab.docker("docker2", "start", "safe1")
        secure.stage.members_up(secure.file, "safe1")


@pytest.mark.parametrize(
    ("url", "why", "hint"),
    [
        ("tcp://docker1.lab.lab:8543", "waits for a request", "dockgate trace https://docker1.lab.lab:8543/"),
        ("tcp://docker1.lab.lab:9443", "speaks TLS", "dockgate trace tls://docker1.lab.lab:9443"),
        ("http://docker1.lab.lab:8180/", "HAProxy answered 308 itself", "dockgate trace https://docker1.lab.lab:8543/"),
        ("http://docker1.lab.lab:8543/", "speaks TLS", "dockgate trace https://docker1.lab.lab:8543/"),
        ("https://docker1.lab.lab:8180/", "speaks no TLS", "dockgate trace http://docker1.lab.lab:8180/"),
        ("https://docker1.lab.lab:8544/", "TLS", "a port may ask for a client's certificate"),
    ],
)
def test_a_port_asked_in_the_wrong_way_says_how_to_ask(secure: Tracer, url: str, why: str, hint: str) -> None:
    stop = secure.stopped(url)
    assert why in stop["why"], stop
    assert hint in stop["hint"], stop


@pytest.mark.parametrize("vantage", ["docker1", "docker2"])
def test_a_host_is_a_vantage_too(overlay: Tracer, vantage: str) -> None:
    walk = overlay.trace(URL, "--from", vantage)
    assert walk["steps"][0]["place"]["seat"] == vantage
    assert ends(walk["steps"][0])[0] == ADDRESS[vantage]
    assert all(step["seen"] for step in walk["steps"])
    assert walk["disagreements"] == []


def test_a_container_is_a_vantage_behind_one_more_translation(overlay: Tracer) -> None:
    overlay.stage.start("docker3", "asker")
    walk = overlay.trace(URL, "--from", "asker")
    address = overlay.address("docker3", "asker", "bridge")
    assert kinds(walk)[:3] == [(1, "container", "docker3"), (1, "host", "docker3"), (1, "host", "docker1")]
    assert ends(walk["steps"][0]) == (address, ADDRESS["docker1"], 80)
    assert walk["steps"][1]["translation"] == "MASQUERADE"
    assert ends(walk["steps"][1], "after") == (ADDRESS["docker3"], ADDRESS["docker1"], 80)
    assert all(step["seen"] and step["back"] for step in walk["steps"])
    assert walk["disagreements"] == []


def test_a_container_on_an_internal_network_alone_has_no_route_out(overlay: Tracer) -> None:
    stop = overlay.trace(URL, "--from", "web2", code=1)["stop"]
    assert stop["where"] == "web2 on docker3"
    assert "Network is unreachable" in stop["why"]


def test_a_vantage_that_is_not_there_is_said_to_be_none(overlay: Tracer) -> None:
    done = overlay.lab.exec(CLIENT, overlay.words(URL, "--from", "nobody"))
    assert done.returncode == 1
    assert "--from nobody: no host and no running container of this name" in done.stderr


def test_the_prediction_needs_no_packet_and_is_the_walk(overlay: Tracer) -> None:
    before = overlay.stage.status(overlay.file)["vips"][0]["requests"]
    predicted = overlay.trace(URL, "--dry-run")
    assert overlay.stage.status(overlay.file)["vips"][0]["requests"] == before
    walk = overlay.trace(URL)
    assert [kind[:2] for kind in kinds(predicted)] == [kind[:2] for kind in kinds(walk)]
    assert predicted["count"] == walk["count"]


def test_under_other_traffic_it_finds_its_own_request(overlay: Tracer) -> None:
    load = overlay.stage.load(URL, rate=500, connections=8)
    try:
        walks = [overlay.trace(URL) for _ in range(2)]
    finally:
        report = load.stop()
    for walk in walks:
        assert walk["steps"][0]["before"]["sport"] == walk["steps"][2]["after"]["sport"]
        assert all(step["seen"] for step in walk["steps"])
        assert walk["disagreements"] == []
    logged = [overlay.agrees(walk) for walk in walks]
    assert any(logged)
    assert report.failed == 0


def test_it_is_told_in_80_columns(overlay: Tracer) -> None:
    done = overlay.lab.exec(CLIENT, overlay.words(URL))
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "DNAT to" in done.stdout
    assert "9 hops, 1 translation, 2 sessions" in done.stdout


# --- it leaves nothing behind


def test_it_leaves_nothing_in_any_namespace(overlay: Tracer) -> None:
    overlay.trace(URL)
    eventually(lambda: not left(overlay), "nothing of the trace is left")


def test_a_killed_trace_leaves_nothing_either(overlay: Tracer) -> None:
    """Killed while everything is watched: the answer of a slow server is waited for."""
    slow = f"http://{ADDRESS['docker1']}/slow?ms=3500"
    process = subprocess.Popen(
        [*DOCKGATE, "trace", slow, "--from", "docker2", "--file", str(overlay.file)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: left(overlay), "the trace is at work")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    eventually(lambda: not left(overlay), "nothing of the trace is left")


# --- breakages


def test_a_drop_in_dockers_chain_is_named_by_its_handle(overlay: Tracer) -> None:
    with added_rule(overlay, "docker1", "ip", "filter", "DOCKER", "tcp", "dport", "80", "drop") as handle:
        stop = overlay.stopped(URL)
    assert stop["where"] == "docker1"
    assert "Docker's rule dropped it: ip filter DOCKER" in stop["why"]
    assert f"handle {handle}" in stop["why"]


def test_a_drop_of_somebody_elses_is_named_as_that(overlay: Tracer) -> None:
    overlay.nft("docker1", "add", "table", "inet", "others")
    try:
        overlay.nft("docker1", "add chain inet others fw { type filter hook forward priority -5; }")
        overlay.nft("docker1", "add", "rule", "inet", "others", "fw", "tcp", "dport", "80", "drop")
        stop = overlay.stopped(URL)
    finally:
        overlay.nft("docker1", "delete", "table", "inet", "others")
    assert "neither ours nor Docker's dropped it: inet others fw handle" in stop["why"]


def test_a_drop_between_load_balancer_and_member_is_named(published: Tracer) -> None:
    """Checks far apart, so that HAProxy has not found out by itself."""
    words = ("ip", "filter", "DOCKER-USER", "tcp", "dport", "80", "drop")
    published.stage.edit(published.file, "check: {", "check: {interval: 60s, ")
    published.stage.up(published.file)
    published.stage.members_up(published.file, "pub1", "pub2")
    try:
        with added_rule(published, "docker2", *words), added_rule(published, "docker3", *words):
            stop = published.stopped(OLD_URL)
    finally:
        published.stage.edit(published.file, "check: {interval: 60s, ", "check: {")
        published.stage.up(published.file)
    assert stop["where"] in ("docker2", "docker3")
    assert "DOCKER-USER, the operator's chain dropped it" in stop["why"]


def test_a_drop_of_ours_is_named_with_the_files_line(overlay: Tracer) -> None:
    """A port that Docker published beside the load balancer; the file allows nobody to it."""
    overlay.stage.start("docker2", "beside", options=("--publish", "8000:80"))
    text = overlay.file.read_text()
    try:
        overlay.stage.write(f"{text}\nfirewall: {{default: deny, allow: []}}\n", overlay.file)
        overlay.stage.up(overlay.file)
        stop = overlay.stopped("http://docker2.lab.lab:8000/")
        passed = overlay.trace(URL)["steps"][1]["rules"]
    finally:
        overlay.stage.write(text, overlay.file)
        overlay.stage.up(overlay.file)
    assert stop["where"] == "docker2"
    assert "our rule dropped it" in stop["why"], stop
    assert "dockgate.yaml:" in stop["why"], stop
    assert any(rule["whose"] == "our rule" for rule in passed), passed


def test_a_missing_route_is_named(overlay: Tracer) -> None:
    overlay.lab.exec(CLIENT, ["ip", "route", "add", "unreachable", f"{ADDRESS['docker1']}/32"], check=True)
    try:
        stop = overlay.stopped(URL)
    finally:
        overlay.lab.exec(CLIENT, ["ip", "route", "del", "unreachable", f"{ADDRESS['docker1']}/32"], check=True)
    assert (stop["where"], "there is no route" in stop["why"]) == ("client", True), stop


def test_a_link_that_is_down_is_named(overlay: Tracer) -> None:
    overlay.lab.set_link("docker1", up=False)
    try:
        stop = overlay.stopped(URL)
    finally:
        overlay.lab.set_link("docker1", up=True)
    assert stop["where"] == "client", stop
    assert "it never came to docker1" in stop["why"], stop
    assert "eth0 is down" in stop["why"] or "nobody answers for its address" in stop["why"], stop
    eventually(lambda: overlay.stage.get(URL)[0] == 200, "docker1 is back", within_s=60)


def test_a_port_on_which_nothing_listens_is_named(overlay: Tracer) -> None:
    stop = overlay.stopped("http://docker1.lab.lab:81/")
    assert stop["where"] == "docker1"
    assert "nothing listens on 192.168.50.11 port 81" in stop["why"]
    assert "80" in stop["hint"]


def test_a_paused_load_balancer_is_named(overlay: Tracer) -> None:
    balancer = overlay.balancer
    overlay.lab.docker("docker1", "pause", balancer)
    try:
        stop = overlay.stopped(URL)
    finally:
        overlay.lab.docker("docker1", "unpause", balancer)
    assert stop == {
        "where": f"{balancer} on docker1",
        "why": "it arrived there, but the load balancer's container is paused",
        "hint": f"docker unpause {balancer}",
    }


def test_stopped_members_are_named(published: Tracer) -> None:
    """Last of this file: their host ports are others afterwards."""
    for host, member in (("docker2", "pub1"), ("docker3", "pub2")):
        published.lab.docker(host, "stop", "-t", "0", member)
    eventually(lambda: not any(row["up"] for row in published.stage.status(published.file)["members"]), "both are out")
    stop = published.stopped(OLD_URL)
    assert "no member of pool old_web is up, so HAProxy answers 503: pub1 DOWN" in stop["why"], stop
