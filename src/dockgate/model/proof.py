"""What a VIP is asked to prove that it serves. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from .desired import Mode


@dataclass(frozen=True)
class TlsQuestion:
    """A request over TLS. ``name``: the server name asked for, "" for none. ``shown``: SHA-256 fingerprints, of which
    the certificate that comes back must have one; empty: any. ``needs_client``: no answer without a client's."""

    name: str = ""
    shown: tuple[str, ...] = field(default=(), repr=False)
    needs_client: bool = False


@dataclass(frozen=True)
class ProofRequest:
    """One request through a VIP. For mode tcp: a connection that opens. ``pool``: the pool that must answer.
    ``headers``: further ones, names and values. ``attack``: a firewall must refuse it."""

    address: str
    port: int
    mode: Mode
    pool: str
    host_header: str = ""
    path: str = "/"
    tls: TlsQuestion | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attack: bool = False
