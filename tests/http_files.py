"""HTTP settings in generated files: values as ``spec.resolve_http`` makes them, and how a user would write them."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from dockgate.model.desired import Desired
from dockgate.model.http import Auth, Clients, Connections, Header, Headers, Http, RateLimit, Redirect, User
from dockgate.model.waf import Waf
from dockgate.spec.rules_http import size
from dockgate.spec.schema_base import milliseconds
from dockgate.spec.secrets import password_hash

ODD_VALUE = "a 'b' \"c\" #d \\e %[src] %% $HOME {f} ${g}"
"""Everything that HAProxy reads as syntax somewhere."""

_PREFIXES = ("10.0.0.0/8", "192.168.50.7/32", "2001:db8::/32")
_NAMES = ("Cache-Control", "Server", "X-Odd_1")
_sorted_prefixes = st.sets(st.sampled_from(_PREFIXES)).map(lambda chosen: tuple(sorted(chosen)))


def client_lists() -> st.SearchStrategy[Clients]:
    """Who may connect: each prefix in one of the two lists at most; more often no lists at all."""
    split = st.dictionaries(st.sampled_from(_PREFIXES), st.booleans(), max_size=3)
    some = split.map(
        lambda chosen: Clients(
            tuple(sorted(each for each, allowed in chosen.items() if allowed)),
            tuple(sorted(each for each, allowed in chosen.items() if not allowed)),
        )
    )
    return st.just(Clients()) | some


def proxy_prefixes() -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | _sorted_prefixes


def headers() -> st.SearchStrategy[Headers]:
    """Each header in one instruction at most."""
    instruction = st.tuples(st.sampled_from(["remove", "set", "add"]), st.sampled_from(["no-store", ODD_VALUE]))
    return st.just(Headers()) | st.dictionaries(st.sampled_from(_NAMES), instruction).map(_headers_of)


def _headers_of(chosen: dict[str, tuple[str, str]]) -> Headers:
    given = sorted(chosen.items())
    return Headers(
        remove=tuple(name for name, (kind, _) in given if kind == "remove"),
        replace=tuple(Header(name, value) for name, (kind, value) in given if kind == "set"),
        add=tuple(Header(name, value) for name, (kind, value) in given if kind == "add"),
    )


def redirects() -> st.SearchStrategy[tuple[Redirect, ...]]:
    """None of which leads to itself or matches what another one matches."""
    keys = st.tuples(
        st.sampled_from([None, "old.example.org", "*.old.example.org"]), st.sampled_from(["/old", "/o.d+"])
    )
    made = st.tuples(
        st.sampled_from(["https://www.example.org", "/new", "/new?a=b", "/"]),
        st.sampled_from([301, 302, 303, 307, 308]),
        st.booleans(),
    )
    chosen = st.dictionaries(keys, made, max_size=2)
    return chosen.map(
        lambda found: tuple(Redirect(to, code, host, path, keep) for (host, path), (to, code, keep) in found.items())
    )


def connections() -> st.SearchStrategy[Connections]:
    return st.builds(Connections, st.sampled_from([None, 1, 8000]), st.sampled_from([None, 1, 20]))


def rate_limits() -> st.SearchStrategy[tuple[RateLimit, ...]]:
    """None of which counts the same in the same time as another."""
    keys = st.tuples(
        st.sampled_from([500, 1000, 60_000]), st.sampled_from(["client", "host", "path", "header:X-Api-Key"])
    )
    chosen = st.dictionaries(keys, st.sampled_from([1, 1_000_000]), max_size=3)
    return chosen.map(lambda found: tuple(RateLimit(count, per, by) for (per, by), count in found.items()))


def auths(vip: str, project: str, password: str) -> st.SearchStrategy[Auth | None]:
    users = (User("alice", _hash(project, vip, "alice", password)),)
    return st.sampled_from([None, None, None, Auth(users), Auth(users, "back.office")])


@cache
def _hash(project: str, vip: str, user: str, password: str) -> str:
    return password_hash(password, project=project, vip=vip, user=user)


def vip_https(auth: st.SearchStrategy[Auth | None]) -> st.SearchStrategy[Http]:
    some = st.builds(
        Http,
        request_headers=headers(),
        response_headers=headers(),
        request_id=st.booleans(),
        redirects=redirects(),
        strip_path=st.just(False),
        add_path=st.none(),
        rate_limits=rate_limits(),
        max_body=st.sampled_from([None, 1, 1024, 10 << 20]),
        auth=auth,
        compression=st.booleans(),
    )
    return st.just(Http()) | some


def route_https(auth: st.SearchStrategy[Auth | None]) -> st.SearchStrategy[Http]:
    some = st.builds(
        Http,
        request_headers=headers(),
        response_headers=headers(),
        request_id=st.just(False),
        redirects=st.just(()),
        strip_path=st.booleans(),
        add_path=st.sampled_from([None, "/v1", "/o.d+"]),
        rate_limits=rate_limits(),
        max_body=st.sampled_from([None, 1, 1024, 10 << 20]),
        auth=auth,
        compression=st.just(False),
    )
    return st.just(Http()) | some


def header_values(desired: Desired) -> set[str]:
    """Every text of the file that may hold nearly anything."""
    https = [each.http for vip in desired.vips for each in (vip, *vip.routes)]
    changes = [each for http in https for each in (http.request_headers, http.response_headers)]
    return {header.value for each in changes for header in (*each.replace, *each.add)}


def clients(value: Clients) -> dict[str, Any] | None:
    given = {"allow": list(value.allow), "deny": list(value.deny)}
    return {key: prefixes for key, prefixes in given.items() if prefixes} or None


def connection_limits(value: Connections) -> dict[str, Any]:
    given = {"total": value.total, "per_client": value.per_client}
    return {key: count for key, count in given.items() if count is not None}


def vip_http(http: Http) -> dict[str, Any]:
    return {
        **_shared(http),
        "request_id": http.request_id,
        "compression": http.compression,
        "redirects": [_redirect(each) for each in http.redirects],
    }


def route_http(http: Http) -> dict[str, Any]:
    return {
        **_shared(http),
        "strip_path": http.strip_path,
        **({"add_path": http.add_path} if http.add_path else {}),
    }


def _shared(http: Http) -> dict[str, Any]:
    limits = [{"requests": each.requests, "per": milliseconds(each.per_ms), "by": each.by} for each in http.rate_limits]
    return {
        "request_headers": _headers(http.request_headers),
        "response_headers": _headers(http.response_headers),
        "rate_limits": limits,
        **({"max_body": size(http.max_body)} if http.max_body else {}),
        **({"auth": _auth(http.auth)} if http.auth else {}),
    }


def _auth(value: Auth) -> dict[str, Any]:
    users = [{"user": user.name, "password": {"env": "PASSWORD"}} for user in value.users]
    return {"users": users, "realm": value.realm}


def _headers(value: Headers) -> dict[str, Any]:
    return {
        "remove": list(value.remove),
        "set": {header.name: header.value for header in value.replace},
        "add": {header.name: header.value for header in value.add},
    }


def _redirect(value: Redirect) -> dict[str, Any]:
    given = {"host": value.host, "path": value.path, "to": value.to, "code": value.code, "keep_path": value.keep_path}
    return {key: each for key, each in given.items() if each is not None}


def waf(value: Waf | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "mode": value.mode,
        "paranoia": value.paranoia,
        "threshold": value.threshold,
        "processes": value.processes,
        "fail": value.fail,
        "timeout": milliseconds(value.timeout_ms),
        "body_limit": size(value.body_limit),
        "oversize": value.oversize,
        "exclusions": [
            {"rules": list(each.rules), "path": each.path, "argument": each.argument} for each in value.exclusions
        ],
    }
