"""Resolve what is done with clients, requests and answers, and tell what does not fit together."""

from __future__ import annotations

from dataclasses import replace

from dockgate.model.http import (
    Auth,
    Clients,
    Connections,
    Header,
    Headers,
    Http,
    Maintenance,
    Page,
    RateLimit,
    Redirect,
    Snippet,
    User,
)

from .job import Job
from .path import Path, dotted
from .problems import quote
from .resolve_secret import read_password
from .schema_http import (
    AuthSpec,
    ClientsSpec,
    ConnectionsSpec,
    ErrorSpec,
    HeadersSpec,
    HttpSpec,
    MaintenanceSpec,
    RateLimitSpec,
    RedirectSpec,
    RouteHttpSpec,
    VipHttpSpec,
)
from .secrets import SecretUnavailable, password_hash

MOST_PAGE = 8 << 10
PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}


def clients(job: Job, at: Path, spec: ClientsSpec | None) -> Clients:
    """Who may connect at ``at``; an empty ``allow`` would mean nobody and is a problem."""
    if spec is None:
        return Clients()
    if spec.allow == [] and job.tree.whole(*at, "allow"):
        job.problem((*at, "allow"), f"{dotted((*at, 'allow'))} must not be empty", "name who may connect")
    allow, deny = set(spec.allow or ()), set(spec.deny or ())
    for both in sorted(allow & deny):
        job.problem((*at, "deny"), f"{dotted(at)} both allows and denies {both}", "keep it in one of the two lists")
    return Clients(tuple(sorted(allow)), tuple(sorted(deny)), job.tree.key(*at))


def connections(job: Job, at: Path, spec: ConnectionsSpec | None) -> Connections:
    return Connections(spec.total, spec.per_client, job.tree.key(*at)) if spec else Connections()


def snippets(job: Job, at: Path, lines: list[str]) -> tuple[Snippet, ...]:
    return tuple(Snippet(text, job.tree.value(*at, index)) for index, text in enumerate(lines))


def vip_http(job: Job, at: Path, spec: VipHttpSpec | None) -> Http:
    if spec is None:
        return Http()
    shared = _shared(job, at, spec)
    return replace(
        shared,
        request_id=spec.request_id,
        compression=spec.compression,
        errors=_errors(job, (*at, "errors"), spec.errors),
        redirects=_redirects(job, (*at, "redirects"), spec.redirects),
    )


def route_http(job: Job, at: Path, spec: RouteHttpSpec | None, path: str | None) -> Http:
    """``path``: the route's."""
    if spec is None:
        return Http()
    if spec.strip_path and path is None and job.tree.whole(*at[:-1]):
        what = f"{dotted((*at, 'strip_path'))} has nothing to take off: the route has no path"
        job.problem((*at, "strip_path"), what, "give the route a 'path', or leave this out")
    shared = _shared(job, at, spec)
    return replace(shared, strip_path=spec.strip_path, add_path=(spec.add_path or "").rstrip("/") or None)


def maintenance(job: Job, at: Path, spec: MaintenanceSpec | None) -> Maintenance | None:
    if spec is None:
        return None
    return Maintenance(
        page=_page(job, (*at, "page"), spec.page) if spec.page else None,
        allow=tuple(sorted(set(spec.allow))),
        retry_after_s=-(-(spec.retry_after or 0) // 1000),
        source=job.tree.key(*at),
    )


def _errors(job: Job, at: Path, specs: list[ErrorSpec]) -> tuple[tuple[int, Page], ...]:
    made: dict[int, Page] = {}
    for index, spec in enumerate(specs):
        if spec.status in made:
            job.problem((*at, index, "status"), f"{dotted(at)} has two pages for {spec.status}", "keep one")
        made.setdefault(spec.status, _page(job, (*at, index, "page"), spec.page))
    return tuple(sorted(made.items()))


def _page(job: Job, at: Path, place: str) -> Page:
    kind = next((kind for end, kind in PAGE_TYPES.items() if place.lower().endswith(end)), None)
    if kind is None:
        job.problem(at, f"{quote(place)} is no page", f"its name must end with {', '.join(PAGE_TYPES)}")
    try:
        content = job.key_files.read(place)
    except SecretUnavailable as error:
        job.problem(at, error.what, error.hint)
        content = b""
    if len(content) > MOST_PAGE:
        what = f"{quote(place)} has {len(content)} bytes, and a page may have {MOST_PAGE}"
        job.problem(at, what, "put pictures and styles elsewhere: HAProxy keeps an answer of its own in 16 KB")
    if b"\0" in content:
        job.problem(at, f"{quote(place)} is no text", "a page has no NUL bytes")
    return Page(kind or "", content, place, job.tree.value(*at))


def _shared(job: Job, at: Path, spec: HttpSpec) -> Http:
    """What VIPs and routes have both."""
    return Http(
        request_headers=_headers(job, (*at, "request_headers"), spec.request_headers),
        response_headers=_headers(job, (*at, "response_headers"), spec.response_headers),
        rate_limits=_rate_limits(job, (*at, "rate_limits"), spec.rate_limits),
        max_body=spec.max_body,
        max_headers=spec.max_headers,
        timeout_ms=spec.timeout,
        auth=_auth(job, (*at, "auth"), spec.auth) if spec.auth else None,
        source=job.tree.key(*at),
    )


def _rate_limits(job: Job, at: Path, specs: list[RateLimitSpec]) -> tuple[RateLimit, ...]:
    made: list[RateLimit] = []
    for index, spec in enumerate(specs):
        limit = RateLimit(spec.requests, spec.per, spec.by or RateLimit.by, job.tree.value(*at, index))
        same = next((each for each in made if (each.by, each.per_ms) == (limit.by, limit.per_ms)), None)
        if same:
            what = f"this limit counts the same in the same time as the one in line {same.source.line}"
            job.problem((*at, index), what, "keep the smaller of the two")
        made.append(limit)
    return tuple(made)


def _auth(job: Job, at: Path, spec: AuthSpec) -> Auth:
    if not spec.users and job.tree.whole(*at, "users"):
        job.problem((*at, "users"), f"{dotted(at)}.users must not be empty", "name who is let in")
    users: dict[str, User] = {}
    for index, each in enumerate(spec.users):
        place = (*at, "users", index)
        if each.user in users:
            job.problem((*place, "user"), f"{dotted(at)} has the user {quote(each.user)} twice", "remove one")
        password = read_password(job, (*place, "password"), each.password)
        hashed = password_hash(password, project=job.project, vip=str(at[1]), user=each.user) if password else ""
        users[each.user] = User(each.user, hashed)
    return Auth(tuple(users[name] for name in sorted(users)), spec.realm or Auth.realm, job.tree.key(*at))


def _headers(job: Job, at: Path, spec: HeadersSpec) -> Headers:
    _check_twice(job, at, spec)
    return Headers(
        remove=tuple(sorted(set(spec.remove))),
        replace=tuple(Header(name, value) for name, value in sorted(spec.set.items())),
        add=tuple(Header(name, value) for name, value in sorted(spec.add.items())),
        source=job.tree.key(*at),
    )


def _check_twice(job: Job, at: Path, spec: HeadersSpec) -> None:
    """A header that two instructions are about: which of them holds would be a guess. Case has no meaning."""
    seen: dict[str, str] = {}
    places: list[tuple[str, Path]] = [(name, (*at, "set", name)) for name in spec.set]
    places += [(name, (*at, "add", name)) for name in spec.add]
    places += [(name, (*at, "remove", index)) for index, name in enumerate(spec.remove)]
    for name, place in places:
        if name.lower() in seen:
            what = f"{dotted(at)} has two instructions for the header {quote(name)}"
            job.problem(place, what, "keep one: 'set' already replaces what is there", at_key=True)
        seen[name.lower()] = name


def _redirects(job: Job, at: Path, specs: list[RedirectSpec]) -> tuple[Redirect, ...]:
    seen: dict[tuple[str | None, str | None], int] = {}
    made: list[Redirect] = []
    for index, spec in enumerate(specs):
        place = (*at, index)
        source = job.tree.value(*place)
        path = (spec.path or "").rstrip("/") or None
        if (spec.host, path) in seen:
            what = f"this redirect matches exactly what the one in line {seen[spec.host, path]} matches"
            job.problem(place, what, "it can never be used: remove one of the two")
        seen.setdefault((spec.host, path), source.line)
        redirect = Redirect(spec.to, spec.code or Redirect.code, spec.host, path, spec.keep_path, source)
        if _leads_to_itself(redirect):
            job.problem(place, "this redirect leads to what it matches itself", "give it a 'host' or another 'path'")
        made.append(redirect)
    return tuple(made)


def _leads_to_itself(redirect: Redirect) -> bool:
    """A path below the one that is matched, on the same host: the client would go round in circles. What begins with
    https is another listener than the one asked, as far as this file can tell."""
    scheme, _, rest = redirect.to.partition("://")
    if scheme == "https":
        return False
    host = rest.partition("/")[0].partition(":")[0].lower()
    path = f"/{rest.partition('/')[2]}" if host else redirect.to
    same_host = not host or redirect.host == host or _under(host, redirect.host)
    return same_host and (path.partition("?")[0].rstrip("/") + "/").startswith((redirect.path or "") + "/")


def _under(host: str, wildcard: str | None) -> bool:
    return wildcard is not None and wildcard.startswith("*.") and host.endswith(wildcard[1:])
