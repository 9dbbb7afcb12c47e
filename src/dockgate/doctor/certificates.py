"""Each certificate: until when it is good, and whether the load balancers have the one that the file has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dockgate.doctor.case import Case, Trouble, balancer_root
from dockgate.doctor.model import Finding
from dockgate.model.desired import Vip
from dockgate.model.objects import balancer_of
from dockgate.model.tls import TlsFile


def check_certificates(case: Case) -> Iterator[Trouble]:
    for vip in case.desired.vips:
        for file in case.desired.tls_files(vip):
            yield from _term(vip, file)
            for host in vip.hosts:
                yield from _in_use(case, vip, host, file)


def _term(vip: Vip, file: TlsFile) -> Iterator[Trouble]:
    if file.term == "good":
        return
    end = f"{datetime.fromtimestamp(file.expires, UTC):%Y-%m-%d %H:%M} UTC"
    names = f", for {', '.join(file.names)}" if file.names else ""
    seen, advice = f"it is good until {end}{names}; VIP {vip.name} has it", "renew it in its place, then dockgate up"
    if file.expired:
        yield Trouble(Finding("error", "certificate-expired", str(file), "it has expired", seen, advice))
    else:
        yield Trouble(Finding("warning", "certificate-expires", str(file), "it expires soon", seen, advice))


def _in_use(case: Case, vip: Vip, host: str, file: TlsFile) -> Iterator[Trouble]:
    """Where the load balancer cannot be read, that is told of it itself."""
    state = case.host(host)
    container = balancer_of(state.containers, case.desired.project, vip.name) if state else None
    balancer = state.loadbalancer(container.name) if state and container else None
    if balancer is None or file.expired or file.is_among(balancer.tls_files):
        return
    known = any(name == file.name for name, _ in balancer.tls_files)
    seen = f"its volume has {'another one of that name' if known else 'none of that name'}"
    where = f"{file} of VIP {vip.name} on {host}"
    told = Finding(
        "warning", "certificate-not-in-use", where, "the load balancer does not have it", seen, "dockgate up"
    )
    yield Trouble(told, because=(balancer_root(host, vip.name),))
