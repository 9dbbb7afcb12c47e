"""TLS as values: what a port shows its clients and asks of them. Public parts only: a private key never stands here.

A file that belongs to TLS lies in its load balancer's volume under a name of its own. A certificate's name comes from
where the user keeps it and stays the same when it is renewed, so that a renewal needs no reload; an authority's name
comes from its content, so that another one is another configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .source import NOWHERE, Source

TlsVersion: TypeAlias = Literal["1.2", "1.3"]


@dataclass(frozen=True)
class TlsFile:
    """One file in the volume. ``digest``: SHA-256 over all of it. ``places``: the user's files it is made of, relative
    to the folder of ``dockgate.yaml``. ``kind`` certificate: with its chain and key; authority: certificates only.

    ``names``: DNS names and addresses that it is for. ``fingerprint``: SHA-256 of the certificate itself, hexadecimal.
    ``expires``: seconds since 1970. ``term``: how that stood when the file was read; "soon" is within two weeks. What
    runs with a certificate whose term is over goes on, and nobody else gets it.
    """

    name: str
    digest: str
    places: tuple[str, ...]
    kind: Literal["certificate", "authority"] = "certificate"
    names: tuple[str, ...] = ()
    fingerprint: str = ""
    expires: int = 0
    term: Literal["good", "soon", "over"] = field(default="good", compare=False)
    source: Source = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.label}"

    @property
    def self_signed(self) -> bool:
        """Made when it is put into a volume: each load balancer has its own, and ``digest`` is a word for any."""
        return not self.places

    @property
    def label(self) -> str:
        return self.places[0] if self.places else "self-signed"

    def is_among(self, there: Iterable[tuple[str, str]]) -> bool:
        """``there``: names and digests of what a volume holds."""
        return any(name == self.name and (self.self_signed or digest == self.digest) for name, digest in there)

    @property
    def expired(self) -> bool:
        return self.term == "over"


@dataclass(frozen=True)
class ClientCertificates:
    """Certificates of clients: signed by ``authority``, and whether there must be one."""

    authority: TlsFile
    required: bool = True


@dataclass(frozen=True)
class Tls:
    """TLS of one port. The first certificate is for whoever asks for no name or for none that is here.

    ``hsts_s``: for how long browsers are told to come by HTTPS only; 0: they are not told.
    """

    certificates: tuple[TlsFile, ...]
    minimum: TlsVersion = "1.2"
    hsts_s: int = 0
    clients: ClientCertificates | None = None

    def files(self) -> tuple[TlsFile, ...]:
        return (*self.certificates, *((self.clients.authority,) if self.clients else ()))


@dataclass(frozen=True)
class MembersTls:
    """TLS to members: what they show must be signed by ``authority`` and be for ``name``."""

    authority: TlsFile
    name: str


def covers(pattern: str, host: str) -> bool:
    """Whether a certificate's name is good for a host: itself, or a wildcard for exactly one label."""
    pattern, host = pattern.lower(), host.lower()
    return pattern == host or (pattern.startswith("*.") and pattern[1:] == host[host.find(".") :])


def each_once(files: Iterable[TlsFile]) -> tuple[TlsFile, ...]:
    """Sorted by name."""
    return tuple(sorted({file.name: file for file in files}.values(), key=lambda file: file.name))
