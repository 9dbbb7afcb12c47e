"""What every test of the real HAProxy says: pools, requests, changes carried out."""

from __future__ import annotations

import http.client
from dataclasses import replace

from tests.contract.haproxy_process import Haproxy, wait_until
from tests.golden.haproxy.cases import VIP, Case

from dockgate.haproxy.build import ResolvedServer
from dockgate.haproxy.render import render
from dockgate.haproxy.runtime import commands, parse_command_output
from dockgate.model.actions import HaproxyConfig, ServerChange
from dockgate.model.desired import (
    ByName,
    Check,
    HaproxyVersion,
    Listen,
    Member,
    Pool,
)

CHECK = Check(method="GET", path="/check", interval_ms=500)
NAMED = Pool("named", ByName((Member("w1"), Member("w2"))), 8080, "back", check=CHECK)


def config(case: Case, version: HaproxyVersion) -> HaproxyConfig:
    return render(case.tree(version))


def one_pool(pool: Pool, *resolved: ResolvedServer) -> Case:
    return Case((pool,), replace(VIP, listens=(Listen(80, pool=pool.name),)), {pool.name: resolved})


def ask(path: str = "/", method: str = "GET", port: int = 80, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """One request to the VIP over a connection of its own: status and body; 0 when the connection just closed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body or None, headers=named)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except http.client.RemoteDisconnected:
        return 0, ""
    finally:
        connection.close()


def carry_out(haproxy: Haproxy, wanted: tuple[ServerChange, ...]) -> None:
    for change in wanted:
        for command in commands(change):
            assert parse_command_output(haproxy.ask(command)) is None, command


def all_up(haproxy: Haproxy, *servers: tuple[str, str]) -> None:
    wait_until(lambda: all(haproxy.status(*each) == "UP" for each in servers), f"{servers} up")
