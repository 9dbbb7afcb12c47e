"""Fixtures of the real HAProxy, both versions; a plugin of the test files that use them."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from tests.contract.haproxy_process import FakeDns, Haproxy, WebMember, private_network

from dockgate.lab.apt import read_setup
from dockgate.lab.cache import Cache
from dockgate.lab.images import supplies
from dockgate.lab.paths import cache_dir
from dockgate.lab.progress import Progress
from dockgate.lab.recipes import HAPROXY_30, HAPROXY_32
from dockgate.model.desired import (
    HaproxyVersion,
)

BASES = {"3.0": HAPROXY_30, "3.2": HAPROXY_32}


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file system with HAProxy for each version, out of the bases of our images."""
    assert os.geteuid() == 0, "the real HAProxy runs in a network namespace of its own: run this as root"
    cache = Cache(cache_dir())
    supplies(cache, Progress())
    return {version: _unpacked(version, cache.root, tmp_path_factory.mktemp("haproxy")) for version in BASES}


def _unpacked(version: str, cache: Path, place: Path) -> Path:
    base = BASES[version]
    archive = cache / "rootfs" / f"{base.tag.replace(':', '-')}-{base.key(read_setup())}.tar"
    assert archive.exists(), f"{archive} is missing: `dockgate lab up` makes it"
    subprocess.run(["tar", "-xf", archive, "-C", place, "--exclude=./dev/*"], check=True)
    for name in ("etc/haproxy", "run/haproxy"):
        (place / name).mkdir(parents=True, exist_ok=True)
        os.chown(place / name, 99, 99)
    os.mknod(place / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (place / "dev/null").chmod(0o666)
    (place / "etc/resolv.conf").unlink(missing_ok=True)
    (place / "etc/resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:1\n")
    (place / "run/haproxy/state").write_text("1\n")
    return place


@pytest.fixture(scope="session")
def tools() -> Path:
    """A file system with nft in it: what the lab's hosts boot from."""
    return supplies(Cache(cache_dir()), Progress()).rootfs


@pytest.fixture(params=get_args(HaproxyVersion))
def version(request: pytest.FixtureRequest) -> HaproxyVersion:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def checker(roots: dict[str, Path], version: HaproxyVersion) -> Haproxy:
    return Haproxy(roots[version])


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


@pytest.fixture
def dns(network: None) -> Iterator[FakeDns]:
    dns = FakeDns()
    yield dns
    dns.close()


@pytest.fixture
def haproxy(roots: dict[str, Path], version: HaproxyVersion, dns: FakeDns) -> Iterator[Haproxy]:
    haproxy = Haproxy(roots[version])
    yield haproxy
    haproxy.stop()


@pytest.fixture
def web(network: None) -> Iterator[WebMember]:
    member = WebMember("127.1.0.1")
    yield member
    member.close()


@pytest.fixture
def other(network: None) -> Iterator[WebMember]:
    member = WebMember("127.1.0.2")
    yield member
    member.close()
