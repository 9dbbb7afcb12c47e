"""The firewall beside a real firewalld: what its reloads do to our rules and to Docker's, measured."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.scenarios.conftest import KEEP, SUITE
from tests.scenarios.firewalled import CONNECT, PUBLISHED
from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab
from dockgate.lab.kind import Kind
from dockgate.lab.progress import Progress

pytestmark = pytest.mark.lab

PORT = 8430
FILE = """\
project: reloaded
hosts: {docker1: {engine: "unix:///run/dockgate-lab/docker1/docker.sock", address: 192.168.50.11}}
networks: {inner: {driver: bridge, internal: true}}
vips: {web: {hosts: [docker1], listen: [{port: 8430}], pool: web}}
pools: {web: {network: inner, port: 80, members: [member], check: {path: /healthy}}}
firewall: {default: deny}
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One host with firewalld, a VIP, and a published port that the file closes."""
    name = f"{SUITE}-fwd"
    if not KEEP:
        Lab.remove(name)
    lab = Lab.up(name, hosts=1, kinds={"docker1": Kind(firewalld=True)}, progress=Progress())
    stage = Stage(lab, tmp_path_factory.mktemp("firewalld"))
    try:
        file = stage.write(FILE)
        stage.up(file)
        stage.start("docker1", "member", network="inner")
        stage.start("docker1", "loner", options=["-p", f"{PUBLISHED}:80"])
        stage.up(file)
        stage.members_up(file, "member")
        yield stage
    finally:
        stage.clear()
        if not KEEP:
            lab.down()


def test_firewalld_runs_and_docker_is_in_it(stage: Stage) -> None:
    """The precondition of all below."""
    assert stage.lab.exec("docker1", ["firewall-cmd", "--state"], check=True).stdout.strip() == "running"
    zone = stage.lab.exec("docker1", ["firewall-cmd", "--zone=docker", "--list-interfaces"], check=True).stdout
    assert "docker0" in zone


@pytest.mark.parametrize("reload", ["--reload", "--complete-reload"])
def test_a_reload_of_firewalld_leaves_the_policy_in_force_and_what_was_missing_is_told(
    stage: Stage, reload: str
) -> None:
    before = table(stage)
    told = absences(stage)
    with asked_all_the_time(stage) as opened:
        began = time.monotonic()
        stage.lab.exec("docker1", ["firewall-cmd", reload], check=True)
        eventually(lambda: table(stage) == before, "our table as it was", within_s=10, every_s=0.05)
        seconds = time.monotonic() - began
        eventually(lambda: stage.get(f"http://docker1.lab.lab:{PORT}/")[0] == 200, "the VIP answers", within_s=30)
        eventually(lambda: len(opened) > 5, "the closed port was asked often", within_s=30)
    missing = absences(stage)[len(told) :]
    print(f"\nfirewall-cmd {reload}: {seconds:.2f} s with the command; missing: {missing or 'never'}")
    assert True not in opened, "the closed port was open meanwhile"


def test_after_a_flush_beside_firewalld_ours_come_back_and_the_absence_is_told(stage: Stage) -> None:
    before, told = table(stage), absences(stage)
    began = time.monotonic()
    stage.lab.exec("docker1", ["nft", "flush", "ruleset"], check=True)
    eventually(lambda: table(stage) == before, "our table as it was", within_s=10, every_s=0.05)
    print(f"\nnft flush ruleset: ours were back after {time.monotonic() - began:.2f} s")
    more = eventually(lambda: absences(stage)[len(told) :], "the absence is told")
    assert "somebody removed or changed them" in more[-1]


def table(stage: Stage) -> str:
    return stage.lab.exec("docker1", ["nft", "-s", "list", "table", "inet", "dockgate"]).stdout


def absences(stage: Stage) -> list[str]:
    said = stage.dockgate("firewall status", stage.files[0], "-o", "json", code=None).stdout
    return [line for row in json.loads(said) for line in row["told"] if "not in force" in line]


@contextmanager
def asked_all_the_time(stage: Stage) -> Iterator[list[bool]]:
    """Whether the closed port was open, again and again."""
    opened: list[bool] = []
    over = threading.Event()
    program = CONNECT.replace("1.0", "0.2")

    def ask() -> None:
        while not over.is_set():
            done = stage.lab.client_exec(sys.executable, "-c", program, stage.lab.address("docker1"), str(PUBLISHED))
            opened.append(done.returncode == 0)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        eventually(lambda: opened, "a first question")
        yield opened
    finally:
        over.set()
        asking.join()
