"""TLS in the lab: a certificate replaced under load, keys that are nowhere but in the volume, files that are wrong."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.certificates import Pair, pair
from tests.scenarios.stage import Stage, eventually
from tests.scenarios.traffic import ENOUGH, RATE, first_claim, hurry

from dockgate.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

URL = "https://docker1.lab.lab"
FILE = """\
project: tls
hosts:
  docker1: {engine: "unix:///run/dockgate-lab/docker1/docker.sock", address: 192.168.50.11}
  docker2: {engine: "unix:///run/dockgate-lab/docker2/docker.sock", address: 192.168.50.12}
  docker3: {engine: "unix:///run/dockgate-lab/docker3/docker.sock", address: 192.168.50.13}
networks: {tls_backend: {driver: overlay, internal: true}}
vips:
  web:
    hosts: [docker1]
    listen:
      - port: 443
        tls:
          certificates:
            - {cert: keys/site.crt, key: keys/site.key}
    pool: web
pools: {web: {network: tls_backend, port: 80, members: [web1, web2]}}
"""


def _remove_key(keys: Path) -> None:
    (keys / "site.key").unlink()


def _other_key(keys: Path) -> None:
    (keys / "site.key").write_bytes(pair("docker1.lab.lab").key)


def _expired(keys: Path) -> None:
    pair("docker1.lab.lab", days=-0.1, after_days=-2).write(keys, "site")


def _no_pem(keys: Path) -> None:
    (keys / "site.crt").write_text("certificate\n")


def _folder_instead(keys: Path) -> None:
    (keys / "site.crt").unlink()
    (keys / "site.crt").mkdir()


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "the key is missing": (_remove_key, "the file 'keys/site.key' does not exist"),
    "the key is another one's": (_other_key, "the key is not that of the certificate"),
    "the certificate has expired": (_expired, "'keys/site.crt' has expired at "),
    "the certificate is not PEM": (_no_pem, "there is no certificate in it"),
    "the certificate cannot be read": (_folder_instead, "the file 'keys/site.crt' cannot be read"),
}


@dataclass
class Site:
    """A VIP with TLS and two members. ``folder``: where its certificate is."""

    stage: Stage
    file: Path
    pair: Pair
    balancer: str = ""

    @property
    def keys(self) -> Path:
        return self.file.parent / "keys"

    def shown(self) -> str:
        """The fingerprint of the certificate that a client gets."""
        text = self.stage.lab.client_exec(
            "sh", "-c", "openssl s_client -connect docker1.lab.lab:443 </dev/null 2>/dev/null"
        ).stdout
        found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
        assert found, text
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0])).hexdigest()

    def inside(self, command: str) -> str:
        return self.stage.lab.docker("docker1", "exec", self.balancer, "sh", "-c", command).stdout

    def process(self) -> tuple[str, str]:
        """The container's start and the worker's pid: a restart changes the one, a reload the other."""
        started = self.stage.lab.docker("docker1", "inspect", "-f", "{{.State.StartedAt}}", self.balancer).stdout
        info = self.inside("echo 'show info' | socat - UNIX-CONNECT:/run/haproxy/admin.sock")
        worker = re.search(r"^Pid: (\d+)$", info, re.MULTILINE)
        assert worker, info
        return started, worker[1]


@dataclass
class Newcomers:
    """A client that connects anew for every request, until the block ends. ``failed``: what went wrong."""

    site: Site
    count: int = 0
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Newcomers:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            done: subprocess.CompletedProcess[str] = self.site.stage.curl("-k", "-f", URL)
            self.count += 1
            self._stop.wait(0.1)
            if done.returncode or done.stdout.strip() not in ("web1", "web2"):
                self.failed.append(done.stderr or done.stdout)


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    stage = Stage(lab, tmp_path_factory.mktemp("tls"))
    made = pair("docker1.lab.lab")
    try:
        site = Site(stage, stage.write(FILE), made)
        made.write(site.keys, "site")
        stage.up(site.file)
        stage.start("docker2", "web1", network="tls_backend")
        stage.start("docker3", "web2", network="tls_backend")
        stage.members_up(site.file, "web1", "web2")
        site.balancer = stage.balancer(site.file, "web")
        yield site
    finally:
        pair("docker1.lab.lab").write(stage.folder / "keys", "site")
        stage.clear()


@pytest.fixture
def whole(site: Site) -> Iterator[Site]:
    """The site, and after the test again with a certificate that is good."""
    before = site.shown()
    assert before == site.pair.fingerprint
    yield site
    if (site.keys / "site.crt").is_dir():
        (site.keys / "site.crt").rmdir()
    site.pair.write(site.keys, "site")
    site.stage.up(site.file)


def test_a_certificate_is_replaced_under_load_without_a_reload_or_a_failed_request(whole: Site) -> None:
    site, before = whole, whole.process()
    with first_claim(site.stage.lab), site.stage.load(f"{URL}/", rate=RATE) as load, Newcomers(site) as newcomers:
        hurry(load)
        load.observe(1)
        for _ in range(2):
            site.pair = pair("docker1.lab.lab")
            site.pair.write(site.keys, "site")
            said = site.stage.up(site.file)
            assert "live over the runtime socket" in said
            assert "reload" not in said
            assert site.shown() == site.pair.fingerprint
        load.observe(1)
    print(load.report, f"\n{newcomers.count} connections of newcomers")
    assert load.report.failed == 0, load.report
    assert load.report.achieved_rate >= 0.8 * ENOUGH, load.report
    assert newcomers.failed == []
    assert newcomers.count > 10
    assert site.process() == before
    assert "nothing to do" in site.stage.plan(site.file)


def test_a_replaced_certificate_is_still_there_after_the_container_was_restarted(whole: Site) -> None:
    whole.pair = pair("docker1.lab.lab")
    whole.pair.write(whole.keys, "site")
    whole.stage.up(whole.file)
    whole.stage.lab.docker("docker1", "restart", whole.balancer)
    eventually(lambda: whole.stage.get(URL, "-k")[0] == 200, "the VIP answers again")
    assert whole.shown() == whole.pair.fingerprint


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_told_with_its_line_and_changes_nothing(whole: Site, what: str) -> None:
    spoil, complaint = BROKEN[what]
    spoil(whole.keys)
    for verb in ("check", "up"):
        done = whole.stage.dockgate(verb, whole.file, code=1)
        assert f"{whole.file}:14:15: " in done.stdout + done.stderr
        assert complaint in done.stdout + done.stderr
    assert whole.stage.get(URL, "-k")[0] == 200
    assert whole.shown() == whole.pair.fingerprint


def test_a_port_makes_a_certificate_by_itself_and_keeps_it(whole: Site) -> None:
    stage, good = whole.stage, whole.file.read_text()
    given = "          certificates:\n            - {cert: keys/site.crt, key: keys/site.key}\n"
    stage.edit(whole.file, given, "          self_signed: true\n")
    try:
        stage.up(whole.file)
        own = whole.shown()
        assert own != whole.pair.fingerprint
        assert stage.get(URL, "-k")[0] == 200
        assert "nothing to do" in stage.plan(whole.file)
        assert "certificate self-signed" in stage.dockgate("status", whole.file).stdout
        stage.edit(whole.file, "    pool: web\n", "    pool: web\n    timeouts: {client: 20s}\n")
        stage.up(whole.file)
        assert whole.shown() == own
    finally:
        stage.write(good, whole.file)
        stage.up(whole.file)


def test_with_an_expired_certificate_in_the_file_the_status_still_answers(whole: Site) -> None:
    _expired(whole.keys)
    state = json.loads(whole.stage.dockgate("status", whole.file, "-o", "json", code=1).stdout)
    assert [row["state"] for row in state["vips"]] == ["answers"]
    assert any("has expired at" in problem for problem in state["problems"]), state["problems"]


def test_a_key_is_in_the_volume_for_haproxy_alone_and_nowhere_else(whole: Site) -> None:
    """The control: the same search finds the key where it must be."""
    stage = whole.stage
    whole.pair = pair("docker1.lab.lab")
    whole.pair.write(whole.keys, "site")
    told = stage.dockgate("plan", whole.file, "-o", "json", code=2).stdout
    told += stage.dockgate("up", whole.file, "-o", "json").stdout
    told += json.dumps(stage.status(whole.file)) + stage.dockgate("config", whole.file, code=None).stdout
    docker = stage.lab.docker
    for kind in ("container", "volume", "network"):
        ids = docker("docker1", kind, "ls", "-q", *(["-a"] if kind == "container" else [])).stdout.split()
        told += docker("docker1", kind, "inspect", *ids).stdout
    done = docker("docker1", "logs", whole.balancer)
    told += done.stdout + done.stderr + whole.inside("cat /etc/haproxy/haproxy.cfg /etc/haproxy/tls-files")
    secret = whole.pair.key.decode().splitlines()[1:-1]
    held = whole.inside("cat /etc/haproxy/certificate-*.pem")
    assert all(line in held for line in secret)
    assert [line for line in secret if line in told] == []
    assert "PRIVATE KEY" not in told
    assert whole.inside("stat -c '%a %u' /etc/haproxy/certificate-*").split("\n")[:-1] == ["600 99"]
