"""The lab itself, for real: what it makes, what it breaks, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dockgate.lab import Lab, faults, net
from dockgate.lab.address import plan_lab
from dockgate.lab.cleanup import inhabitants
from dockgate.lab.errors import NotRight, NotUp
from dockgate.lab.paths import LabPaths, cache_dir
from dockgate.lab.process import Process, wait_until
from dockgate.lab.state import read_state, write_state
from dockgate.lab.status import lab_status

pytestmark = pytest.mark.lab

NAME = "dockgate-test"
OTHER = "dockgate-other"
DOCKGATE = [str(Path(sys.executable).with_name("dockgate"))]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of two hosts that tests may break as long as they mend it."""
    Lab.remove(NAME)
    lab = Lab.up(NAME, hosts=2)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def web(lab: Lab) -> str:
    """A web container on docker2 that restarts by itself, published on port 8080."""
    lab.docker("docker2", "run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", "dockgate/web:1")
    wait_until(lambda: answers(lab), seconds=20, what="the web container never answered")
    return "web"


@pytest.fixture
def other() -> Iterator[str]:
    """The name of a second lab, removed before and after."""
    Lab.remove(OTHER)
    yield OTHER
    Lab.remove(OTHER)


def curl(lab: Lab, url: str) -> subprocess.CompletedProcess[str]:
    return lab.client_exec("curl", "--silent", "--show-error", "--max-time", "1", url)


def answers(lab: Lab) -> bool:
    return curl(lab, "http://docker2.lab.lab:8080/").returncode == 0


def soon(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, seconds=30, what=what)


def dockgate(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DOCKGATE, "lab", *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def traces(name: str) -> list[str]:
    """Everything on this machine that carries a lab's mark."""
    paths = LabPaths.of(name)
    found = net.existing(plan_lab(name, 3).namespaces())
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]
    found += [str(path) for path in (paths.run, paths.disks) if path.exists()]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{name}")]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(name)]
    return found


# --- what is there


def test_every_host_runs_an_engine_that_is_part_of_one_swarm(lab: Lab) -> None:
    hosts = lab_status(lab)
    assert [(one.name, one.address, one.role) for one in hosts] == [
        ("docker1", "192.168.50.11", "manager"),
        ("docker2", "192.168.50.12", "worker"),
    ]
    assert all(one.powered and one.linked and one.engine and one.version.startswith("26.1.5") for one in hosts)


@pytest.mark.parametrize("host", ["docker1", "docker2"])
def test_our_images_are_on_every_host(lab: Lab, host: str) -> None:
    listed = lab.docker(host, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert {"dockgate/haproxy:3.2-1", "dockgate/haproxy:3.0-1", "dockgate/node:3", "dockgate/web:1"} <= set(listed)


@pytest.mark.parametrize("version", ["3.2", "3.0"])
def test_the_load_balancer_image_is_labelled_and_runs_as_nobody_in_particular(lab: Lab, version: str) -> None:
    image = f"dockgate/haproxy:{version}-1"
    config = json.loads(lab.docker("docker1", "image", "inspect", image).stdout)[0]["Config"]
    assert config["Labels"]["dockgate.haproxy"].startswith(f"{version}.")
    assert (config["User"], config["StopSignal"]) == ("99:99", "SIGUSR1")
    said = lab.docker("docker1", "run", "--rm", "--entrypoint", "sh", image, "-c", "haproxy -v; socat -V; id").stdout
    assert f"HAProxy version {version}." in said
    assert "socat version" in said
    assert "uid=99 gid=99" in said


def test_a_container_is_reached_over_an_internal_overlay_from_another_host(lab: Lab) -> None:
    lab.docker("docker1", "network", "create", "-d", "overlay", "--internal", "--attachable", "inside")
    lab.docker("docker2", "run", "-d", "--name", "member", "--network", "inside", "dockgate/web:1")
    ask = "import urllib.request; print(urllib.request.urlopen('http://member/', timeout=5).status)"
    said = lab.docker("docker1", "run", "--rm", "--network", "inside", "dockgate/node:3", "python3", "-c", ask)
    assert said.stdout.strip() == "200"
    lab.docker("docker2", "rm", "-f", "member")
    lab.docker("docker1", "network", "rm", "inside")


def test_the_client_resolves_the_hosts_names(lab: Lab) -> None:
    assert lab.client_exec("getent", "hosts", "docker1.lab.lab").stdout.split()[0] == "192.168.50.11"


def test_the_client_reaches_a_published_port(lab: Lab, web: str) -> None:
    assert answers(lab)


def test_an_address_of_its_own_for_a_vip_is_reached_from_the_client_on_whichever_host_it_is(lab: Lab, web: str) -> None:
    lab.exec("docker2", ["ip", "address", "add", "10.10.10.150/32", "dev", "eth0"], check=True)
    try:
        assert curl(lab, "http://10.10.10.150:8080/").returncode == 0
    finally:
        lab.exec("docker2", ["ip", "address", "del", "10.10.10.150/32", "dev", "eth0"], check=True)


def test_the_client_sees_this_machines_files(lab: Lab) -> None:
    assert lab.client_exec("cat", __file__).stdout == Path(__file__).read_text()


def test_ops_uses_docker_over_ssh_from_the_client(lab: Lab) -> None:
    done = lab.client_exec("ssh", "ops@docker2.lab.lab", "docker", "version", "--format", "{{.Server.Version}}")
    assert done.stdout.startswith("26.1.5"), done.stderr


LOOK_UPS = """
import socket, time
began = time.monotonic()
for number in range(20):
    try:
        socket.getaddrinfo(f"name{number}.example.org", 80)
        raise SystemExit("resolved")
    except socket.gaierror:
        pass
print(time.monotonic() - began)
"""


def test_many_look_ups_of_names_outside_fail_at_once_in_a_container(lab: Lab) -> None:
    """Locks: the kernel's limit on refusals made every look-up but the first one wait four seconds for the engine."""
    lab.docker("docker1", "network", "create", "plain")
    said = lab.docker("docker1", "run", "--rm", "--network", "plain", "dockgate/node:3", "python3", "-c", LOOK_UPS)
    lab.docker("docker1", "network", "rm", "plain")
    assert float(said.stdout) < 3


@pytest.mark.parametrize("where", ["docker1", "client"])
def test_a_look_up_of_a_name_outside_fails_at_once(lab: Lab, where: str) -> None:
    began = time.monotonic()
    assert lab.exec(where, ["getent", "hosts", "registry.example.org"]).returncode != 0
    assert time.monotonic() - began < 4.5  # one time-out of the resolver is 5 s


def test_there_is_no_route_out(lab: Lab) -> None:
    for where in ("docker1", "client"):
        assert "default" not in lab.exec(where, ["ip", "route"], check=True).stdout


def test_this_machines_own_namespace_gets_no_address_of_the_lab(lab: Lab) -> None:
    own = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
    assert "192.168.50." not in own
    assert "10.10.10." not in own


# --- exec


@pytest.mark.parametrize("where", ["docker1", "client"])
def test_exec_passes_the_exit_code_through(lab: Lab, where: str) -> None:
    assert dockgate("exec", "--name", NAME, where, "--", "sh", "-c", "exit 7").returncode == 7


def test_exec_passes_standard_input_through(lab: Lab) -> None:
    assert lab.exec("docker1", ["cat"], input="hello").stdout == "hello"
    assert lab.exec("client", ["cat"], input="hello").stdout == "hello"


def test_exec_in_a_host_that_is_not_there_names_the_ones_that_are(lab: Lab) -> None:
    done = dockgate("exec", "--name", NAME, "docker9", "--", "true")
    assert done.returncode == 1
    assert "docker1, docker2, client" in done.stderr


def test_the_status_table_fits_80_columns(lab: Lab) -> None:
    table = dockgate("status", "--name", NAME).stdout
    assert "docker2" in table
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80


@pytest.mark.parametrize("where", ["docker1", "client"])
def test_what_is_spawned_ends_with_the_process_that_spawned_it(lab: Lab, where: str) -> None:
    namespace = lab.plan.client if where == "client" else lab.host_plan(where).netns
    run = lab.spawn(where, ["sleep", "4321"])
    try:
        soon(lambda: sleepers(namespace), "it does not start")
        (there,) = sleepers(namespace)
    finally:
        run.kill()
        run.wait()
    soon(lambda: not there.alive, "it outlived the process that spawned it")


def sleepers(namespace: str) -> list[Process]:
    """Those in the namespace that run `sleep 4321`; one that is just ending has no command line any more."""
    return [process for process in inhabitants([namespace]) if command_line(process) == b"sleep\x004321\x00"]


def command_line(process: Process) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process.pid}/cmdline").read_bytes()
    return b""


# --- up and down


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    before = read_state(lab.paths.state)
    swarm = lab.docker("docker1", "node", "ls", "-q").stdout
    Lab.up(NAME, hosts=2)
    assert read_state(lab.paths.state) == before
    assert lab.docker("docker1", "node", "ls", "-q").stdout == swarm


def test_up_loads_an_image_that_a_host_has_lost(lab: Lab) -> None:
    lab.docker("docker2", "image", "rm", "-f", "dockgate/haproxy:3.0-1")
    Lab.up(NAME, hosts=2)
    assert "3.0." in lab.docker("docker2", "image", "inspect", "dockgate/haproxy:3.0-1").stdout


def test_up_refuses_another_number_of_hosts_than_it_has(lab: Lab) -> None:
    with pytest.raises(NotRight, match="with 2 hosts, not 3"):
        Lab.up(NAME, hosts=3)


def test_two_labs_have_the_same_addresses_and_down_leaves_the_other_alone(lab: Lab, other: str) -> None:
    before = read_state(lab.paths.state)
    second = Lab.up(other, hosts=2)
    assert second.address("docker1") == lab.address("docker1")
    assert {one.netns for one in second.plan.hosts}.isdisjoint(one.netns for one in lab.plan.hosts)
    alive = list(inhabitants(second.plan.namespaces()))
    assert len(alive) >= 4
    second.down()
    assert traces(other) == []
    assert [process for process in alive if process.alive] == []
    assert read_state(lab.paths.state) == before
    assert all(one.powered and one.linked and one.engine for one in lab_status(lab))


def test_down_of_a_lab_that_is_not_there_says_so_and_succeeds(other: str) -> None:
    done = dockgate("down", "--name", other)
    assert done.returncode == 0
    assert "nothing to remove" in done.stdout


INTERRUPTIONS: dict[str, Callable[[LabPaths], bool]] = {
    "as soon as the state is written": lambda paths: paths.state.exists(),
    "while the LAN is made": lambda paths: bool(net.existing([f"{OTHER}-lan"])),
    "while the disks are copied": lambda paths: (paths.disk("docker1") / "docker").exists(),
    "while the first host boots": lambda paths: (paths.host("docker1") / "boot.log").exists(),
    "while the second host boots": lambda paths: (paths.host("docker2") / "boot.log").exists(),
    "when an engine answers": lambda paths: paths.socket("docker1").exists(),
}


@pytest.mark.parametrize("moment", INTERRUPTIONS)
def test_an_up_killed_at_any_moment_can_be_run_again_and_be_removed(other: str, moment: str) -> None:
    paths = LabPaths.of(other)
    with subprocess.Popen([*DOCKGATE, "lab", "up", "--name", other, "--hosts", "2"], stderr=subprocess.DEVNULL) as run:
        soon(lambda: INTERRUPTIONS[moment](paths) or run.poll() is not None, f"it never came to: {moment}")
        run.kill()
    state = read_state(paths.state)
    assert state is not None
    assert not state.complete, "killed too late for this test to say anything"
    with pytest.raises(NotUp, match="interrupted"):
        Lab.open(other)
    lab = Lab.up(other, hosts=2)
    assert all(one.engine for one in lab_status(lab))
    lab.down()
    assert traces(other) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_an_up_ended_while_it_fills_the_cache_leaves_no_process_and_nothing_half_made(
    tmp_path: Path, other: str, number: signal.Signals, code: int
) -> None:
    env = {**os.environ, "DOCKGATE_CACHE": str(tmp_path / "cache")}
    mark = f"DOCKGATE_CACHE={tmp_path}".encode()
    with subprocess.Popen([*DOCKGATE, "lab", "up", "--name", other], env=env, stderr=subprocess.DEVNULL) as run:
        soon(lambda: len(list(tmp_path.glob("cache/tmp/*/*"))) >= 2, "it never began to make file systems")
        run.send_signal(number)
        assert run.wait(timeout=5) == code
    soon(lambda: not running_with(mark), "what it had started is still running")
    assert list((tmp_path / "cache" / "rootfs").iterdir()) == []
    assert not LabPaths.of(other).state.exists()


def running_with(mark: bytes) -> list[Process]:
    """The processes that have a variable of this value in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            process = Process.of(int(entry.name))
            if mark in environment and process:
                found.append(process)
    return found


def test_down_removes_a_lab_whose_processes_are_gone(other: str) -> None:
    lab = Lab.up(other, hosts=1)
    process = lab.process("docker1")
    assert process
    process.end()
    assert net.existing(lab.plan.namespaces())
    assert Lab.remove(other)
    assert traces(other) == []


def test_down_ends_processes_that_were_never_recorded(other: str) -> None:
    lab = Lab.up(other, hosts=1)
    state = read_state(lab.paths.state)
    process = lab.process("docker1")
    assert state
    assert process
    write_state(lab.paths.state, replace(state, processes={}, complete=False))
    assert Lab.remove(other)
    assert not process.alive
    assert traces(other) == []


def test_up_refuses_a_namespace_that_somebody_else_made(other: str) -> None:
    subprocess.run(["ip", "netns", "add", f"{other}-lan"], check=True)
    try:
        with pytest.raises(NotRight, match="no lab's state file"):
            Lab.up(other, hosts=1)
        assert net.existing([f"{other}-lan"])
    finally:
        subprocess.run(["ip", "netns", "delete", f"{other}-lan"], check=True)


# --- faults


def state_of(lab: Lab, container: str) -> str:
    return lab.docker("docker2", "inspect", "-f", "{{.State.Status}}", container).stdout.strip()


@pytest.mark.parametrize(("kind", "while_it_lasts"), [("stop", "exited"), ("kill", "exited"), ("pause", "paused")])
def test_a_containers_fault_is_there_and_then_undone(lab: Lab, web: str, kind: str, while_it_lasts: str) -> None:
    with faults.named_fault(lab, kind, "docker2/web"):
        assert state_of(lab, web) == while_it_lasts
        assert not answers(lab)
    assert state_of(lab, web) == "running"
    soon(lambda: answers(lab), "the container is back, but does not answer")


def test_a_crash_is_undone_by_the_containers_own_restart_policy(lab: Lab, web: str) -> None:
    with faults.container_crashed(lab, "docker2", web):
        soon(lambda: state_of(lab, web) == "running", "its restart policy did not bring it back")
    assert lab.docker("docker2", "inspect", "-f", "{{.RestartCount}}", web).stdout.strip() != "0"


def test_a_fault_is_undone_when_its_block_fails(lab: Lab, web: str) -> None:
    with pytest.raises(ZeroDivisionError), faults.container_paused(lab, "docker2", web):
        raise ZeroDivisionError
    assert state_of(lab, web) == "running"


def test_undoing_is_content_with_a_container_that_was_removed_meanwhile(lab: Lab) -> None:
    lab.docker("docker2", "run", "-d", "--name", "brief", "dockgate/web:1")
    with faults.container_killed(lab, "docker2", "brief"):
        lab.docker("docker2", "rm", "-f", "brief")


def test_killing_an_engine_leaves_containers_running_and_is_undone_by_starting_it(lab: Lab, web: str) -> None:
    with faults.engine_killed(lab, "docker2"):
        assert not lab.engine("docker2").answers()
        assert answers_from_inside(lab)
    assert lab.engine("docker2").answers()
    soon(lambda: answers(lab), "the container did not come back with its engine")


def answers_from_inside(lab: Lab) -> bool:
    """True if the web container's own process lives, whatever became of the engine's port forwarding."""
    listed = lab.exec("docker2", ["pgrep", "-f", "web.py"])
    return listed.returncode == 0


def test_pausing_an_engine_makes_it_silent_but_not_its_containers(lab: Lab, web: str) -> None:
    with faults.engine_paused(lab, "docker2"):
        asked = lab.exec("docker2", ["curl", "-sm", "1", "--unix-socket", "/run/docker.sock", "http://d/_ping"])
        assert asked.returncode == 28  # curl: it connected, and nothing came
        assert answers(lab)
    assert lab.engine("docker2").answers()


def test_cutting_a_link_isolates_a_host_and_healing_it_brings_it_back(lab: Lab, web: str) -> None:
    with faults.link_cut(lab, "docker2"):
        assert not answers(lab)
        assert state_of(lab, web) == "running"
        assert not lab_status(lab)[1].linked
    soon(lambda: answers(lab), "the host does not answer over its healed link")


def test_cutting_the_clients_link_cuts_it_off_from_every_host(lab: Lab, web: str) -> None:
    with faults.link_cut(lab, "client"):
        assert not answers(lab)
    soon(lambda: answers(lab), "the client's link did not heal")


def test_a_power_cut_ends_everything_at_once_and_the_disk_is_kept(lab: Lab, web: str) -> None:
    lab.exec("docker2", ["sh", "-c", "echo kept > /root/note && sync"], check=True)
    lab.docker("docker2", "run", "-d", "--name", "fleeting", "dockgate/web:1")
    before = lab.process("docker2")
    with faults.powered_off(lab, "docker2"):
        assert lab.process("docker2") is None
        assert not net.existing([lab.host_plan("docker2").netns])
        assert curl(lab, "http://192.168.50.12:8080/").returncode in {7, 28}  # no answer, not even a refusal
        with pytest.raises(NotUp, match="power-on docker2"):
            lab.exec("docker2", ["true"])
    assert lab.process("docker2") not in {None, before}
    assert lab.exec("docker2", ["cat", "/root/note"]).stdout == "kept\n"
    soon(lambda: answers(lab), "the container with a restart policy did not come back")
    assert state_of(lab, "fleeting") == "exited"
    soon(lambda: ready_nodes(lab) == 2, "the host did not come back into the Swarm")
    lab.docker("docker2", "rm", "-f", "fleeting")


def ready_nodes(lab: Lab) -> int:
    return lab.docker("docker1", "node", "ls", "--format", "{{.Status}}").stdout.split().count("Ready")


def test_up_mends_a_lab_that_was_left_broken(lab: Lab, web: str) -> None:
    lab.power_off("docker1")
    lab.set_link("docker2", up=False)
    Lab.up(NAME, hosts=2)
    assert all(one.powered and one.linked and one.engine for one in lab_status(lab))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_fault_verb_undoes_its_fault_when_it_is_interrupted(lab: Lab, web: str, number: signal.Signals) -> None:
    argv = [*DOCKGATE, "lab", "fault", "--name", NAME, "pause", "docker2/web"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as run:
        soon(lambda: state_of(lab, web) == "paused", "the fault did not happen")
        run.send_signal(number)
        assert run.wait(timeout=20) == 0
    assert state_of(lab, web) == "running"


def test_the_fault_verb_undoes_its_fault_when_its_time_is_over(lab: Lab, web: str) -> None:
    done = dockgate("fault", "--name", NAME, "cut-link", "docker2", "--for", "0.2", "--output", "json")
    assert json.loads(done.stdout)["fault"] == "cut-link"
    assert lab_status(lab)[1].linked


def test_an_unknown_fault_or_a_target_that_does_not_fit_is_refused(lab: Lab) -> None:
    with pytest.raises(NotRight, match="there is no fault"):
        faults.named_fault(lab, "melt", "docker1")
    with pytest.raises(NotRight, match="HOST/CONTAINER"):
        faults.named_fault(lab, "stop", "docker1")


def test_a_container_that_somebody_left_paused_does_not_keep_its_host_from_losing_power(lab: Lab, web: str) -> None:
    lab.docker("docker2", "pause", web)
    lab.power_off("docker2")
    lab.power_on("docker2")
    assert state_of(lab, web) != "paused"


def test_power_and_link_verbs_do_what_they_say(lab: Lab, web: str) -> None:
    assert dockgate("link", "--name", NAME, "docker2", "down").returncode == 0
    assert dockgate("power-off", "--name", NAME, "docker2").returncode == 0
    assert json.loads(dockgate("status", "--name", NAME, "--output", "json").stdout)["hosts"][1]["powered"] is False
    assert dockgate("power-on", "--name", NAME, "docker2").returncode == 0
    assert all(one.powered and one.linked and one.engine for one in lab_status(lab))
    assert cache_dir().is_dir()
