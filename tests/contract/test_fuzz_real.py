"""Malformed requests by the thousand at the real HAProxy: no crash, no restart, nothing of other clients in an answer.

`DOCKGATE_FUZZ=100000` sends so many to each version; `DOCKGATE_SEED=N` the ones of another seed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.contract.fuzz import malformed
from tests.contract.haproxy_process import Haproxy
from tests.contract.haproxy_stage import CHECK, all_up, config
from tests.contract.real_servers import RealServer
from tests.golden.haproxy.cases import VIP, Case

from dockgate.model.desired import Endpoint, Endpoints, HaproxyVersion, Listen, Pool

pytestmark = pytest.mark.lab
pytest_plugins = ["tests.contract.haproxy_fixtures", "tests.contract.server_fixtures"]

COUNT = int(os.environ.get("DOCKGATE_FUZZ", "3000"))
SEED = int(os.environ.get("DOCKGATE_SEED", "0")) or secrets.randbelow(10**6) + 1
SENDERS = 6
SECRET = re.compile(rb"[0-9a-f]{32}")


def test_malformed_requests_crash_nothing_and_see_nothing_of_other_clients(
    haproxy: Haproxy, version: HaproxyVersion, real_servers: tuple[RealServer, ...]
) -> None:
    node = next(each for each in real_servers if each.name == "node")
    pool = Pool("site", Endpoints((Endpoint("n", node.address, 8080),)), 0, check=replace(CHECK, path="/check.txt"))
    haproxy.start(config(Case((pool,), replace(VIP, listens=(Listen(80, pool="site"),))), version).text)
    all_up(haproxy, ("site", "n"))
    before = haproxy.running().pid
    other = OtherClient()
    try:
        with ThreadPoolExecutor(SENDERS) as senders:
            jobs = [senders.submit(sent, SEED + number, COUNT // SENDERS) for number in range(SENDERS)]
            answers = [answer for job in jobs for answer in job.result()]
    finally:
        other.end()
    leaked = {found for answer in answers for found in SECRET.findall(answer)} & set(other.secrets)
    refused = sum(answer.startswith(b"HTTP/1.1 400") for answer in answers)
    print(f"{len(answers)} malformed requests, seed {SEED}: {refused} refused with 400, {len(other.secrets)} good ones")
    assert leaked == set(), SEED
    assert other.wrong == [], SEED
    assert len(other.secrets) >= 10
    assert refused > len(answers) // 10
    assert haproxy.process is not None
    assert haproxy.process.poll() is None, SEED
    assert haproxy.running().pid == before, f"the worker of before is gone, seed {SEED}:\n{haproxy.log()[-2000:]}"


def sent(seed: int, count: int) -> list[bytes]:
    """The answers to so many; a request that HAProxy waits for the rest of has ended on our side."""
    said = []
    for data in malformed(seed, count):
        answer = b""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 80), timeout=1) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        said.append(answer)
    return said


class OtherClient:
    """Sends good requests all the while, each with a secret that its own answer repeats and no other may hold."""

    def __init__(self) -> None:
        self.secrets: list[bytes] = []
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
        while not self._over.wait(0.005):
            secret = secrets.token_hex(16)
            self.secrets.append(secret.encode())
            connection.request("GET", "/private", headers={"X-Secret": secret})
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
            if (response.status, body) != (200, secret):
                self.wrong.append(f"{response.status} {body[:80]}")
        connection.close()
