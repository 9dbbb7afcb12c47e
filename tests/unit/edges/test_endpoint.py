"""From an engine's URL to a connection: what is read of the Docker client's store, and what is refused."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dockgate.edges.endpoint import DEFAULT_SOCKET, Endpoint, connect, find
from dockgate.edges.engine import Engine
from dockgate.errors import EngineError


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Docker client's folder, empty; nothing of the machine's own is seen."""
    for name in ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "docker"


def make_context(store: Path, name: str, text: str) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = store / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(text)
    return store / "contexts" / "tls" / digest / "docker"


def context_text(url: str, *, skip: bool = False) -> str:
    return json.dumps({"Name": "x", "Endpoints": {"docker": {"Host": url, "SkipTLSVerify": skip}}})


@pytest.mark.parametrize("url", ["unix:///run/x.sock", "ssh://ops@docker2.lab.lab"])
def test_a_url_is_taken_as_it_is(url: str) -> None:
    assert find("docker1", url) == Endpoint(url)


@pytest.mark.parametrize("url", ["", "docker2", "http://docker2:2375", "npipe:////./pipe/docker", "contexts:x"])
def test_what_is_no_address_of_an_engine_says_what_would_be(url: str) -> None:
    with pytest.raises(EngineError, match=r"is no address of a Docker engine\n  next: use unix:///path"):
        find("docker1", url)


def test_a_context_is_found_in_the_clients_store(store: Path) -> None:
    make_context(store, "docker3", context_text("ssh://ops@docker3"))
    assert find("docker3", "context:docker3") == Endpoint("ssh://ops@docker3")


def test_a_context_brings_its_certificates(store: Path) -> None:
    tls = make_context(store, "far", context_text("tcp://far:2376", skip=True))
    tls.mkdir(parents=True)
    assert find("far", "context:far") == Endpoint("tcp://far:2376", tls=tls, verify=False)


def test_the_default_context_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("here", "context:default").url == DEFAULT_SOCKET
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/other.sock")
    assert find("here", "context:default").url == "unix:///run/other.sock"


def test_a_context_that_is_not_there_is_named_with_the_store(store: Path) -> None:
    with pytest.raises(EngineError, match=f"there is no Docker context 'gone' in {store}"):
        find("docker1", "context:gone")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Endpoints": {"docker": {}}}'])
def test_a_context_that_cannot_be_read_is_an_error(store: Path, text: str) -> None:
    make_context(store, "broken", text)
    with pytest.raises(EngineError, match="the Docker context 'broken' cannot be read"):
        find("docker1", "context:broken")


async def test_tcp_without_tls_is_refused_but_for_the_loopback() -> None:
    with pytest.raises(EngineError, match="without TLS; whoever reaches that port is root on the host"):
        connect("far", find("far", "tcp://192.0.2.1:2375"))
    await connect("here", find("here", "tcp://127.0.0.1:2375")).close()


async def test_ssh_without_known_hosts_says_to_connect_by_hand_first() -> None:
    with pytest.raises(EngineError, match="next: connect once with `ssh` by hand"):
        connect("far", find("far", "ssh://ops@far"))


async def test_the_users_environment_is_not_sent_to_a_host(store: Path) -> None:
    ssh = store.parent / ".ssh"
    ssh.mkdir()
    (ssh / "known_hosts").touch()
    client = connect("far", find("far", "ssh://ops@far"))
    assert client.connector is not None
    assert client.connector._clean_environment() == {}
    await client.close()


@pytest.fixture
async def tls_engine(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """Something that answers like an engine, to clients with a certificate only; its URL and the client's folder."""
    folder = tmp_path / "certificates"
    write_certificates(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"Version": "28.0.0", "ApiVersion": "1.50"})

    async def info(_: web.Request) -> web.Response:
        return web.json_response({"Swarm": {"LocalNodeState": "inactive"}})

    app.add_routes([web.get("/version", version), web.get("/v{n}/version", version), web.get("/v{n}/info", info)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    yield f"tcp://127.0.0.1:{port}", folder
    await runner.cleanup()


async def test_an_engine_is_reached_over_tls_with_the_clients_certificates(
    tls_engine: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = tls_engine
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    async with Engine("far", url) as engine:
        info = await engine.info()
    assert (info.version, info.api) == ("28.0.0", (1, 48))


async def test_a_certificate_that_is_not_trusted_is_an_engine_error(
    tls_engine: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = tls_engine
    write_certificates(tmp_path / "others")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "others"))
    async with Engine("far", url) as engine:
        with pytest.raises(EngineError, match="far: could not read its version: cannot reach its Docker engine"):
            await engine.info()


async def test_certificates_that_are_none_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(EngineError, match=f"the certificates in {tmp_path} cannot be used"):
        connect("far", find("far", "tcp://far:2376"))


def write_certificates(folder: Path) -> None:
    """One self-signed certificate that is authority, server and client at once."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(secret)
