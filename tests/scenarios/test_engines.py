"""Ways to an engine (ssh, a Docker context, the local default), engines that do not answer, files that are wrong."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.scenarios.killed import ours
from tests.scenarios.stage import DOCKGATE, Stage, eventually, inspected

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT
from dockgate.lab.faults import engine_paused, powered_off

pytestmark = pytest.mark.lab

PLAN_S = 25.0
"""How long a plan may take while a host does not answer."""


def run(
    argv: list[str], environment: Mapping[str, str] | None = None, *, timeout: float = 90
) -> tuple[int, str, float]:
    """Exit code, both streams and seconds."""
    started = time.monotonic()
    done = subprocess.run(
        argv,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, time.monotonic() - started


def in_client(lab: Lab, *words: str) -> list[str]:
    """dockgate as a person runs it on the client host, with the lab's ssh key and known hosts."""
    home = ["env", f"HOME={lab.paths.ssh}"]
    return lab.command(CLIENT, [*home, sys.executable, "-m", "dockgate", *words])


def text(engines: Mapping[str, tuple[str, str]], *, vip_host: str, network: bool = True) -> str:
    """A file with one VIP. ``engines``: engine and address of each host."""
    hosts = "\n".join(f'  {name}: {{engine: "{url}", address: {where}}}' for name, (url, where) in engines.items())
    return (
        f"project: engines\nhosts:\n{hosts}\n"
        "networks: {engines_net: {driver: bridge, internal: true}}\n"
        f"vips: {{v: {{hosts: [{vip_host}], listen: [{{port: 8500}}], pool: p}}}}\n"
        "pools: {p: {network: engines_net, port: 80, members: [engines1]}}\n"
    )


def unix(lab: Lab, host: str) -> tuple[str, str]:
    return f"unix://{lab.socket(host)}", lab.address(host)


@pytest.fixture
def docker_store(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Makes a Docker context in a store of its own; the environment that points there."""

    def make(name: str, url: str) -> dict[str, str]:
        environment = {"DOCKER_CONFIG": str(tmp_path / "docker-config")}
        code, said, _ = run(["docker", "context", "create", name, "--docker", f"host={url}"], environment)
        assert code == 0, said
        return environment

    return make


def test_a_host_is_driven_through_ssh_from_the_client(stage: Stage) -> None:
    lab = stage.lab
    over_ssh = {"docker2": ("ssh://ops@docker2.lab.lab", lab.address("docker2"))}
    file = stage.folder / "ssh" / "dockgate.yaml"
    file.parent.mkdir()
    file.write_text(text(over_ssh, vip_host="docker2"))
    stage.write(text({"docker2": unix(lab, "docker2")}, vip_host="docker2"))
    code, said, seconds = run(in_client(lab, "up", "--file", str(file)))
    assert code == 0, said
    print(f"first up through ssh: {seconds:.1f} s")
    stage.start("docker2", "engines1", network="engines_net")
    url = "http://docker2.lab.lab:8500/"
    eventually(lambda: stage.get(url) == (200, "engines1"), "the VIP made through ssh answers")
    code, said, seconds = run(in_client(lab, "plan", "--file", str(file)))
    assert (code, said.strip()) == (0, "nothing to do")
    print(f"plan through ssh: {seconds:.1f} s")
    file.write_text(file.read_text().replace("port: 80,", "port: 80, check: {path: /healthy},"))
    code, said, _ = run(in_client(lab, "up", "--file", str(file)))
    assert code == 0, said
    assert "(seamless)" in said
    assert json.loads(run(in_client(lab, "status", "-o", "json", "--file", str(file)))[1])["well"]
    lab.docker("docker2", "rm", "-f", "engines1")
    code, said, _ = run(in_client(lab, "down", "--file", str(file)))
    assert code == 0, said
    assert ours(lab, "engines") == set()


def test_a_docker_context_names_an_engine(stage: Stage, docker_store: Callable[[str, str], dict[str, str]]) -> None:
    lab = stage.lab
    environment = docker_store("docker3", f"unix://{lab.socket('docker3')}")
    by_context = {"docker3": ("context:docker3", lab.address("docker3"))}
    file = stage.folder / "context.yaml"
    file.write_text(text(by_context, vip_host="docker3"))
    stage.write(text({"docker3": unix(lab, "docker3")}, vip_host="docker3"))
    code, said, _ = run([*DOCKGATE, "up", "--file", str(file)], environment)
    assert code == 0, said
    assert stage.get("http://docker3.lab.lab:8500/")[0] == 503
    code, said, _ = run([*DOCKGATE, "plan", "--file", str(file)], environment)
    assert (code, said.strip()) == (0, "nothing to do")


def test_a_context_that_is_not_there_is_named_and_the_way_to_make_it(stage: Stage) -> None:
    file = stage.folder / "context.yaml"
    file.write_text(text({"docker3": ("context:nowhere", "192.168.50.13")}, vip_host="docker3"))
    code, said, _ = run([*DOCKGATE, "plan", "--file", str(file)], {"DOCKER_CONFIG": str(stage.folder)})
    assert code == 1
    assert "there is no Docker context 'nowhere'" in said
    assert "Traceback" not in said


def test_a_file_without_hosts_means_the_local_engine(stage: Stage) -> None:
    lab = stage.lab
    lines = text({"docker1": unix(lab, "docker1")}, vip_host="docker1").splitlines()
    stage.write("\n".join(lines) + "\n")
    local = [line.replace("hosts: [docker1], ", "") for line in lines if not line.startswith(("hosts:", "  docker1"))]
    file = stage.folder / "local.yaml"
    file.write_text("\n".join(local) + "\n")
    code, said, _ = run(where_docker_is_local(lab, stage.folder, "docker1", [*DOCKGATE, "up", "--file", str(file)]))
    assert code == 0, said
    assert stage.get("http://docker1.lab.lab:8500/")[0] == 503
    assert any(kind == "container" and "-v-" in name for _, kind, name in ours(lab, "engines"))


def where_docker_is_local(lab: Lab, folder: Path, host: str, argv: list[str]) -> list[str]:
    """The command in a mount namespace in which this host's engine is the machine's own, at /run/docker.sock."""
    script = """
mount --bind "$1" "$2" && mount -t tmpfs none /run && ln -s "$2/docker.sock" /run/docker.sock || exit 125
shift 2
exec "$@"
"""
    place = folder / "engine"
    place.mkdir()
    return ["unshare", "--mount", "sh", "-c", script, "local", str(lab.paths.host(host)), str(place), *argv]


# --- engines that do not answer


def two_vips(lab: Lab, third: str) -> str:
    """A VIP on docker1 and one on docker3, whose engine is given."""
    engines = {"docker1": unix(lab, "docker1"), "docker3": (third, lab.address("docker3"))}
    hosts = "\n".join(f'  {name}: {{engine: "{url}", address: {where}}}' for name, (url, where) in engines.items())
    return (
        f"project: engines\nhosts:\n{hosts}\n"
        "vips:\n"
        "  here: {hosts: [docker1], listen: [{port: 8501}], pool: p}\n"
        "  there: {hosts: [docker3], listen: [{port: 8502}], pool: p}\n"
        f'pools: {{p: {{endpoints: ["{lab.address("docker2")}:9"]}}}}\n'
    )


def containers(lab: Lab) -> set[tuple[str, str, str]]:
    return {thing for thing in ours(lab, "engines") if thing[1] == "container"}


def test_up_does_the_rest_while_a_host_is_off_says_so_and_deletes_nothing(stage: Stage) -> None:
    lab = stage.lab
    file = stage.write(two_vips(lab, f"unix://{lab.socket('docker3')}"))
    stage.up(file)
    everything = containers(lab)
    with powered_off(lab, "docker3"):
        stage.edit(file, "port: 8501", "port: 8503")
        code, said, seconds = run([*DOCKGATE, "up", "--file", str(file)])
        assert code == 1, said
        assert "docker3 could not be read" in said
        assert "blocked: 1" in said
        print(f"up with a host off: {seconds:.1f} s")
        assert stage.get("http://docker1.lab.lab:8503/")[0] == 503, "the VIP on the living host was not changed"
        assert "remove container" not in said.replace("remove container dockgate-engines-here", "")
        state = stage.status(file)
        assert state["well"] is False
        assert any(problem.startswith("host docker3: ") for problem in state["problems"]), state["problems"]
        assert {row["vip"]: row["state"] for row in state["vips"]}["there"] == "host not readable"
    there = {thing for thing in everything if thing[0] == "docker3"}
    eventually(lambda: there <= containers(lab), "what docker3 had is still there")
    eventually(lambda: stage.get("http://docker3.lab.lab:8502/")[0] == 503, "VIP there answers again by itself")
    stage.up(file)
    assert "nothing to do" in stage.plan(file)


def test_down_leaves_what_it_cannot_read_and_says_so(stage: Stage) -> None:
    lab = stage.lab
    file = stage.write(two_vips(lab, f"unix://{lab.socket('docker3')}"))
    stage.up(file)
    with powered_off(lab, "docker3"):
        code, said, _ = run([*DOCKGATE, "down", "--file", str(file)])
        assert code == 1, said
        assert "host docker3" in said
    assert {host for host, _, _ in ours(lab, "engines")} == {"docker3"}
    stage.dockgate("down", file)
    assert ours(lab, "engines") == set()


@pytest.mark.parametrize("verb", ["plan", "status", "up"])
def test_an_engine_that_accepts_and_never_answers_does_not_hold_up_the_others(stage: Stage, verb: str) -> None:
    lab = stage.lab
    file = stage.write(two_vips(lab, f"unix://{lab.socket('docker3')}"))
    with engine_paused(lab, "docker3"):
        code, said, seconds = run([*DOCKGATE, verb, "--file", str(file)])
    print(f"{verb} with an engine that never answers: {seconds:.1f} s")
    assert code == 1, said
    assert ("host docker3: " if verb == "status" else "docker3 could not be read") in " ".join(said.split())
    assert seconds <= PLAN_S * (2 if verb == "up" else 1)


def test_a_plan_through_ssh_to_a_host_that_is_off_ends_in_time(stage: Stage) -> None:
    lab = stage.lab
    file = stage.folder / "ssh.yaml"
    file.write_text(two_vips(lab, "ssh://ops@docker3.lab.lab"))
    with powered_off(lab, "docker3"):
        code, said, seconds = run(in_client(lab, "plan", "--file", str(file)))
    print(f"plan through ssh to a host that is off: {seconds:.1f} s")
    assert code == 1, said
    assert "docker3 could not be read" in said
    assert "VIP here on docker1" in said
    assert seconds <= PLAN_S


# --- files that are wrong

WRONG: dict[str, tuple[Callable[[str], str], str]] = {
    "an unknown key": (lambda good: good.replace("listen:", "lisen:"), r"5:\d+"),
    "a pool that is not there": (lambda good: good.replace("pool: p}", "pool: q}"), r"5:\d+"),
    "a port that cannot be": (lambda good: good.replace("8500", "85000"), r"5:\d+"),
    "not YAML": (lambda good: good.replace("vips:", "vips: ["), r"\d+:\d+"),
    "empty": (lambda good: "", r"1"),
}
"""What is wrong, and LINE:COLUMN where it is said to be."""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket in an engine's place, which nobody must connect to."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine.sock"))
        listener.listen()
        listener.setblocking(False)
        yield listener


def asked(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("verb", ["check", "plan", "up", "down", "status"])
@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_file_is_refused_with_its_places_before_any_engine_is_asked(
    listener: socket.socket, tmp_path: Path, fault: str, verb: str
) -> None:
    spoil, place = WRONG[fault]
    good = text({"docker1": (f"unix://{listener.getsockname()}", "192.168.50.11")}, vip_host="docker1")
    file = tmp_path / "dockgate.yaml"
    file.write_text(spoil(good))
    code, said, _ = run([*DOCKGATE, verb, "--file", str(file)])
    assert code == 1, said
    assert re.search(f"{re.escape(str(file))}:{place}", said), said
    assert "Traceback" not in said
    assert not asked(listener), f"{verb} asked an engine although the file is wrong"


def test_the_control_a_good_file_does_ask_the_engine(listener: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text(text({"docker1": (f"unix://{listener.getsockname()}", "192.168.50.11")}, vip_host="docker1"))
    with subprocess.Popen(
        [*DOCKGATE, "plan", "--file", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: asked(listener), "the engine is asked")
        finally:
            process.kill()


def test_up_with_a_file_gone_wrong_leaves_the_world_as_it_was_to_the_byte(stage: Stage) -> None:
    lab = stage.lab
    file = stage.write(text({"docker1": unix(lab, "docker1")}, vip_host="docker1"))
    stage.up(file)
    good = file.read_text()
    before = world(lab)
    file.write_text(good.replace("port: 8500", "port: 8504").replace("members: [engines1]", "member: [engines1]"))
    code, said, _ = run([*DOCKGATE, "up", "--file", str(file)])
    assert code == 1, said
    assert f"{file}:6:" in said
    assert "members" in said, "the nearest known key is not named"
    assert world(lab) == before
    file.write_text(good)


def world(lab: Lab) -> str:
    """Everything that Docker tells of the containers, networks and volumes of all hosts."""
    said = []
    for host in lab.hosts:
        for kind in ("container", "network", "volume"):
            words = ["ls", *(["-a"] if kind == "container" else []), "-q"]
            names = lab.docker(host, kind, *words).stdout.split()
            said.append(inspected(lab, host, kind, *sorted(names)) if names else "")
    return "\n".join(said)
