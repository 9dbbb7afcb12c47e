"""Each feature of a VIP, a route, a pool and TLS switched on under 2,000 requests a second, then off: nobody notices.

One load runs through all of it. A feature's lines come in with one `up` and leave with the next feature's, so that each
is switched on and off. Where a feature refuses requests, it stands at a route that the load does not take.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.http_stage import CLIENT
from tests.scenarios.traffic import Measurement, Scene, Underway, example_scene, failures, measure

from dockgate.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

VIP = "    pool: pres_containers\n"
POOL = "    balance: roundrobin\n"
LISTEN = "listen: [{port: 80}, {port: 443, tls: {self_signed: true}}]"
ROUTE = "    routes: [{path: /elsewhere, pool: pres_containers, %s}]\n"

OF_THE_VIP = {
    "clients": "    clients: {deny: [192.0.2.0/24]}\n",
    "connections": "    connections: {total: 4000, per_client: 4000}\n",
    "trusted proxies": "    trusted_proxies: [192.0.2.1]\n",
    "JSON log": "    log: json\n",
    # The load knows its answers by its own ids, which are kept for a trusted proxy.
    "request id": f"    trusted_proxies: [{CLIENT}]\n    http: {{request_id: true}}\n",
    "headers": "    http: {request_headers: {set: {X-A: b}}, response_headers: {remove: [Server]}}\n",
    "redirects": '    http: {redirects: [{host: old.example, to: "http://new.example"}]}\n',
    "rate limits": "    http: {rate_limits: [{requests: 1000000, per: 10s}]}\n",
    "largest body and headers": "    http: {max_body: 1MB, max_headers: 8KB}\n",
    "compression": "    http: {compression: true}\n",
    "a member's silence": "    http: {timeout: 20s}\n",
    "pages": "    http: {errors: [{status: 503, page: sorry.html}]}\n",
    "maintenance": f"    maintenance: {{allow: [{CLIENT}]}}\n",
    "snippets": "    snippets: [http-response set-header X-Own yes]\n",
    "passwords": ROUTE % "http: {auth: {users: [{user: ops, password: {file: secrets/lbstats}}]}}",
    "paths": ROUTE % "http: {strip_path: true, add_path: /v1}",
    "a route by header": ROUTE % "header: X-Version",
    "a canary": "    routes: [{percent: 20, pool: pres_containers}]\n",
}
OF_THE_POOL = {
    "balance": "    balance: leastconn\n",
    "a cookie": POOL + "    sticky: cookie\n",
    "an address": POOL + "    sticky: client\n",
    "retries": POOL + "    retries: 5\n",
    "a pool's snippets": POOL + "    snippets: [http-request set-header X-Own yes]\n",
}
OF_TLS = {
    "TLS 1.3": LISTEN.replace("true}", 'true, minimum: "1.3"}'),
    "HSTS": LISTEN.replace("true}", "true, hsts_days: 30}"),
}
STEPS = {
    **{name: (VIP, VIP + lines) for name, lines in OF_THE_VIP.items()},
    **{name: (POOL, lines) for name, lines in OF_THE_POOL.items()},
    **{name: (LISTEN, line) for name, line in OF_TLS.items()},
}


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    for scene in example_scene(lab, tmp_path_factory.mktemp("features"), ("listen: [{port: 80}]", LISTEN)):
        (scene.file.parent / "sorry.html").write_text("<h1>sorry</h1>\n")
        yield scene


@pytest.fixture(scope="module")
def measured(scene: Scene) -> tuple[Measurement, list[int]]:
    """The whole run, and HAProxy's worker after each step."""
    plain = scene.file.read_text()
    workers: list[int] = []

    def each(underway: Underway) -> None:
        workers.clear()
        for name, (old, new) in STEPS.items():
            underway.mark(name)
            assert plain.count(old) == 1, old
            scene.stage.write(plain.replace(old, new), scene.file)
            scene.stage.up(scene.file)
            workers.append(scene.identity().worker)
        scene.stage.write(plain, scene.file)
        scene.stage.up(scene.file)

    return measure(scene, each), workers


def steps_of(measurement: Measurement) -> str:
    times = {name: measurement.at(name, measurement.gets) for name in STEPS}
    return ", ".join(f"{name} from {at:.1f} s" for name, at in times.items())


def test_no_request_fails_while_any_feature_is_switched_on_or_off(measured: tuple[Measurement, list[int]]) -> None:
    found = measured[0]
    assert found.gets.failed == 0, f"{found.gets}\n{steps_of(found)}"
    assert failures(found.posts) == [], f"{found.posts}\n{steps_of(found)}"


def test_no_post_is_sent_twice_while_any_feature_is_switched_on_or_off(
    measured: tuple[Measurement, list[int]],
) -> None:
    assert measured[0].reached_twice() == {}


def test_the_load_is_really_put_on_while_features_change(measured: tuple[Measurement, list[int]]) -> None:
    assert measured[0].gets.achieved_rate >= measured[0].least_rate, str(measured[0].gets)


def test_every_feature_is_really_loaded_by_a_worker_of_its_own(measured: tuple[Measurement, list[int]]) -> None:
    assert len(set(measured[1])) == len(STEPS), measured[1]


def test_no_feature_needs_another_container(measured: tuple[Measurement, list[int]]) -> None:
    assert measured[0].after.process == measured[0].before.process
