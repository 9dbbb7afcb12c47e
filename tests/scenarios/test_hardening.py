"""Invariant 7, least privilege, on the containers that `up` really made: from Docker's side and from inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.stage import Stage

from dockgate.lab import Lab

pytestmark = pytest.mark.lab

PASSWORD = "a-password-that-nobody-else-has"
NODE_CAPABILITIES = {"NET_ADMIN": 12, "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_ADMIN": 21, "SYS_PTRACE": 19}
"""By their numbers in linux/capability.h."""


@dataclass
class Play:
    """The running example with a password of its own; a load balancer on docker1 and a node container everywhere."""

    stage: Stage
    file: Path
    balancer: str
    node: str

    def inspect(self, container: str, host: str = "docker1") -> dict[str, Any]:
        (found,) = json.loads(self.stage.lab.docker(host, "inspect", container).stdout)
        assert isinstance(found, dict)
        return found

    def run(self, container: str, script: str, user: str = "") -> tuple[int, str]:
        words = ["exec", *(["-u", user] if user else []), container, "sh", "-c", script]
        done = self.stage.lab.docker("docker1", *words, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def first(self, container: str) -> int:
        """The number of its first process, inside: the node container sees the host's."""
        found = self.inspect(container)
        return int(found["State"]["Pid"]) if found["HostConfig"]["PidMode"] == "host" else 1

    def status(self, container: str) -> Mapping[str, str]:
        """The first process's status as it is seen inside, by field."""
        _, text = self.run(container, f"cat /proc/{self.first(container)}/status")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.fixture(scope="module")
def play(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    stage = Stage(lab, tmp_path_factory.mktemp("hardening"))
    try:
        file = stage.example("01-overlay")
        secret = file.parent / "secrets/lbstats"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        stage.up(file)
        words = ["ps", "--format", "{{.Names}}", "--filter", "label=dockgate.project=example"]
        (node,) = lab.docker("docker1", *words, "--filter", "label=dockgate.kind=node").stdout.split()
        yield Play(stage, file, stage.balancer(file, "web"), node)
    finally:
        stage.clear()


def test_haproxy_runs_as_nobody_in_particular_without_a_single_capability(play: Play) -> None:
    inside = play.status(play.balancer)
    assert set(inside["Uid"].split()) == set(inside["Gid"].split()) == {"99"}
    assert {inside[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert inside["NoNewPrivs"] == "1"


def test_every_process_of_the_load_balancer_is_as_confined_as_the_first(play: Play) -> None:
    script = "for p in /proc/[0-9]*; do grep -E '^(Uid|CapEff|NoNewPrivs):' $p/status; done 2>/dev/null | sort -u"
    _, said = play.run(play.balancer, script)
    assert said.splitlines() == [f"CapEff:\t{'0' * 16}", "NoNewPrivs:\t1", "Uid:\t99\t99\t99\t99"]


@pytest.mark.parametrize("who", ["balancer", "node"])
def test_nothing_can_be_written_outside_its_own_places(play: Play, who: str) -> None:
    container = getattr(play, who)
    for place in ("/", "/usr/local/bin", "/root", "/etc", "/tmp"):
        code, said = play.run(container, f"touch {place}/anything", user="0")
        assert code != 0, f"{who} could write to {place}"
        assert "Read-only file system" in said, f"{place}: {said}"


@pytest.mark.parametrize("who", ["balancer", "node"])
def test_processes_and_memory_have_limits(play: Play, who: str) -> None:
    limits = play.inspect(getattr(play, who))["HostConfig"]
    assert 0 < limits["PidsLimit"] <= 256
    assert 0 < limits["Memory"] <= 512 << 20
    assert limits["MemorySwap"] == limits["Memory"], "swap would be a way around the limit"
    container = play.inspect(getattr(play, who))
    _, said = play.run(getattr(play, who), f"cat /proc/{play.first(getattr(play, who))}/cgroup")
    assert container["Id"] in said, said


@pytest.mark.parametrize("who", ["balancer", "node"])
def test_no_container_of_ours_sees_the_docker_socket_or_any_folder_of_the_host(play: Play, who: str) -> None:
    container = play.inspect(getattr(play, who))
    assert not container["HostConfig"]["Binds"]
    assert {mount["Type"] for mount in container["Mounts"]} <= {"volume"}
    assert not container["HostConfig"]["Privileged"]
    assert not container["HostConfig"]["Devices"]
    assert container["HostConfig"]["PidMode"] == ("host" if who == "node" else "")
    _, sockets = play.run(getattr(play, who), "find / -xdev -type s 2>/dev/null; find /run -type s")
    assert [path for path in sockets.splitlines() if not path.startswith("/run/haproxy/")] == []


def test_haproxy_may_read_its_configuration_and_nobody_but_root_may_write_it(play: Play) -> None:
    _, modes = play.run(play.balancer, "stat -c '%u %g %a' /etc/haproxy/haproxy.cfg; stat -c '%u %a' /etc/haproxy")
    file, folder = modes.splitlines()
    assert file == "0 99 640"
    assert folder.startswith("0 ")
    assert play.run(play.balancer, "head -c1 /etc/haproxy/haproxy.cfg")[0] == 0
    for script in (
        "echo >> /etc/haproxy/haproxy.cfg",
        "touch /etc/haproxy/candidate.cfg",
        "rm -f /etc/haproxy/haproxy.cfg",
        "mv /etc/haproxy/haproxy.cfg /etc/haproxy/x",
    ):
        code, said = play.run(play.balancer, script)
        assert code != 0, f"HAProxy's user could: {script}"
        assert "ermission denied" in said, f"{script}: {said}"
    assert play.run(play.balancer, "cat /etc/haproxy/haproxy.cfg", user="1000:1000")[0] != 0, "world-readable"


def test_the_runtime_socket_is_for_haproxys_own_user(play: Play) -> None:
    _, said = play.run(play.balancer, "stat -c '%u %a' /run/haproxy /run/haproxy/*.sock")
    assert {line.split()[0] for line in said.splitlines()} == {"99"}
    assert {line.split()[1] for line in said.splitlines()} <= {"700", "600"}


@pytest.mark.parametrize("host", ["docker1", "docker2", "docker3"])
def test_the_node_container_may_do_what_probes_and_proofs_need_and_nothing_else(play: Play, host: str) -> None:
    added = {name.removeprefix("CAP_") for name in play.inspect(play.node, host)["HostConfig"]["CapAdd"]}
    assert added == set(NODE_CAPABILITIES)
    assert play.inspect(play.node, host)["HostConfig"]["CapDrop"] == ["ALL"]
    status = play.status(play.node)
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {
        sum(1 << bit for bit in NODE_CAPABILITIES.values())
    }
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("host", ["docker1", "docker2", "docker3"])
def test_the_node_container_listens_nowhere(play: Play, host: str) -> None:
    """It shares the host's network, so a socket of it would be a socket of the host: it must have none at all."""
    pid = play.inspect(play.node, host)["State"]["Pid"]
    done = play.stage.lab.exec(host, ["ls", "-l", f"/proc/{pid}/fd"], check=True)
    assert "pipe:" in done.stdout, f"the control failed: no file of process {pid} is seen"
    assert "socket:" not in done.stdout
    assert not play.inspect(play.node, host)["HostConfig"]["PortBindings"]


def test_no_label_environment_or_command_line_holds_a_secret(play: Play) -> None:
    config = play.stage.dockgate("config", play.file, "web").stdout
    (hashed,) = {word for line in config.splitlines() if " password " in line for word in line.split() if "$6$" in word}
    for host in play.stage.lab.hosts:
        for kind in ("container", "volume", "network"):
            words = ["ls", *(["-a"] if kind == "container" else []), "-q"]
            names = play.stage.lab.docker(host, kind, *words).stdout.split()
            said = play.stage.lab.docker(host, kind, "inspect", *names).stdout if names else ""
            assert PASSWORD not in said, f"{kind} on {host}"
            assert hashed not in said, f"{kind} on {host}"


def test_a_secret_that_everybody_can_read_is_said_to_be_and_one_for_us_alone_is_not(play: Play) -> None:
    secret = play.file.parent / "secrets/lbstats"
    assert "chmod 600" not in play.stage.dockgate("plan", play.file, code=None).stderr
    secret.chmod(0o644)
    try:
        for verb in ("check", "plan", "up"):
            done = play.stage.dockgate(verb, play.file, code=None)
            said = done.stdout + done.stderr
            assert "everyone on this machine can read the secret file 'secrets/lbstats': chmod 600" in said, verb
            assert PASSWORD not in said
    finally:
        secret.chmod(0o600)
