"""``dockgate up`` with a changed file under constant load: nobody notices; a change that fails is undone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.scenarios.traffic import (
    Measurement,
    Scene,
    Underway,
    answered_between,
    example_scene,
    failures,
    measure,
    read_receipts,
    slowest_ms,
    traffic,
)

from dockgate.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

MEMBERS = "members: [web1, web2]"
LISTEN = "listen: [{port: 80}]"
STATS = "    stats: {path: /lbstats, user: user, password: {file: secrets/lbstats}}\n"
HTTP = """\
    clients: {deny: [192.168.50.99]}
    connections: {total: 4000, per_client: 4000}
    log: json
    http:
      request_headers: {remove: [X-Debug], set: {X-Environment: lab}}
      response_headers: {set: {Strict-Transport-Security: max-age=31536000}}
      redirects: [{host: old.example, to: "http://new.example"}]
      rate_limits: [{requests: 1000000, per: 10s}]
      max_body: 1MB
      compression: true
"""
CHECK = 'check: {method: HEAD, path: /index.html, version: "1.0", expect: "200"}'
NETWORKS = "presentation_backend: {driver: overlay, internal: true}"


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The running example without its statistics page, which is one of the changes."""
    yield from example_scene(lab, tmp_path_factory.mktemp("changes"), (STATS, ""))


# --- changes of the file; each goes on from the one before

CHANGES: dict[str, list[tuple[str, str]]] = {
    "weight": [(MEMBERS, "members: [{name: web1, weight: 50}, web2]")],
    "weight back": [("members: [{name: web1, weight: 50}, web2]", MEMBERS)],
    "check": [(CHECK, "check: {path: /healthy, interval: 500ms}")],
    "pool grown": [(MEMBERS, "members: [web1, web2, web3]")],
    "pool shrunk": [("members: [web1, web2, web3]", MEMBERS)],
    "route": [(LISTEN, LISTEN + "\n    routes: [{path: /slow, pool: pres_containers}]")],
    "stats": [("    pool: pres_containers\n", "    pool: pres_containers\n" + STATS)],
    "http": [("    pool: pres_containers\n", "    pool: pres_containers\n" + HTTP)],
    "pool on another network": [
        (NETWORKS, NETWORKS + "\n  other_backend: {driver: overlay, internal: true}"),
        ("{path: /slow, pool: pres_containers}", "{path: /slow, pool: pres_containers}, {path: /other, pool: other}"),
        ("\npools:\n", "\npools:\n  other: {network: other_backend, port: 80, members: [other1]}\n"),
    ],
    "everything back": [
        ("\n    routes: [{path: /slow, pool: pres_containers}, {path: /other, pool: other}]", ""),
        ("\n  other: {network: other_backend, port: 80, members: [other1]}\n", "\n"),
        (STATS, ""),
        (HTTP, ""),
        ("check: {path: /healthy, interval: 500ms}", CHECK),
    ],
}
UNDONE_S = 12.0
OVER_THE_RUNTIME_SOCKET = {"weight", "weight back"}


@pytest.fixture(scope="module", params=CHANGES)
def changed(request: pytest.FixtureRequest, scene: Scene) -> tuple[str, Measurement]:
    change = str(request.param)
    if change == "pool grown":
        scene.start("web3", "docker2")

    before = scene.file.read_text()
    members = ("web1", "web2", "web3") if change == "pool grown" else ("web1", "web2")

    def up(underway: Underway) -> None:
        for old, new in CHANGES[change]:
            scene.stage.edit(scene.file, old, new)
        scene.stage.up(scene.file)
        scene.wait_up(*members)

    def undo() -> None:
        scene.stage.write(before, scene.file)
        scene.stage.up(scene.file)

    return change, measure(scene, up, again=undo)


def test_no_get_fails_while_the_file_changes(changed: tuple[str, Measurement]) -> None:
    assert changed[1].gets.failed == 0, str(changed[1].gets)


def test_no_post_fails_while_the_file_changes(changed: tuple[str, Measurement]) -> None:
    assert failures(changed[1].posts) == [], str(changed[1].posts)


def test_no_post_reaches_two_members_while_the_file_changes(changed: tuple[str, Measurement]) -> None:
    assert changed[1].reached_twice() == {}


def test_no_get_takes_longer_than_half_a_second_while_the_file_changes(changed: tuple[str, Measurement]) -> None:
    assert slowest_ms(changed[1].gets) <= changed[1].most_ms, str(changed[1].gets)


def test_the_load_is_really_put_on_while_the_file_changes(changed: tuple[str, Measurement]) -> None:
    assert changed[1].gets.achieved_rate >= changed[1].least_rate, str(changed[1].gets)


def test_both_members_answer_before_and_after_the_file_changes(changed: tuple[str, Measurement]) -> None:
    gets = changed[1].gets
    both = answered_between(gets, changed[1].at("begin", gets), changed[1].at("end", gets))
    assert both >= {"web1", "web2"}, str(gets)


def test_no_change_of_the_file_restarts_the_load_balancer(changed: tuple[str, Measurement]) -> None:
    assert changed[1].after.process == changed[1].before.process


def test_only_changes_that_the_runtime_socket_cannot_make_reload(changed: tuple[str, Measurement]) -> None:
    change, measurement = changed
    reloaded = measurement.after.worker != measurement.before.worker
    assert reloaded == (change not in OVER_THE_RUNTIME_SOCKET)


def test_no_reload_closes_a_connection_on_which_a_client_may_be_about_to_ask(changed: tuple[str, Measurement]) -> None:
    """A leaving worker that closes idle connections (close-spread-time made it) loses a request now and then."""
    assert (changed[1].gets.idle_closes, changed[1].posts.idle_closes) == (0, 0), str(changed[1].gets)


# --- a change that fails its proof


UNTENABLE: dict[str, list[tuple[str, str]]] = {
    "a check that no member answers": [(CHECK, "check: {path: /status/404}")],
    "a network that no member is on": [
        (NETWORKS, NETWORKS + "\n  empty_backend: {driver: overlay, internal: true}"),
        ("network: presentation_backend", "network: empty_backend"),
    ],
}


@pytest.fixture(scope="module", params=UNTENABLE)
def undone(request: pytest.FixtureRequest, scene: Scene) -> tuple[Measurement, str, str, str]:
    """Traffic while the file asks for what fails its proof; what ``up`` said, the configuration before and the one
    after."""
    stage, file = scene.stage, scene.file
    scene.wait_up("web1", "web2")
    text, before = file.read_text(), stage.dockgate("config", file, "web").stdout
    for old, new in UNTENABLE[request.param]:
        stage.edit(file, old, new)
    with traffic(scene) as underway:
        done = stage.dockgate("up", file, code=1)
        scene.wait_up("web1", "web2")
    after = stage.dockgate("config", file, "web").stdout
    found = read_receipts(underway)
    print(found.gets, done.stdout, sep="\n")
    stage.write(text, file)
    stage.up(file)
    return found, done.stdout, before, after


def test_a_change_that_fails_its_proof_is_undone(undone: tuple[Measurement, str, str, str]) -> None:
    assert undone[3] == undone[2]


def test_what_is_undone_is_told_with_its_reason(undone: tuple[Measurement, str, str, str]) -> None:
    assert re.search(r"VIP web: .*pool pres_containers: web1 \w+ \(L\w+\), web2 \w+ \(L\w+\)", undone[1]), undone[1]


def test_the_members_answer_again_when_a_change_is_undone(undone: tuple[Measurement, str, str, str]) -> None:
    gets = undone[0].gets
    both = answered_between(gets, undone[0].at("begin", gets), undone[0].at("end", gets))
    assert both == {"web1", "web2"}, str(gets)


def test_requests_fail_for_seconds_only_while_a_change_is_proved_and_undone(
    undone: tuple[Measurement, str, str, str], request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("seconds without an answer", undone[0].gets.longest_gap_s))
    assert undone[0].gets.longest_gap_s < UNDONE_S, str(undone[0].gets)


def test_undoing_a_change_does_not_restart_the_load_balancer(undone: tuple[Measurement, str, str, str]) -> None:
    assert undone[0].after.process == undone[0].before.process
