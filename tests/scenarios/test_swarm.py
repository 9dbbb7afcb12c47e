"""`dockgate run --swarm` on three managers: installed, keeping, moved when its node dies, updated, removed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.keeping import keeping
from tests.scenarios.stage import WEB, eventually
from tests.scenarios.traffic import Scene, example_scene

from dockgate.lab import Lab, faults
from dockgate.lab.address import CLIENT
from dockgate.lab.cache import Cache
from dockgate.lab.controller import controller_image
from dockgate.lab.paths import cache_dir
from dockgate.lab.progress import Progress

pytestmark = pytest.mark.lab

SERVICE = "dockgate-example-controller"


@pytest.fixture(scope="module")
def managers(lab: Lab) -> Iterator[Lab]:
    """All three hosts manage the Swarm."""
    lab.docker("docker1", "node", "promote", "docker2", "docker3")
    yield lab
    for host in ("docker2", "docker3"):
        eventually(lambda: lab.docker("docker1", "node", "ls", check=False).returncode == 0, "the Swarm has a leader")
        lab.docker("docker1", "node", "demote", host)


@pytest.fixture(scope="module")
def scene(managers: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The running example with its hosts by ssh, as a controller that moves must reach them."""
    socket = 'engine: "unix:///run/dockgate-lab/docker{0}/docker.sock"'
    edits = [
        (socket.format(n).replace("dockgate-lab", managers.name), f'engine: "ssh://ops@docker{n}.lab.lab"')
        for n in (1, 2, 3)
    ]
    folder = tmp_path_factory.mktemp("swarm")
    for scene in example_scene(managers, folder):
        for old, new in edits:
            scene.stage.edit(scene.file, old, new)
        yield scene
        for old, new in edits:
            scene.stage.edit(scene.file, new, old)


def dockgate(scene: Scene, *words: str, code: int = 0) -> str:
    """Run from the client host with the lab's ssh key, as an operator would."""
    lab = scene.stage.lab
    argv = lab.command(CLIENT, ["env", f"HOME={lab.paths.ssh}", sys.executable, "-m", "dockgate", *words])
    done = subprocess.run(
        [*argv, "--file", str(scene.file)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def no_task_on_docker1(lab: Lab) -> Iterator[None]:
    """The host with the load balancer, whose power stays on, gets no new task; nor can a container join an overlay
    there meanwhile."""
    lab.docker("docker1", "node", "update", "--availability", "pause", "docker1")
    try:
        yield
    finally:
        lab.docker("docker1", "node", "update", "--availability", "active", "docker1")


def install(scene: Scene, *more: str) -> str:
    with no_task_on_docker1(scene.stage.lab):
        return dockgate(scene, "run", "--swarm", "--ssh-key", str(scene.stage.lab.paths.ssh / "id_ed25519"), *more)


def task(scene: Scene) -> dict[str, str]:
    """The service's newest task, as `status` tells it."""
    status: dict[str, Any] = json.loads(scene.stage.dockgate("status", local(scene), "-o", "json", code=None).stdout)
    tasks = (status["service"] or {"tasks": []})["tasks"]
    return tasks[0] if tasks else {"node": "", "state": "none", "said": ""}


def local(scene: Scene) -> Path:
    """The same file by the sockets that this machine sees, which is not in the LAN."""
    text = scene.file.read_text()
    for host in scene.stage.lab.hosts:
        text = text.replace(f"ssh://ops@{host}.lab.lab", f"unix://{scene.stage.lab.socket(host)}")
    file = scene.file.with_name("local.yaml")
    file.write_text(text)
    return file


def objects(scene: Scene, kind: str) -> set[str]:
    return set(scene.stage.lab.docker("docker1", kind, "ls", "--format", "{{.Name}}").stdout.split())


@pytest.fixture(scope="module")
def installed(scene: Scene) -> Iterator[str]:
    """What the first `run --swarm` said; a secret and a service of somebody else are there before."""
    lab = scene.stage.lab
    controller_image(Cache(cache_dir()), Progress())
    lab.exec("docker1", ["sh", "-c", "echo theirs | docker secret create theirs -"], check=True)
    said = install(scene)
    yield said
    lab.docker("docker1", "secret", "rm", "theirs")


def test_it_is_installed_on_a_manager_and_healthy(scene: Scene, installed: str) -> None:
    assert "it runs on docker" in installed
    assert (task(scene)["state"], task(scene)["node"] in ("docker2", "docker3")) == ("running", True)


def test_no_secret_is_to_be_seen_and_it_may_do_nothing(scene: Scene, installed: str) -> None:
    lab, node = scene.stage.lab, task(scene)["node"]
    (container,) = lab.docker(node, "ps", "-q", "--filter", "label=dockgate.kind=controller").stdout.split()
    shown = lab.docker(node, "inspect", container).stdout
    shown += lab.docker("docker1", "service", "inspect", SERVICE).stdout
    shown += lab.docker("docker1", "service", "logs", SERVICE).stdout
    secret = (scene.file.parent / "secrets" / "lbstats").read_text().strip()
    key = (lab.paths.ssh / "id_ed25519").read_text().splitlines()[1]
    assert [word for word in (secret, key) if word in shown] == []
    held = lab.docker(node, "exec", container, "sh", "-c", "id -u; grep -h CapBnd /proc/1/status; mount").stdout
    assert held.startswith("10001\nCapBnd:\t0000000000000000\n")
    assert "docker.sock" not in held


def test_a_second_run_changes_nothing(scene: Scene, installed: str) -> None:
    before = scene.stage.lab.docker("docker1", "service", "inspect", "-f", "{{.Version.Index}}", SERVICE).stdout
    assert install(scene).strip().endswith("nothing to do")
    assert scene.stage.lab.docker("docker1", "service", "inspect", "-f", "{{.Version.Index}}", SERVICE).stdout == before


def keeps(scene: Scene, member: str) -> None:
    """Only a controller takes a member out that was told to stop and goes on answering; then it is let in again."""
    lab, host = scene.stage.lab, scene.homes[member]
    lab.docker(host, "rm", "-f", member, check=False)
    options = ["--name", member, "--hostname", member, "--network", "presentation_backend"]
    lab.docker(host, "run", "-d", *options, WEB, "sh", "-c", "trap : TERM; python3 /srv/web.py & wait; wait; wait")
    eventually(lambda: member in scene.up(), f"{member} is up", within_s=40)
    lab.docker(host, "kill", "-s", "TERM", member)
    eventually(lambda: member not in scene.up(), f"{member} is taken out before it dies", within_s=10)
    lab.docker(host, "rm", "-f", member)
    scene.start(member)
    eventually(lambda: member in scene.up(), f"{member} is up again", within_s=40)


def test_it_keeps_members_and_load_balancers(scene: Scene, installed: str) -> None:
    keeps(scene, "web1")
    scene.stage.lab.docker("docker1", "rm", "-f", scene.balancer())
    eventually(lambda: scene.stage.get(scene.url)[0] == 200, "the load balancer is made again", within_s=60)


def test_another_controller_says_that_this_one_acts(scene: Scene, installed: str) -> None:
    with keeping(local(scene)) as second:
        second.wait_for("another controller acts: it holds the lock in")
        assert second.end() == 0


def test_a_change_of_the_file_is_taken_and_what_was_before_goes(scene: Scene, installed: str) -> None:
    old = objects(scene, "config") | objects(scene, "secret")
    scene.stage.edit(scene.file, "listen: [{port: 80}]", "listen: [{port: 80}, {port: 8081}]")
    said = install(scene)
    assert "update service" in said
    eventually(lambda: scene.stage.get("http://docker1.lab.lab:8081/")[0] == 200, "the new port answers", within_s=60)
    assert (objects(scene, "config") | objects(scene, "secret")) & old == {"theirs"}


def test_it_moves_to_another_manager_when_its_node_loses_power(scene: Scene, installed: str) -> None:
    node = task(scene)["node"]
    other = {"docker2": "docker3", "docker3": "docker2"}[node]
    stays = next(member for member, host in scene.homes.items() if host == other)
    with faults.powered_off(scene.stage.lab, node), no_task_on_docker1(scene.stage.lab):
        eventually(
            lambda: (task(scene)["state"], task(scene)["node"]) == ("running", other),
            f"the controller runs on {other}",
            within_s=120,
            every_s=1,
        )
        keeps(scene, stays)


def test_down_removes_exactly_what_was_installed(scene: Scene, installed: str) -> None:
    eventually(lambda: len(healthy_managers(scene)) == 3, "all managers are back", within_s=120, every_s=1)
    plan = dockgate(scene, "run", "--swarm", "--remove", "--dry-run")
    assert f"remove service {SERVICE}" in plan
    scene.stage.dockgate("down", local(scene))
    left = objects(scene, "config") | objects(scene, "secret")
    assert (left, SERVICE in objects(scene, "service")) == ({"theirs"}, False)


def healthy_managers(scene: Scene) -> list[str]:
    form = "{{.Hostname}} {{.ManagerStatus}}"
    said = scene.stage.lab.docker("docker1", "node", "ls", "--format", form, check=False).stdout.splitlines()
    return [line for line in said if line.endswith(("Leader", "Reachable"))]
