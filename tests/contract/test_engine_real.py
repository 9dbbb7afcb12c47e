"""What only real Docker can show: how our containers are confined, images built, and errors worded."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.conftest import PROJECT, Pair

from dockgate.edges.api import HelperSpec
from dockgate.edges.archive_format import chunks
from dockgate.edges.engine import Engine
from dockgate.errors import EngineError
from dockgate.lab import Lab
from dockgate.model.objects import CONFIG_DIR, RUN_DIR, labels_for

THROUGH_SSH = Path(__file__).with_name("through_ssh.py")

pytestmark = pytest.mark.lab


@pytest.fixture
async def pair(lab: Lab) -> AsyncIterator[Pair]:
    first, second = lab.hosts[:2]
    async with (
        Engine(first, f"unix://{lab.socket(first)}") as one,
        Engine(second, f"unix://{lab.socket(second)}") as two,
    ):
        pair = Pair(one, two, (lab.address(first), lab.address(second)))
        await pair.clear()
        yield pair
        await pair.clear()


async def look(pair: Pair, script: str, *, user: str = "") -> str:
    result = await pair.first.exec("contract-lb", ["sh", "-c", script], user=user)
    return result.output


async def started(pair: Pair) -> str:
    container = await pair.first.create_container(await pair.balancer())
    config = b"defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
    config += b"frontend web\n    bind :80\n    http-request return status 200\n"
    await pair.first.put_files(container, CONFIG_DIR, {"haproxy.cfg": config})
    await pair.first.start_container(container)
    return container


async def test_a_load_balancer_may_do_next_to_nothing(pair: Pair) -> None:
    await started(pair)
    status = await look(pair, "cat /proc/1/status")
    assert "Uid:\t99\t99\t99\t99" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Read-only file system" in await look(pair, "touch /anything", user="0")
    assert "Permission denied" in await look(pair, f"touch {CONFIG_DIR}/anything")
    assert (await look(pair, f"stat -c '%u %g %a' {CONFIG_DIR}/haproxy.cfg")) == "0 99 640"
    assert (await look(pair, f"stat -f -c %T {RUN_DIR}; stat -c '%u %a' {RUN_DIR}")) == "tmpfs\n99 700"
    assert (await look(pair, "ulimit -n")) == "20000"
    assert await look(pair, "ls /var/run/docker.sock /run/docker.sock; true") != "/var/run/docker.sock"


async def restart_policy(lab: Lab, container: str) -> str:
    words = ["docker", "inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", container]
    return lab.exec("docker1", words, check=True).stdout.strip()


async def test_a_load_balancer_comes_back_with_docker_unless_we_stopped_it(pair: Pair, lab: Lab) -> None:
    """Docker's own "unless-stopped" loses it when the engine is killed: see docker_json.container_request."""
    container = await started(pair)
    assert await restart_policy(lab, container) == "always"
    await pair.first.stop_container(container, grace_s=2)
    assert await restart_policy(lab, container) == "no"
    await pair.first.start_container(container)
    assert await restart_policy(lab, container) == "always"


async def test_a_container_of_ours_cannot_fill_the_disk_with_its_log(pair: Pair, lab: Lab) -> None:
    container = await started(pair)
    words = ["docker", "inspect", "-f", "{{.HostConfig.LogConfig}}", container]
    assert "max-size:10m" in lab.exec("docker1", words, check=True).stdout


async def test_a_helper_that_takes_too_long_is_removed(pair: Pair) -> None:
    spec = await pair.balancer()
    container = await pair.first.create_container(spec)
    before = await pair.first.containers()
    helper = HelperSpec(spec.image, container, ("sleep", "60"), labels_for(PROJECT, "helper", "web"))
    with pytest.raises(EngineError, match="no answer within 1 s"):
        await pair.first.run_helper(helper, timeout_s=1.0)
    assert await pair.first.containers() == before


async def test_an_image_is_built_from_its_folder_and_loaded_from_its_archive(pair: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockgate/web:1\nCOPY note /note\n")
    (folder / "note").write_text("hello\n")
    await pair.first.build_image("contract/tiny:1", folder, {})
    assert "contract/tiny:1" in await pair.first.images()
    archive = tmp_path / "tiny.tar"
    async with pair.first.save_image("contract/tiny:1") as saved:
        with archive.open("wb") as file:
            async for chunk in saved:
                file.write(chunk)
    await pair.second.load_image(chunks(archive))
    assert "contract/tiny:1" in await pair.second.images()


async def test_a_build_that_fails_says_what_docker_said(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM dockgate/web:1\nCOPY missing /missing\n")
    with pytest.raises(EngineError, match=r"could not build image contract/none:1 .*missing"):
        await pair.first.build_image("contract/none:1", tmp_path, {})


async def test_a_file_that_is_no_image_archive_is_an_error(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "broken.tar").write_bytes(b"not a tar" * 1000)
    with pytest.raises(EngineError, match="could not load an image"):
        await pair.first.load_image(chunks(tmp_path / "broken.tar"))


async def test_a_frozen_engine_is_an_error_after_the_limit(pair: Pair, lab: Lab) -> None:
    await pair.first.info()
    lab.exec("docker1", ["sh", "-c", "kill -STOP $(cat /run/docker.pid || cat /var/run/docker.pid)"], check=True)
    try:
        with pytest.raises(EngineError, match="docker1: could not list its volumes: no answer within 10 s"):
            async with asyncio.timeout(15):
                await pair.first.volumes()
    finally:
        lab.exec("docker1", ["sh", "-c", "kill -CONT $(cat /run/docker.pid || cat /var/run/docker.pid)"], check=True)


@pytest.mark.parametrize("url", ["ssh://ops@docker2.lab.lab", "ssh://docker2.lab.lab"])
def test_everything_goes_through_ssh_too_with_the_users_own_ssh_configuration(lab: Lab, url: str) -> None:
    home = f"HOME=/run/{lab.name}/ssh"
    done = lab.exec("client", ["env", home, sys.executable, "-W", "error", str(THROUGH_SSH), url], timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["26.1.5", "3 out", "alive 0"]


def test_a_host_that_does_not_let_us_in_says_so(lab: Lab) -> None:
    home = f"HOME=/run/{lab.name}/ssh"
    argv = ["env", home, sys.executable, str(THROUGH_SSH), "ssh://root@docker2.lab.lab"]
    done = lab.exec("client", argv, timeout=60)
    assert "EngineError: docker2: could not read its version: cannot reach its Docker engine (Permission denied" in (
        done.stderr
    )
    assert "next: this must work by hand, without a question: ssh root@docker2.lab.lab docker version" in done.stderr
