"""Certificates as rows of the status: whose they are, until when they are good, and whether they are in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dockgate.model.desired import Desired
from dockgate.model.objects import balancer_of
from dockgate.model.observed import Observed, ObservedHost
from dockgate.model.tls import TlsFile


@dataclass(frozen=True)
class CertificateRow:
    """One TLS file of one load balancer. ``expires``: UTC, as 2027-01-31 12:00, "" for a self-signed one. ``in_use``:
    it is in the load balancer's volume as it is beside the user's file; None where the host cannot be read."""

    vip: str
    host: str
    file: str
    kind: str
    names: tuple[str, ...]
    expires: str
    in_use: bool | None
    expired: bool = False

    def __str__(self) -> str:
        names = f" for {', '.join(self.names)}" if self.names else ""
        state = "; not in use yet: dockgate up" if self.in_use is False else ""
        end = f" {'has expired at' if self.expired else 'expires'} {self.expires}" if self.expires else ""
        return f"{self.kind} {self.file}{names} on {self.host} ({self.vip}){end}{state}"


def certificate_rows(desired: Desired, observed: Observed) -> tuple[CertificateRow, ...]:
    """In the order of VIPs and hosts; the one that expires first comes first."""
    return tuple(
        CertificateRow(
            vip.name,
            host,
            file.label,
            file.kind,
            file.names,
            f"{datetime.fromtimestamp(file.expires, UTC):%Y-%m-%d %H:%M}" if file.expires else "",
            _in_use(desired, observed, host, vip.name, file),
            file.expired,
        )
        for vip in desired.vips
        for host in vip.hosts
        for file in sorted(desired.tls_files(vip), key=lambda file: file.expires)
    )


def _in_use(desired: Desired, observed: Observed, host_name: str, vip: str, file: TlsFile) -> bool | None:
    host = observed.host(host_name)
    if not isinstance(host, ObservedHost):
        return None
    container = balancer_of(host.containers, desired.project, vip)
    balancer = host.loadbalancer(container.name) if container else None
    return balancer is not None and file.is_among(balancer.tls_files)
