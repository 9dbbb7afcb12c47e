"""Docker and hosts restart, dockgate is dead: the VIPs answer again by themselves, members leave and rejoin.

No dockgate runs between the `up` at the start and the `plan` at the end, which must find nothing to do: everything
in between is the work of Docker's restart policies, Docker's DNS and HAProxy's checks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.scenarios.stage import LOST_ITS_SWARM, Stage, engine_restarted, eventually

from dockgate.lab import Lab
from dockgate.lab.faults import container_crashed, container_killed, engine_killed, powered_off
from dockgate.lab.lab import AWAY_S

pytestmark = pytest.mark.lab

PROJECT = "restart"
SHARED = "http://docker1.lab.lab:8300/"
OWN = "http://10.10.10.160/"
GIVEN_UP = re.compile(rf"{LOST_ITS_SWARM}|network \S+ not found")
BOTH = {"restart1", "restart2"}


def text(lab: Lab) -> str:
    names = "\n".join(
        f'  {name}: {{engine: "unix:///run/dockgate-lab/{name}/docker.sock", address: {lab.address(name)}}}'
        for name in ("docker1", "docker2")
    )
    return (
        f"project: {PROJECT}\nhosts:\n{names}\n"
        "networks: {restart_net: {driver: overlay, internal: true}}\n"
        "vips:\n"
        "  shared: {hosts: [docker1], listen: [{port: 8300}], pool: web}\n"
        "  own: {hosts: [docker1], address: 10.10.10.160, listen: [{port: 80}], pool: web}\n"
        "pools: {web: {network: restart_net, port: 80, members: [restart1, restart2], check: {path: /healthy}}}\n"
    )


@dataclass
class Play:
    stage: Stage
    file: Path

    def serving(self, url: str) -> set[str]:
        """Who answers a few requests; empty unless all of them are answered."""
        answers = [self.stage.get(url) for _ in range(4)]
        return {body for _, body in answers} if {status for status, _ in answers} == {200} else set()

    def answers_from_both(self, url: str) -> bool:
        return self.serving(url) == BOTH

    def whole(self, within_s: float = 60.0) -> float:
        """Wait until both VIPs answer from both members; the seconds it took."""
        started = time.monotonic()
        for url in (SHARED, OWN):
            eventually(partial(self.answers_from_both, url), f"{url} answers from both members", within_s=within_s)
        return time.monotonic() - started

    def whole_by_itself(self) -> float:
        """As ``whole``, but for what Docker itself gave up, which is told and started as docs/troubleshooting.md says:
        an engine that comes back asks its Swarm for each container's place on an overlay network, sometimes gets no
        answer to one (2 of 3 power cuts on one day, 0 of 8 on another), and after 20 s does not ask again."""
        try:
            return self.whole(within_s=45)
        except AssertionError:
            given_up = [(host, name) for host in ("docker1", "docker2") for name in self.given_up(host)]
            if not given_up:
                raise
            print("Docker gave up:", ", ".join(f"{name} on {host}" for host, name in given_up))
            for host, name in given_up:
                eventually(partial(self.started, host, name), f"{name} can be started by hand", within_s=90)
            return self.whole()

    def given_up(self, host: str) -> list[str]:
        """The containers that Docker did not start, and will not, because it could not attach them."""
        docker = partial(self.stage.lab.docker, host)
        names = docker("ps", "-a", "--filter", "status=exited", "--format", "{{.Names}}").stdout.split()
        errors = {name: docker("inspect", name, "--format", "{{.State.Error}}").stdout for name in names}
        return [name for name, error in errors.items() if GIVEN_UP.search(error)]

    def started(self, host: str, name: str) -> bool:
        return self.stage.lab.docker(host, "start", name, check=False).returncode == 0


@pytest.fixture(scope="module")
def play(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Both VIPs serve. One member lives beside the load balancers, one on another host; both have a restart policy."""
    stage = Stage(lab, tmp_path_factory.mktemp("restart"))
    try:
        file = stage.write(text(lab))
        stage.up(file)
        for host, name in (("docker1", "restart1"), ("docker2", "restart2")):
            stage.start(host, name, network="restart_net", options=["--restart", "always"])
        play = Play(stage, file)
        play.whole()
        yield play
    finally:
        stage.clear()


@pytest.mark.parametrize("fault", [engine_killed, engine_restarted, powered_off])
def test_vips_and_members_come_back_by_themselves(play: Play, fault: Callable[..., object]) -> None:
    """A VIP on the host's own address and one with an address of its own, which must be there before it starts."""
    with fault(play.stage.lab, "docker1"):  # type: ignore[attr-defined]
        missed_at = time.monotonic() + AWAY_S
        assert play.serving(OWN) == set() or fault is engine_killed
        eventually(lambda: time.monotonic() > missed_at, "the others have missed it", within_s=2 * AWAY_S)
    seconds = play.whole_by_itself()
    print(f"{fault.__name__} docker1: both VIPs whole {seconds:.1f} s after its Docker answered")
    assert "10.10.10.160" in play.stage.lab.exec("docker1", ["ip", "-4", "addr"]).stdout


def test_a_members_host_that_loses_power_leaves_the_pool_and_rejoins_when_it_is_back(play: Play) -> None:
    with powered_off(play.stage.lab, "docker2"):
        eventually(lambda: play.serving(SHARED) == {"restart1"}, "only the living member answers", within_s=10)
    seconds = play.whole_by_itself()
    print(f"powered_off docker2: member back {seconds:.1f} s after its Docker answered")


@pytest.mark.parametrize("fault", [container_killed, container_crashed])
def test_with_dockgate_dead_dead_members_leave_and_returning_ones_rejoin(
    play: Play, fault: Callable[..., object]
) -> None:
    with play.stage.load(SHARED, rate=200, connections=8) as load, fault(play.stage.lab, "docker2", "restart2"):  # type: ignore[attr-defined]
        if fault is container_killed:
            eventually(lambda: play.serving(SHARED) == {"restart1"}, "only the living member answers")
        load.observe(1)
    assert load.report.failed == 0, str(load.report)
    play.whole()


def test_a_crashed_load_balancer_is_started_again_by_docker(play: Play) -> None:
    name = play.stage.balancer(play.file, "own")
    with container_crashed(play.stage.lab, "docker1", name):
        play.whole(within_s=15)


def test_after_all_of_this_there_is_nothing_to_do(play: Play) -> None:
    assert "nothing to do" in play.stage.plan(play.file)


def test_up_starts_a_workers_load_balancer_that_docker_gave_up_after_a_crash(play: Play) -> None:
    """An engine that is back before the Swarm has missed it joins no overlay network for half a minute, and Docker does
    not try a second time to start what is on one."""
    stage = play.stage
    on_worker = "  far: {hosts: [docker2], listen: [{port: 8301}], pool: web}\n  own:"
    stage.edit(play.file, "  own:", on_worker)
    stage.up(play.file)
    with engine_killed(stage.lab, "docker2"):
        pass
    stage.up(play.file)
    assert play.serving("http://docker2.lab.lab:8301/") >= {"restart1"}
