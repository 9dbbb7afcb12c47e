"""Resolve pools: their members, mode, check and times.

A pool's mode is that of the ports that use it, so VIPs are resolved first. What belongs to one pool alone is checked
here; what belongs to several entries is checked in ``conflicts``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dockgate.model.desired import (
    ByLabel,
    ByName,
    ByService,
    Check,
    CheckKind,
    Endpoint,
    Endpoints,
    Host,
    Member,
    Membership,
    Mode,
    Network,
    Pool,
    PoolTimeouts,
    Published,
    Sticky,
    Vip,
)

from .job import Job
from .path import Path
from .problems import quote
from .resolve_http import snippets
from .resolve_tls import resolve_members_tls
from .schema import CheckSpec, EndpointSpec, MemberSpec, PoolSpec, StickySpec

_KINDS = ("members", "service", "labels", "published", "endpoints")
_HTTP_ONLY_IN_CHECK = ("method", "path", "version", "host", "expect")


def resolve_pools(
    job: Job, *, hosts: tuple[Host, ...], networks: tuple[Network, ...], vips: tuple[Vip, ...]
) -> tuple[Pool, ...]:
    """All pools, sorted by name. ``vips`` say in which mode each is used."""
    modes = pool_modes(vips)
    names = dict.fromkeys(network.name for network in networks)
    addresses = {host.name: host for host in hosts}
    pools = []
    for name, spec in sorted(job.spec.pools.items()):
        mode = next(iter(sorted(modes.get(name, {"http"}))))
        pools.append(_pool(job, name, spec, mode, addresses))
        _check_network(job, ("pools", name), spec, names)
    return tuple(pools)


def pool_modes(vips: Iterable[Vip]) -> dict[str, set[Mode]]:
    """The modes of the ports that use each pool."""
    modes: dict[str, set[Mode]] = {}
    for vip in vips:
        for listen in vip.listens:
            if listen.pool:
                modes.setdefault(listen.pool, set()).add(listen.mode)
            for sni in listen.sni:
                modes.setdefault(sni.pool, set()).add("tcp")
        for route in vip.routes:
            modes.setdefault(route.pool, set()).add("http")
    return modes


def _pool(job: Job, name: str, spec: PoolSpec, mode: Mode, hosts: dict[str, Host]) -> Pool:
    path: Path = ("pools", name)
    membership = _membership(job, path, spec, hosts)
    if mode == "tcp":
        _check_tcp(job, path, spec)
    return Pool(
        name=name,
        membership=membership,
        port=_port(job, path, spec, membership),
        network=spec.network,
        mode=mode,
        balance=spec.balance,
        check=_check(job, (*path, "check"), spec.check, mode) if spec.check else None,
        timeouts=PoolTimeouts(**spec.timeouts.model_dump(exclude_none=True)),
        retry_non_idempotent=spec.retry_non_idempotent,
        tls=resolve_members_tls(job, (*path, "tls"), spec.tls) if spec.tls else None,
        send_proxy=spec.send_proxy,
        retries=_or(spec.retries, Pool.retries),
        sticky=_sticky(job, (*path, "sticky"), spec.sticky, mode) if spec.sticky else None,
        snippets=snippets(job, (*path, "snippets"), spec.snippets),
        source=job.tree.key(*path),
    )


def _membership(job: Job, path: Path, spec: PoolSpec, hosts: dict[str, Host]) -> Membership:
    given = [kind for kind in _KINDS if getattr(spec, kind) is not None]
    if not given and job.tree.whole(*path):
        what = f"pools.{path[1]} does not say who its members are"
        job.problem(path, what, f"add one of {', '.join(_KINDS)}", at_key=True)
    for extra in given[1:]:
        what = f"pools.{path[1]} has both {quote(given[0])} and {quote(extra)}"
        job.problem((*path, extra), what, "keep one of the two; use two pools for two kinds of members", at_key=True)
    if spec.service is not None and spec.members is None:
        return ByService(spec.service.name, _or(spec.service.maximum, ByService.maximum))
    if spec.labels is not None and spec.members is None:
        return ByLabel(_or(spec.labels.maximum, ByLabel.maximum))
    if spec.endpoints is not None and spec.members is None and spec.published is None:
        return Endpoints(_endpoints(job, (*path, "endpoints"), spec.endpoints, hosts))
    if spec.published is not None and spec.members is None:
        return Published(_members(job, (*path, "published"), spec.published))
    return ByName(_members(job, (*path, "members"), spec.members or []))


def _members(job: Job, at: Path, specs: list[MemberSpec]) -> tuple[Member, ...]:
    if not specs and job.tree.whole(*at[:2]) and at in job.tree.places:
        job.problem(at, f"{at[0]}.{at[1]}.{at[2]} must not be empty", "add at least one container")
    members: dict[str, Member] = {}
    for index, spec in enumerate(specs):
        source = job.tree.value(*at, index)
        if spec.name in members:
            what = f"the member {quote(spec.name)} stands here a second time; the first is in line"
            job.findings.problem(
                source, f"{what} {members[spec.name].source.line}", "remove one; use 'weight' for more"
            )
        else:
            members[spec.name] = Member(spec.name, _or(spec.weight, Member.weight), source)
    return tuple(sorted(members.values(), key=lambda member: member.name))


def _endpoints(job: Job, at: Path, specs: list[EndpointSpec], hosts: dict[str, Host]) -> tuple[Endpoint, ...]:
    if not specs and job.tree.whole(*at):
        job.problem(at, f"{at[0]}.{at[1]}.{at[2]} must not be empty", "add at least one host:port")
    places: dict[tuple[str, int], Endpoint] = {}
    names: set[str] = set()
    for index, spec in enumerate(specs):
        source = job.tree.value(*at, index)
        said, _, port = spec.endpoint.rpartition(":")
        address = _endpoint_address(job, (*at, index), said, hosts)
        if same := places.get((address, int(port))):
            what = f"the endpoint {quote(spec.endpoint)} is the same place as the one in line {same.source.line}"
            job.findings.problem(source, what, "remove one; use 'weight' for more")
            continue
        name = _unique(re.sub(r"[^A-Za-z0-9_.-]", "-", f"{said}-{port}"), names)
        weight = _or(spec.weight, Endpoint.weight)
        places[address, int(port)] = Endpoint(name, address, int(port), weight, source)
    return tuple(sorted(places.values(), key=lambda endpoint: endpoint.name))


def _endpoint_address(job: Job, at: Path, said: str, known: dict[str, Host]) -> str:
    """A host of the file → its address; anything else stands for itself."""
    host = known.get(said)
    if host is not None:
        if host.address is None and job.tree.whole("hosts", said):
            what = f"the host {quote(said)} has no address"
            job.problem(at, what, f"give hosts.{said} an 'address', or write an address here")
        return host.address or said
    if said.lower() == "localhost" or said.startswith("127."):
        what = f"{quote(said)} is the load balancer's own container, not its host"
        job.problem(at, what, "name the host or its address on the LAN")
    elif re.fullmatch(r"[0-9.]+", said) and not _is_ipv4(said):
        job.problem(at, f"{quote(said)} is not an IPv4 address", "write it like 192.168.50.12")
    return said.lower()


def _is_ipv4(said: str) -> bool:
    parts = said.split(".")
    return len(parts) == 4 and all(re.fullmatch("0|[1-9][0-9]{0,2}", part) and int(part) <= 255 for part in parts)


def _unique(name: str, taken: set[str]) -> str:
    """``name``, with a number behind it if it is taken."""
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    taken.add(unique)
    return unique


def _port(job: Job, path: Path, spec: PoolSpec, membership: Membership) -> int:
    if isinstance(membership, Endpoints):
        if spec.port is not None:
            what = f"pools.{path[1]}.port has no meaning: each endpoint carries its own port"
            job.problem((*path, "port"), what, "remove it", at_key=True)
        return 0
    if spec.port is None and job.tree.whole(*path):
        job.problem(path, f"pools.{path[1]} has no 'port'", "add the port that its members listen on", at_key=True)
    return spec.port or 0


def _check_network(job: Job, path: Path, spec: PoolSpec, names: dict[str, None]) -> None:
    by_dns = spec.members is not None or spec.service is not None or spec.labels is not None
    if spec.network is not None:
        job.refer((*path, "network"), "networks", spec.network, names)
        if not by_dns and (spec.published is not None or spec.endpoints is not None):
            kind = "published" if spec.published is not None else "endpoints"
            what = f"pools.{path[1]}.network has no meaning: {kind} members are reached over their hosts' addresses"
            job.problem((*path, "network"), what, "remove it", at_key=True)
    elif by_dns and job.tree.whole(*path):
        how = "reached" if spec.labels is not None else "found by name"
        what = f"pools.{path[1]} has no 'network', and its members are {how} on one"
        fix = f"add one of: {', '.join(sorted(names)[:10])}" if names else "declare one in 'networks' and name it here"
        job.problem(path, what, fix, at_key=True)


def _sticky(job: Job, at: Path, spec: StickySpec, mode: Mode) -> Sticky:
    if spec.by == "cookie" and mode == "tcp":
        what = f"{at[0]}.{at[1]}.sticky is by cookie, and the pool's traffic is tcp: there are no cookies"
        job.problem(at, what, "write sticky: client")
    for key, needs in (("cookie", "cookie"), ("expire", "client")):
        if key in spec.model_fields_set and spec.by != needs:
            what = f"{at[0]}.{at[1]}.sticky.{key} has no meaning by {spec.by}"
            job.problem((*at, key), what, f"remove it, or write by: {needs}", at_key=True)
    expire = _or(spec.expire, Sticky.expire_ms)
    return Sticky(spec.by, spec.cookie or Sticky.cookie, expire, job.tree.value(*at))


def _check_tcp(job: Job, path: Path, spec: PoolSpec) -> None:
    if spec.balance == "uri":
        what = f"pools.{path[1]}.balance is uri, and its traffic is tcp: there is no URI"
        job.problem((*path, "balance"), what, "use source to keep a client on one member, or leastconn")
    if spec.retry_non_idempotent:
        what = f"pools.{path[1]}.retry_non_idempotent has no meaning for tcp"
        job.problem((*path, "retry_non_idempotent"), what, "remove it", at_key=True)


def _check(job: Job, at: Path, spec: CheckSpec, mode: Mode) -> Check:
    http_only = [key for key in _HTTP_ONLY_IN_CHECK if key in spec.model_fields_set]
    kind: CheckKind = spec.kind or ("http" if http_only else mode)
    if kind != "http":
        for key in http_only:
            what = f"{at[0]}.{at[1]}.check.{key} has no meaning: a {kind} check sends no HTTP request"
            job.problem((*at, key), what, "remove it, or use kind: http", at_key=True)
    if kind not in ("http", "tcp") and mode == "http":
        what = f"{at[0]}.{at[1]}.check is for {kind}, and the ports that use this pool speak http"
        job.problem((*at, "kind"), what, "use kind: http or tcp, or give the ports mode: tcp")
    if spec.user is not None and kind != "postgres":
        what = f"{at[0]}.{at[1]}.check.user has no meaning: a {kind} check names nobody"
        job.problem((*at, "user"), what, "remove it, or use kind: postgres", at_key=True)
    if kind == "http" and spec.version == "1.1" and spec.host is None and job.tree.whole(*at):
        job.problem((*at, "version"), "an HTTP/1.1 check needs a Host header", "add host: www.example.org")
    interval = _or(spec.interval, Check.interval_ms)
    return Check(
        kind=kind,
        method=spec.method or Check.method,
        path=spec.path or Check.path,
        version=spec.version or "1.0",
        host=spec.host,
        expect=spec.expect or Check.expect,
        interval_ms=interval,
        timeout_ms=_or(spec.timeout, min(Check.timeout_ms, interval)),
        fall=_or(spec.fall, Check.fall),
        rise=_or(spec.rise, Check.rise),
        user=spec.user or Check.user,
        source=job.tree.value(*at),
    )


def _or(given: int | None, default: int) -> int:
    return default if given is None else given
