"""Fixtures of the real servers; a plugin of the test files that use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.contract.haproxy_process import wait_until
from tests.contract.real_servers import COMMANDS, PAGES, SERVERS, RealServer, answers, started

from dockgate.lab.apt import read_setup
from dockgate.lab.cache import Cache
from dockgate.lab.paths import cache_dir
from dockgate.lab.progress import Progress
from dockgate.lab.rootfs import make_directory


@pytest.fixture(scope="session")
def servers_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system of our own with the five servers in it."""
    assert os.geteuid() == 0, "the servers run in a chroot: run this as root"
    cache = Cache(cache_dir())
    with cache.held(Progress()):
        setup = read_setup()
        made = cache.make(f"rootfs/servers-{SERVERS.key(setup)}", lambda path: make_directory(SERVERS, setup, path))
    root = tmp_path_factory.mktemp("servers") / "root"
    subprocess.run(["cp", "-al", str(made), str(root)], check=False)
    if not (root / "usr/sbin/nginx").exists():
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(made), str(root)], check=True)
    for name in PAGES:
        page = root / "srv/pages" / f"{name}.txt"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(name)
    return root


@pytest.fixture
def real_servers(servers_root: Path, network: None) -> Iterator[tuple[RealServer, ...]]:
    """All five, up, each with an empty log."""
    servers: list[RealServer] = []
    try:
        for number, name in enumerate(sorted(COMMANDS), start=1):
            servers.append(started(servers_root, name, f"127.2.0.{number}"))
        for server in servers:
            wait_until(partial(answers, server), f"{server.name} answers")
        yield tuple(servers)
    finally:
        for server in servers:
            server.stop()
