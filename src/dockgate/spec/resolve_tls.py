"""Resolve TLS: certificates read and judged, so that nothing reaches a host that its HAProxy would refuse.

Of a key nothing is kept but a hash over its whole file. Invariant: what is returned has at least one certificate unless
a problem was reported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from dockgate.model.desired import Listen, SniRoute, Vip
from dockgate.model.tls import ClientCertificates, MembersTls, Tls, TlsFile, covers

from .job import Job
from .path import Path, dotted
from .pem import BadPem, Bundle, authority, bundle
from .problems import quote
from .schema import ListenSpec, VipSpec
from .schema_tls import CertificateSpec, MembersTlsSpec, TlsSpec
from .secrets import SecretUnavailable

SELF_SIGNED = "self-signed"
"""Instead of a digest: what it will be is not known before it is made."""
SOON_S = 14 * 86_400


def resolve_tls(job: Job, path: Path, spec: TlsSpec) -> Tls:
    found: dict[str, TlsFile] = {}
    for index, certificate in enumerate(spec.certificates):
        at = (*path, "certificates", index)
        for places in _places(job, at, certificate):
            file = _file(job, at, places, "certificate")
            if file:
                found.setdefault(file.name, file)
    if spec.self_signed:
        made = _self_signed(job, path)
        found[made.name] = made
    if bool(spec.certificates) == spec.self_signed and job.tree.whole(*path, "certificates"):
        what = f"{dotted(path)} has {'both' if spec.self_signed else 'neither'} certificates and self_signed"
        job.problem(path, what, "write certificates: [{cert: …, key: …}], or self_signed: true for a lab", at_key=True)
    clients = None
    if spec.clients:
        signer = _file(job, (*path, "clients", "authority"), (spec.clients.authority,), "authority")
        clients = ClientCertificates(signer, spec.clients.verify == "required") if signer else None
    days = spec.hsts_days or 0
    return Tls(tuple(found.values()), spec.minimum or Tls.minimum, days * 86_400, clients)


def _self_signed(job: Job, path: Path) -> TlsFile:
    """For the hosts of the VIP's routes, and for every address on which it can be asked."""
    vip = job.spec.vips[str(path[1])]
    hosts = job.spec.hosts or {}
    homes = [hosts[name] for name in vip.hosts or hosts if name in hosts]
    addresses = [vip.address] if vip.address else [home.address for home in homes]
    names = sorted({route.host for route in vip.routes if route.host} | {each for each in addresses if each})
    names = names or ["localhost"]
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()
    return TlsFile(f"self-signed-{digest[:12]}.pem", SELF_SIGNED, (), names=tuple(names), source=job.tree.key(*path))


def resolve_sni(job: Job, path: Path, spec: ListenSpec) -> tuple[SniRoute, ...]:
    """Exact names before wildcards, longer wildcards before shorter ones."""
    if spec.sni and (spec.mode != "tcp" or spec.tls):
        what = "TLS is passed on unopened where a port has mode tcp and no tls of its own"
        job.problem((*path, "sni"), what, "write mode: tcp and leave tls out, or use the VIP's 'routes'", at_key=True)
    found: dict[str, SniRoute] = {}
    for index, route in enumerate(spec.sni):
        at = (*path, "sni", index, "host")
        if same := found.get(route.host):
            job.problem(at, f"{quote(route.host)} is in line {same.source.line} already", "remove one of the two")
        else:
            found[route.host] = SniRoute(route.host, route.pool, job.tree.value(*path, "sni", index))
    return tuple(sorted(found.values(), key=lambda route: (route.host.startswith("*"), -len(route.host), route.host)))


def resolve_members_tls(job: Job, path: Path, spec: MembersTlsSpec) -> MembersTls | None:
    """None after a problem."""
    signer = _file(job, (*path, "authority"), (spec.authority,), "authority")
    return MembersTls(signer, spec.name) if signer else None


def check_redirects(job: Job, path: Path, spec: VipSpec, listens: Sequence[Listen]) -> None:
    """A redirect leads to a port that answers by HTTPS, and has no traffic of its own."""
    https = {listen.port for listen in listens if listen.tls and listen.mode == "http"}
    for index, listen in enumerate(spec.listen):
        at = (*path, "listen", index)
        if listen.redirect is None:
            continue
        if listen.mode == "tcp" or listen.pool or listen.tls:
            what = "a port that redirects has mode http, and neither a pool nor tls"
            job.problem((*at, "redirect"), what, "remove what does not go with it", at_key=True)
        elif listen.redirect not in https and job.tree.whole(*path, "listen"):
            what = f"vips.{path[1]} has no HTTPS port {listen.redirect} to redirect to"
            job.problem((*at, "redirect"), what, "name a port of this VIP that has tls and mode http")


def check_names(job: Job, path: Path, spec: VipSpec, vip: Vip) -> None:
    """Whoever asks for a route's host must be shown a certificate that is for it."""
    for listen in vip.listens:
        tls = listen.tls
        if tls is None or listen.mode != "http" or not tls.certificates:
            continue
        names = sorted({name for certificate in tls.certificates for name in certificate.names})
        for index, route in enumerate(spec.routes):
            if route.host and not any(covers(name, route.host) for name in names):
                what = f"no certificate of port {listen.port} is for {quote(route.host)}"
                fix = f"they are for: {', '.join(names[:8]) or 'no name'}"
                job.problem((*path, "routes", index, "host"), what, fix)


def _places(job: Job, at: Path, spec: CertificateSpec) -> Iterator[tuple[str, ...]]:
    """The files of each certificate: one that holds all, or certificate and key."""
    if spec.cert and not spec.folder:
        yield (spec.cert, spec.key) if spec.key else (spec.cert,)
        return
    if not spec.folder or spec.cert or spec.key:
        if job.tree.whole(*at):
            job.problem(at, "a certificate is either {cert: …, key: …} or {folder: …}", "write one of the two")
        return
    try:
        names = job.key_files.names(spec.folder)
    except SecretUnavailable as error:
        job.problem((*at, "folder"), error.what, error.hint)
        return
    pairs = [name for name in names if name.endswith((".pem", ".crt"))]
    if not pairs:
        what = f"the folder {quote(spec.folder)} holds no certificate"
        job.problem((*at, "folder"), what, "put NAME.pem there, or NAME.crt with NAME.key")
    for name in pairs:
        file = f"{spec.folder.rstrip('/')}/{name}"
        yield (file,) if name.endswith(".pem") else (file, f"{file.removesuffix('.crt')}.key")


def _file(job: Job, at: Path, places: tuple[str, ...], kind: Literal["certificate", "authority"]) -> TlsFile | None:
    """None after a problem."""
    try:
        contents = [job.key_files.read(place) for place in places]
        made = bundle(contents) if kind == "certificate" else authority(contents[0])
    except SecretUnavailable as error:
        job.problem(at, error.what, error.hint)
        return None
    except BadPem as error:
        job.problem(at, f"{kind} {quote(places[0])}: {error.what}", error.hint)
        return None
    if made.begins > job.key_files.now:
        what = f"{quote(places[0])} is not valid before {_date(made.begins)}"
        job.problem(at, what, "look at this machine's clock")
        return None
    digest = hashlib.sha256(made.content).hexdigest()
    return TlsFile(
        name=_name(places[0], digest, kind),
        digest=digest,
        places=places,
        kind=kind,
        names=made.names if kind == "certificate" else (),
        fingerprint=made.fingerprint,
        expires=made.expires,
        term=_term(job, at, places[0], made),
        source=job.tree.value(*at),
    )


def _term(job: Job, at: Path, place: str, made: Bundle) -> Literal["good", "soon", "over"]:
    now = job.key_files.now
    if made.expires <= now:
        source = job.tree.value(*at)
        job.findings.outdate(source, f"{quote(place)} has expired at {_date(made.expires)}", "renew it")
        return "over"
    if made.expires < now + SOON_S:
        job.note(at, f"{quote(place)} expires at {_date(made.expires)}")
        return "soon"
    return "good"


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _name(place: str, digest: str, kind: Literal["certificate", "authority"]) -> str:
    """In the volume. A certificate keeps it when it is renewed."""
    if kind == "authority":
        return f"authority-{digest[:12]}.pem"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", place.rpartition("/")[2].rpartition(".")[0])[:40].strip("-")
    return f"certificate-{stem or 'file'}-{hashlib.sha256(place.encode()).hexdigest()[:8]}.pem"
