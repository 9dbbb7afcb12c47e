"""Carried: every file that a controller elsewhere needs to read what we read here, and where it finds it there.

Reads only. What the user's file names is found by reading it the usual way and writing down what was asked for, so that
no kind of secret can be forgotten. Invariant: no content is ever shown; the mark that stands for it (``content_mark``)
is salted and slow to guess from.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dockgate.edges import endpoint
from dockgate.edges.files import FILE_SUFFIX, SecretReader, read_spec
from dockgate.edges.key_files import KeyFiles
from dockgate.edges.regular import read_regular, reason
from dockgate.errors import DockgateError
from dockgate.model.desired import Desired, Host
from dockgate.model.swarm import HOME, FileKind
from dockgate.spec import Loaded, Problem, SecretText, SpecError, load, project_name
from dockgate.spec.key_files import MOST_BYTES

FOLDER = "/etc/dockgate"
TLS_FOLDER = f"{HOME}/docker-tls"
MOST: Mapping[FileKind, int] = {"config": 1_000_000, "secret": 500_000}
"""What Swarm takes, in bytes."""
_PEM = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class Keys:
    """How the controller proves who it is to hosts by ssh. "" where none is needed."""

    ssh_key: Path | None = None
    known_hosts: Path | None = None


@dataclass(frozen=True)
class Carried:
    """``files``: kind and content by target. ``spec``: the target of the user's file. ``environment``: names and values
    without any secret."""

    loaded: Loaded
    spec: str
    files: Mapping[str, tuple[FileKind, bytes]] = field(repr=False)
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def contents(self) -> dict[str, bytes]:
        return {target: content for target, (_, content) in self.files.items()}


def carry(file: Path, keys: Keys) -> Carried:
    """Read the file and all that it names. ``SpecError`` for a host that another machine would not reach."""
    loaded, secrets, key_files = _read(file)
    desired = loaded.current().desired
    folder = f"{FOLDER}/{desired.project}"
    spec = f"{folder}/{file.name}"
    files: dict[str, tuple[FileKind, bytes]] = {spec: ("config", read_spec(file))}
    for name, content in {**secrets.files, **key_files.files}.items():
        files[posixpath.normpath(posixpath.join(folder, name))] = ("secret", content)
    environment: dict[str, str] = {}
    for name, content in secrets.variables.items():
        files[f"/run/secrets/{name}"] = ("secret", content)
        environment[f"{name}{FILE_SUFFIX}"] = f"/run/secrets/{name}"
    files |= _ways(desired, keys, environment)
    for target, (kind, content) in files.items():
        _must_fit(target, kind, content)
    return Carried(loaded, spec, files, tuple(sorted(environment.items())))


def content_mark(files: Mapping[str, tuple[FileKind, bytes]], *, before: str, fresh: str) -> str:
    """``salt:digest`` of all that is carried: ``before``, if that stands for the same, else with the salt ``fresh``.

    It is a label, which whoever may ask a manager can read; so it costs a guess of a password 16 MiB and 50 ms.
    """
    whole = hashlib.sha256()
    for target, (kind, content) in sorted(files.items()):
        whole.update(f"{kind} {target} {len(content)}\n".encode() + content)
    salt, _, _ = before.partition(":")
    same = _marked(whole.digest(), salt)
    return before if salt and same == before else _marked(whole.digest(), fresh)


def _marked(digest: bytes, salt: str) -> str:
    return f"{salt}:{hashlib.scrypt(digest, salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()}"


@dataclass(frozen=True)
class _Secrets:
    """Reads secrets and remembers which: ``files`` by path, ``variables`` by name."""

    inner: SecretReader
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    variables: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __call__(self, kind: Literal["file", "env"], name: str) -> SecretText:
        found = self.inner(kind, name)
        (self.files if kind == "file" else self.variables)[name] = found.value.encode()
        return found


@dataclass(frozen=True)
class _KeyFiles(KeyFiles):
    """Reads certificates and keys, and remembers them."""

    files: dict[str, bytes] = field(default_factory=dict, repr=False)

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        content = super().read(name, most)
        self.files[name] = content
        return content


def _read(file: Path) -> tuple[Loaded, _Secrets, _KeyFiles]:
    folder = file.resolve().parent
    secrets, key_files = _Secrets(SecretReader(folder, os.environ)), _KeyFiles(folder)
    project = project_name(folder.name)
    loaded = load(read_spec(file), file=str(file), project=project, read_secret=secrets, key_files=key_files)
    return loaded, secrets, key_files


# --- how the hosts are reached


def _ways(desired: Desired, keys: Keys, environment: dict[str, str]) -> dict[str, tuple[FileKind, bytes]]:
    """What it takes to reach the hosts' engines from any manager."""
    files: dict[str, tuple[FileKind, bytes]] = {}
    urls: list[str] = []
    local: list[Host] = []
    for host in desired.hosts:
        place = endpoint.find(host.name, host.engine)
        urls.append(place.url)
        if place.url.startswith("unix:"):
            local.append(host)
        elif host.engine.startswith("context:"):
            files |= _context(host.engine.removeprefix("context:"))
        elif place.tls is not None:
            files |= {f"{TLS_FOLDER}/{name}": ("secret", content) for name, content in _pems(place.tls).items()}
            environment["DOCKER_CERT_PATH"] = TLS_FOLDER
    if local:
        raise SpecError([_stays(host) for host in local])
    if any(url.startswith("ssh:") for url in urls):
        files |= _ssh(keys)
    return files


def _stays(host: Host) -> Problem:
    return Problem(
        host.source,
        f"host {host.name} is reached by {host.engine}, which is another engine on every node of the Swarm",
        "give it as ssh://user@host, tcp://host:2376 with TLS, or a Docker context of these",
    )


def _ssh(keys: Keys) -> dict[str, tuple[FileKind, bytes]]:
    if keys.ssh_key is None:
        raise DockgateError(
            "the file has hosts by ssh://, and the controller in the Swarm needs a key of its own for them",
            hint="make one (ssh-keygen -N '' -f key), let the hosts take it, and name it: --ssh-key key",
        )
    known = keys.known_hosts or Path.home() / ".ssh" / "known_hosts"
    folder = f"{HOME}/.ssh"
    config = f"Host *\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
    return {
        f"{folder}/config": ("config", config.encode()),
        f"{folder}/key": ("secret", _content(keys.ssh_key, "the ssh key")),
        f"{folder}/known_hosts": ("config", _content(known, "the file of known hosts")),
    }


def _context(name: str) -> dict[str, tuple[FileKind, bytes]]:
    """The part of the Docker client's store that holds one context."""
    store = endpoint.store()
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta, tls = f"contexts/meta/{digest}/meta.json", f"contexts/tls/{digest}/docker"
    files: dict[str, tuple[FileKind, bytes]] = {
        f"{HOME}/.docker/{meta}": ("config", _content(store / meta, f"the Docker context {name!r}"))
    }
    for file, content in _pems(store / tls).items():
        files[f"{HOME}/.docker/{tls}/{file}"] = ("secret", content)
    return files


def _pems(folder: Path) -> dict[str, bytes]:
    return {name: _content(folder / name, "the certificate") for name in _PEM if (folder / name).is_file()}


def _content(path: Path, what: str) -> bytes:
    try:
        return read_regular(path, max(MOST.values()))
    except (OSError, ValueError) as error:
        said = f"{what} {path} cannot be read: {reason(error)}"
        raise DockgateError(said, hint="check its path and its rights") from error


def _must_fit(target: str, kind: FileKind, content: bytes) -> None:
    if not 0 < len(content) <= MOST[kind]:
        raise DockgateError(
            f"{target} has {len(content)} bytes; Swarm takes 1 to {MOST[kind]} in a {kind}",
            hint="split the file, or run `dockgate run` as a systemd unit (packaging/dockgate.service)",
        )
