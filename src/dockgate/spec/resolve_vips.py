"""Resolve VIPs: their hosts, ports, routes in order of precedence, and statistics page.

Invariant of what is returned: every VIP has at least one host and one port, and every pool it names is in the file,
unless a problem was reported.
"""

from __future__ import annotations

from dockgate.model.desired import Host, Listen, Route, Stats, Vip, VipTimeouts
from dockgate.model.http import HeaderMatch

from .job import Job
from .path import Path
from .problems import quote
from .resolve_http import clients, connections, maintenance, route_http, snippets, vip_http
from .resolve_secret import read_password
from .resolve_tls import check_names, check_redirects, resolve_sni, resolve_tls
from .resolve_waf import resolve_waf
from .schema import RouteSpec, StatsSpec, VipSpec
from .secrets import password_hash


def resolve_vips(job: Job, hosts: tuple[Host, ...]) -> tuple[Vip, ...]:
    """All VIPs, sorted by name."""
    known = {host.name: host for host in hosts}
    vips = tuple(_vip(job, name, spec, known) for name, spec in sorted(job.spec.vips.items()))
    _check_addresses(job, vips, hosts)
    return vips


def _vip(job: Job, name: str, spec: VipSpec, hosts: dict[str, Host]) -> Vip:
    path: Path = ("vips", name)
    listens = _listens(job, path, spec)
    vip = Vip(
        name=name,
        hosts=_hosts(job, path, spec, hosts),
        listens=listens,
        address=spec.address,
        routes=_routes(job, path, spec),
        stats=_stats(job, path, spec.stats) if spec.stats else None,
        timeouts=VipTimeouts(**spec.timeouts.model_dump(exclude_none=True)),
        clients=clients(job, (*path, "clients"), spec.clients),
        connections=connections(job, (*path, "connections"), spec.connections),
        trusted_proxies=tuple(sorted(set(spec.trusted_proxies or ()))),
        log=spec.log,
        http=vip_http(job, (*path, "http"), spec.http),
        maintenance=maintenance(job, (*path, "maintenance"), spec.maintenance),
        snippets=snippets(job, (*path, "snippets"), spec.snippets),
        waf=resolve_waf(job, path, spec.waf, spec.routes),
        source=job.tree.key(*path),
    )
    _check_modes(job, path, spec, vip)
    _check_pools(job, path, spec, vip)
    check_names(job, path, spec, vip)
    return vip


def _hosts(job: Job, path: Path, spec: VipSpec, hosts: dict[str, Host]) -> tuple[str, ...]:
    at = (*path, "hosts")
    if spec.hosts is None:
        if len(hosts) > 1 and job.tree.whole(*path) and job.tree.whole("hosts"):
            what = f"vips.{path[1]} does not say which hosts run it, and the file has {len(hosts)}"
            job.problem(path, what, f"add hosts: [{', '.join(sorted(hosts)[:5])}] or some of them", at_key=True)
        return tuple(sorted(hosts)[:1])
    if not spec.hosts and job.tree.whole(*at):
        job.problem(at, f"vips.{path[1]}.hosts must not be empty", "name at least one host")
    names: dict[str, None] = {}
    for index, name in enumerate(spec.hosts):
        if name in names:
            job.problem((*at, index), f"vips.{path[1]}.hosts names {quote(name)} twice", "remove one")
        elif job.refer((*at, index), "hosts", name, hosts):
            names[name] = None
    return tuple(sorted(names))


def _listens(job: Job, path: Path, spec: VipSpec) -> tuple[Listen, ...]:
    listens: list[Listen] = []
    first: dict[int, int] = {}
    for index, listen in enumerate(spec.listen):
        at = (*path, "listen", index)
        if listen.port in first:
            line = job.tree.value(*path, "listen", first[listen.port]).line
            what = f"vips.{path[1]} listens on port {listen.port} twice; the first is in line {line}"
            job.problem((*at, "port"), what, "keep one of the two")
            continue
        first[listen.port] = index
        if listen.accept_proxy and not spec.trusted_proxies and job.tree.whole(*path, "trusted_proxies"):
            what = f"vips.{path[1]} accepts PROXY on port {listen.port} and trusts no proxy"
            job.problem((*at, "accept_proxy"), what, "name the proxies in the VIP's 'trusted_proxies'")
        listens.append(
            Listen(
                port=listen.port,
                mode=listen.mode,
                pool=None if listen.redirect else listen.pool or spec.pool,
                tls=resolve_tls(job, (*at, "tls"), listen.tls) if listen.tls else None,
                redirect=listen.redirect,
                sni=resolve_sni(job, at, listen),
                source=job.tree.value(*at),
                accept_proxy=listen.accept_proxy,
            )
        )
    check_redirects(job, path, spec, listens)
    return tuple(listens)


def _routes(job: Job, path: Path, spec: VipSpec) -> tuple[Route, ...]:
    """Routes in order of precedence, each matching something that no earlier one matches completely."""
    seen: dict[object, Route] = {}
    for index, route in enumerate(spec.routes):
        at = (*path, "routes", index)
        made = _route(job, at, route)
        # Two parts of the same requests may go to two pools.
        key = made.asks if made.percent is None else (*made.asks, made.pool)
        same = seen.get(key)
        if same:
            what = f"this route matches exactly what the one in line {same.source.line} matches"
            job.problem(at, what, "it can never be used: remove one of the two")
        elif made.asks == (None, None, None) and made.percent is None and job.tree.whole(*path, "routes"):
            job.problem(at, "this route matches every request", "give it a host or a path, or make it the VIP's 'pool'")
        else:
            seen[key] = made
            _check_stats_shadow(job, at, spec, made)
    routes = tuple(sorted(seen.values(), key=_precedence))
    _check_parts(job, routes)
    return routes


def _check_parts(job: Job, routes: tuple[Route, ...]) -> None:
    """The parts of the same requests are at most all of them."""
    taken: dict[object, int] = {}
    for route in routes:
        taken[route.asks] = taken.get(route.asks, 0) + (route.percent or 0)
        if taken[route.asks] > 100:
            what = f"with this route {taken[route.asks]} percent of the same requests go somewhere else"
            job.findings.problem(route.source, what, "the parts of the same requests must be at most 100")


def _route(job: Job, at: Path, spec: RouteSpec) -> Route:
    path = _route_path(spec)
    return Route(
        pool=spec.pool,
        host=spec.host,
        path=path,
        source=job.tree.value(*at),
        clients=clients(job, (*at, "clients"), spec.clients),
        http=route_http(job, (*at, "http"), spec.http, path),
        header=HeaderMatch(spec.header.name.lower(), spec.header.value) if spec.header else None,
        percent=spec.percent,
        waf=spec.waf,
    )


def _route_path(route: RouteSpec) -> str | None:
    """``/`` and a closing slash say nothing: whole segments are matched."""
    return (route.path or "").rstrip("/") or None


def _precedence(route: Route) -> tuple[object, ...]:
    """Exact host, longer wildcard, shorter wildcard, no host; within one, the longer path first; within that, with a
    header's value, with a header, without; within that, parts before the whole."""
    host, path, header = route.host or "", route.path or "", route.header
    kind = 2 if not host else 1 if host.startswith("*.") else 0
    closer = 2 if header is None else 1 if header.value is None else 0
    which = (header.name, header.value or "") if header else ("", "")
    whole = route.percent is None
    return kind, -len(host) if kind == 1 else 0, -len(path), host, path, closer, which, whole, route.pool


def _check_stats_shadow(job: Job, at: Path, spec: VipSpec, route: Route) -> None:
    if spec.stats and route.path and route.path.startswith(spec.stats.path):
        what = f"this route can never be used: the statistics page answers at {spec.stats.path}"
        job.problem((*at, "path"), what, "change one of the two paths")


def _stats(job: Job, path: Path, spec: StatsSpec) -> Stats:
    at = (*path, "stats")
    if spec.path.rstrip("/") == "":
        job.problem((*at, "path"), "the statistics page cannot be at '/': it would hide the service", "use /lbstats")
    password = read_password(job, (*at, "password"), spec.password)
    hashed = ""
    if password:
        hashed = password_hash(password, project=job.project, vip=str(path[1]), user=spec.user)
    return Stats(spec.path, spec.user, hashed, job.tree.key(*at))


def _check_modes(job: Job, path: Path, spec: VipSpec, vip: Vip) -> None:
    """What needs HTTP, on a VIP that has none."""
    if any(listen.mode == "http" for listen in vip.listens) or not job.tree.whole(*path, "listen"):
        return
    timeouts = spec.timeouts.model_fields_set & {"request", "keep_alive"}
    only_http: list[tuple[str, ...]] = [("timeouts", key) for key in sorted(timeouts)]
    only_http += [("routes",)] * bool(spec.routes) + [("stats",)] * bool(spec.stats)
    only_http += [("waf",)] * (spec.waf is not None)
    only_http += [("http",)] * (spec.http is not None) + [("maintenance",)] * (spec.maintenance is not None)
    for keys in only_http:
        what = f"vips.{path[1]}.{'.'.join(keys)} needs a port with mode http, and all ports of this VIP are tcp"
        job.problem((*path, *keys), what, "remove it, or change a port's mode", at_key=True)


def _check_pools(job: Job, path: Path, spec: VipSpec, vip: Vip) -> None:
    """Every pool exists, and every port leads somewhere."""
    known = job.spec.pools
    if spec.pool:
        job.refer((*path, "pool"), "pools", spec.pool, known)
    for index, port in enumerate(spec.listen):
        if port.pool:
            job.refer((*path, "listen", index, "pool"), "pools", port.pool, known)
        for number, sni in enumerate(port.sni):
            job.refer((*path, "listen", index, "sni", number, "pool"), "pools", sni.pool, known)
    for index, route in enumerate(spec.routes):
        job.refer((*path, "routes", index, "pool"), "pools", route.pool, known)
    if not job.tree.whole(*path):
        return
    for listen in vip.listens:
        leads = listen.pool or listen.sni or listen.redirect
        if not leads and (listen.mode == "tcp" or not vip.routes):
            what = f"vips.{vip.name} sends the traffic of port {listen.port} nowhere"
            job.findings.problem(listen.source, what, "give the VIP or this port a 'pool'")


def _check_addresses(job: Job, vips: tuple[Vip, ...], hosts: tuple[Host, ...]) -> None:
    owners = {host.address: host.name for host in hosts if host.address}
    for vip in vips:
        if vip.address is None:
            continue
        at = ("vips", vip.name, "address")
        if len(vip.hosts) > 1:
            what = f"vips.{vip.name} has an address of its own and {len(vip.hosts)} hosts; an address is on one host"
            job.problem(at, what, "name one host, or leave the address out")
        if owner := owners.get(vip.address):
            what = f"vips.{vip.name}.address is the address of the host {quote(owner)} itself"
            job.problem(at, what, "use a free address, or leave it out to use the host's own")
