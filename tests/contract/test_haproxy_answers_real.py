"""Logs, compression and retries on the real HAProxy, both versions."""

from __future__ import annotations

import gzip
import http.client
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.haproxy_process import Haproxy, WebMember, wait_until
from tests.contract.haproxy_stage import CHECK, all_up, ask, config
from tests.golden.haproxy.cases import VIP, Case

from dockgate.model.desired import Endpoint, Endpoints, HaproxyVersion, Listen, Pool
from dockgate.model.http import Http

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures"]

POOL = Pool("site", Endpoints((Endpoint("w1", "127.1.0.1", 8080), Endpoint("w2", "127.1.0.2", 8080))), 0, check=CHECK)
ALONE = replace(POOL, membership=Endpoints((Endpoint("w1", "127.1.0.1", 8080),)))
SITE = replace(VIP, listens=(Listen(80, pool="site"),))


def written(haproxy: Haproxy) -> list[dict[str, Any]]:
    return [json.loads(each) for each in haproxy.log().splitlines() if each.startswith("{")]


def test_a_json_log_has_an_object_for_each_request_whatever_the_client_writes(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    vip = replace(SITE, log="json", http=Http(request_id=True))
    haproxy.start(config(Case((ALONE,), vip), version).text)
    all_up(haproxy, ("site", "w1"))
    odd = '/a"},{"status":1,"x":"\\'
    assert ask(odd)[0] == 200
    wait_until(lambda: bool(written(haproxy)), "the request is in the log")
    (found,) = written(haproxy)
    assert found["uri"] == odd.replace('"', "#22"), "HAProxy writes a quote as #22"
    assert (found["method"], found["status"], found["pool"], found["member"]) == ("GET", 200, "site", "w1")
    assert found["client"] == "127.0.0.1"
    assert len(found["request_id"]) == 36


def test_texts_are_compressed_for_clients_that_take_it(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember
) -> None:
    web.content_type = "text/html"
    haproxy.start(config(Case((ALONE,), replace(SITE, http=Http(compression=True))), version).text)
    all_up(haproxy, ("site", "w1"))
    assert fetched({"Accept-Encoding": "gzip"}) == ("gzip", b"127.1.0.1")
    assert fetched({}) == (None, b"127.1.0.1")
    web.content_type = "image/png"
    assert fetched({"Accept-Encoding": "gzip"}) == (None, b"127.1.0.1")


def fetched(headers: dict[str, str]) -> tuple[str | None, bytes]:
    """How an answer was encoded, and what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    connection.request("GET", "/", headers=headers)
    response = connection.getresponse()
    encoding, body = response.getheader("Content-Encoding"), response.read()
    connection.close()
    return encoding, gzip.decompress(body) if encoding == "gzip" else body


def test_a_request_is_tried_again_as_often_as_the_pool_says(
    haproxy: Haproxy, version: HaproxyVersion, web: WebMember, other: WebMember
) -> None:
    web.dies = other.dies = True
    for retries in (0, 2):
        web.received.clear()
        other.received.clear()
        haproxy.start(config(Case((replace(POOL, retries=retries),), SITE), version).text)
        all_up(haproxy, ("site", "w1"), ("site", "w2"))
        assert ask()[0] in (0, 502, 503)
        assert len(web.received) + len(other.received) == 1 + retries
        haproxy.stop()
