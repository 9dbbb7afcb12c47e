"""From an engine's URL in the user's file to a connection: unix, ssh, TCP with TLS, or a Docker context.

Reads the Docker client's own store (contexts, certificates), never writes it. Contacts nobody yet.
Invariant: what is reached over a network is authenticated. Whoever can talk to a Docker engine is root on its host,
so plain TCP is refused but for the loopback.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiodocker
import aiohttp

from dockgate.errors import EngineError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens. ``tls``: the folder with ca.pem, cert.pem and key.pem, or None."""

    url: str
    tls: Path | None = None
    verify: bool = True


def find(host: str, engine: str) -> Endpoint:
    """The endpoint for ``engine`` as written in the file; EngineError when it cannot be one."""
    scheme = engine.partition(":")[0]
    if scheme == "context":
        return _context(host, engine.removeprefix("context:"))
    if scheme == "tcp":
        return Endpoint(engine, tls=_client_tls())
    if scheme in ("unix", "ssh"):
        return Endpoint(engine)
    raise EngineError(
        f"{host}: {engine!r} is no address of a Docker engine",
        hint="use unix:///path, ssh://user@host, tcp://host:2376 or context:NAME",
    )


@dataclass(frozen=True)
class Client:
    """The library's client, and the connector that it does not close itself because it is ours."""

    docker: aiodocker.Docker
    connector: aiohttp.BaseConnector | None = None

    async def close(self) -> None:
        await self.docker.close()
        if self.connector is not None:
            await self.connector.close()


def connect(host: str, endpoint: Endpoint) -> Client:
    """A client for an endpoint; it connects at its first call. Needs a running event loop."""
    scheme, _, rest = endpoint.url.partition("://")
    if scheme == "ssh":
        from dockgate.edges import ssh  # takes a quarter of a second to import, for those who use it

        connector = ssh.connector(host, endpoint.url)
        # With a connector of our own the library needs a URL that it can put a path behind.
        return Client(aiodocker.Docker(url="unix://localhost", connector=connector), connector)
    if scheme in ("tcp", "http", "https"):
        return Client(_tcp(host, endpoint, rest))
    return Client(aiodocker.Docker(url=endpoint.url))


def _tcp(host: str, endpoint: Endpoint, place: str) -> aiodocker.Docker:
    name = urlsplit(endpoint.url).hostname or ""
    if endpoint.tls is not None:
        return aiodocker.Docker(url=f"https://{place}", ssl_context=_tls(host, endpoint))
    if _LOOPBACK.fullmatch(name):
        return aiodocker.Docker(url=f"http://{place}")
    raise EngineError(
        f"{host}: {endpoint.url} would be spoken to without TLS; whoever reaches that port is root on the host",
        hint="put ca.pem, cert.pem and key.pem where DOCKER_CERT_PATH points to, or use ssh:// or a Docker context",
    )


def _tls(host: str, endpoint: Endpoint) -> ssl.SSLContext:
    assert endpoint.tls is not None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    folder = endpoint.tls
    try:
        if (folder / "ca.pem").exists():
            context.load_verify_locations(cafile=folder / "ca.pem")
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise EngineError(
            f"{host}: the certificates in {folder} cannot be used: {error}",
            hint="the folder must hold ca.pem, cert.pem and key.pem in PEM form",
        ) from error
    return context


def _client_tls() -> Path | None:
    """Where the Docker client looks for its certificates."""
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or store())
    return folder if (folder / "ca.pem").exists() else None


def store() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _context(host: str, name: str) -> Endpoint:
    if name == "default":
        return _default(host)
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = store() / "contexts" / "meta" / digest / "meta.json"
    try:
        docker = json.loads(meta.read_bytes())["Endpoints"]["docker"]
        url, skip = str(docker["Host"]), bool(docker.get("SkipTLSVerify", False))
    except FileNotFoundError as error:
        raise EngineError(
            f"{host}: there is no Docker context {name!r} in {store()}",
            hint=f"`docker context ls` shows what there is; `docker context create {name} …` makes one",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{host}: the Docker context {name!r} cannot be read from {meta}: {error}",
            hint=f"`docker context inspect {name}` must show an Endpoints.docker.Host",
        ) from error
    tls = store() / "contexts" / "tls" / digest / "docker"
    return Endpoint(url, tls=tls if tls.is_dir() else None, verify=not skip)


def _default(host: str) -> Endpoint:
    """The context that is not in the store: DOCKER_HOST, or the local socket."""
    return find(host, os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET)
