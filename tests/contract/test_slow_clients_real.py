"""Clients that send a byte now and then, by the hundred: the others do not notice. Real HAProxy, latency measured."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.contract.haproxy_process import Haproxy, wait_until
from tests.contract.haproxy_stage import CHECK, all_up, config
from tests.contract.real_servers import RealServer
from tests.contract.slow_clients import HEADS
from tests.golden.haproxy.cases import VIP, Case

from dockgate.model.desired import Endpoint, Endpoints, HaproxyVersion, Listen, Pool

pytestmark = [pytest.mark.lab, pytest.mark.alone]
pytest_plugins = ["tests.contract.haproxy_fixtures", "tests.contract.server_fixtures"]

SLOW = 400
ROUNDS = 5


@contextmanager
def slow_clients(kind: str) -> Iterator[None]:
    words = [sys.executable, "-m", "tests.contract.slow_clients", str(SLOW), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin
        try:
            yield
            assert process.poll() is None
        finally:
            process.stdin.close()


def p99_ms(requests: int = 1500) -> float:
    """The 99th percentile of so many requests, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    took = []
    for _ in range(requests):
        began = time.perf_counter()
        connection.request("GET", "/victim.txt")
        response = connection.getresponse()
        response.read()
        took.append((time.perf_counter() - began) * 1000)
        assert response.status == 200
    connection.close()
    return sorted(took)[int(requests * 0.99)]


@pytest.mark.parametrize("kind", HEADS)
def test_hundreds_of_slow_clients_do_not_double_the_p99_of_others(
    haproxy: Haproxy, version: HaproxyVersion, real_servers: tuple[RealServer, ...], kind: str
) -> None:
    nginx = next(each for each in real_servers if each.name == "nginx")
    pool = Pool("site", Endpoints((Endpoint("n", nginx.address, 8080),)), 0, check=replace(CHECK, path="/check.txt"))
    haproxy.start(config(Case((pool,), replace(VIP, listens=(Listen(80, pool="site"),))), version).text)
    all_up(haproxy, ("site", "n"))
    p99_ms()
    normal, beside = [], []
    for _ in range(ROUNDS):
        normal.append(p99_ms())
        with slow_clients(kind):
            wait_until(lambda: haproxy_connections(haproxy) >= SLOW, "HAProxy has taken the slow clients")
            beside.append(p99_ms())
            assert haproxy_connections(haproxy) >= SLOW
        wait_until(lambda: haproxy_connections(haproxy) < 10, "the slow clients are gone")
    print(f"p99 {min(normal):.2f} ms alone, {min(beside):.2f} ms beside {SLOW} clients of {kind}")
    assert min(beside) <= 2 * min(normal), (normal, beside)
    assert not any(line.startswith("POST") for line in nginx.requests())


def haproxy_connections(haproxy: Haproxy) -> int:
    return int(next(line.split()[1] for line in haproxy.ask("show info").splitlines() if line.startswith("CurrConns:")))
