"""Generated files: valid values of ``Desired`` and its parts, as ``spec.resolve`` would make them.

Small on purpose (up to three hosts, networks, pools and VIPs with few names), so that two draws often meet: a change
of a file is then a change, not another file. ``tests/properties/test_spec.py`` proves that each can be written as a
file which loads to the same value.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import strategies as st
from tests.http_files import auths, client_lists, connections, proxy_prefixes, route_https, vip_https

from dockgate.model.desired import (
    Balance,
    ByLabel,
    ByName,
    ByService,
    Check,
    Desired,
    Endpoint,
    Endpoints,
    Host,
    Images,
    Listen,
    Member,
    Membership,
    Mode,
    Network,
    Pool,
    PoolTimeouts,
    Published,
    Route,
    Stats,
    Vip,
    VipTimeouts,
)
from dockgate.model.http import Clients, Http
from dockgate.model.waf import Exclusion, Waf
from dockgate.spec.secrets import password_hash

PASSWORD = "correct horse"
PROJECT = "shop"

HOSTS = tuple(
    Host(f"docker{number}", f"ssh://ops@docker{number}.lab.lab", f"192.168.50.{10 + number}") for number in (1, 2, 3)
)
NETWORKS = ("back", "blue", "green")
POOLS = ("api", "static", "web")
VIPS = ("admin", "intern", "www")
CONTAINERS = ("web1", "web2", "web3", "Api_1.x-y_")
ODD_PATH = "/odd._~!*+,;=:@&-"
"""Every character that the file accepts in a path."""

_BALANCE: tuple[Balance, ...] = ("roundrobin", "leastconn", "source", "random")
_milliseconds = st.sampled_from([1, 200, 300, 1000, 1500, 5000, 60_000, 3_600_000])
_modes: st.SearchStrategy[Mode] = st.sampled_from(("http", "http", "http", "tcp"))
_weights = st.sampled_from([0, 1, 50, 100, 256])


def hosts() -> st.SearchStrategy[tuple[Host, ...]]:
    """One to three hosts; more often all three."""
    return st.sampled_from([HOSTS, HOSTS, HOSTS[:2], HOSTS[:1]])


def members() -> st.SearchStrategy[tuple[Member, ...]]:
    """Containers by name, sorted."""
    weighted = st.dictionaries(st.sampled_from(CONTAINERS), _weights, min_size=1)
    return weighted.map(lambda chosen: tuple(Member(name, weight) for name, weight in sorted(chosen.items())))


def endpoints() -> st.SearchStrategy[tuple[Endpoint, ...]]:
    """Fixed addresses, sorted by the name that ``resolve`` gives them."""
    places = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "db.example.org"]), st.sampled_from([80, 8080, 23770]))
    weighted = st.dictionaries(places, _weights, min_size=1, max_size=4)
    return weighted.map(
        lambda chosen: tuple(
            sorted(
                (Endpoint(f"{address}-{port}", address, port, weight) for (address, port), weight in chosen.items()),
                key=lambda endpoint: endpoint.name,
            )
        )
    )


def memberships() -> st.SearchStrategy[Membership]:
    """Each of the five ways in which a pool has servers; by name more often."""
    return st.one_of(
        st.builds(ByName, members()),
        st.builds(ByName, members()),
        st.builds(ByService, st.sampled_from(["web", "tasks.web"]), st.integers(1, 20)),
        st.builds(Published, members()),
        st.builds(ByLabel, st.integers(1, 5)),
        st.builds(Endpoints, endpoints()),
    )


def checks(mode: Mode) -> st.SearchStrategy[Check | None]:
    """A check for a pool of that mode, or none."""
    timing = {
        "interval_ms": _milliseconds,
        "timeout_ms": _milliseconds,
        "fall": st.integers(1, 5),
        "rise": st.integers(1, 5),
    }
    request = {
        "method": st.sampled_from(["HEAD", "GET", "OPTIONS"]),
        "path": st.sampled_from(["/", "/index.html", "/healthy?deep=1", ODD_PATH + "?"]),
        "expect": st.sampled_from(["200", "200-399", "204-204"]),
        "host": st.sampled_from([None, "www.example.org"]),
    }
    tcp = st.builds(Check, kind=st.just("tcp"), **timing)
    old = st.builds(Check, version=st.just("1.0"), **timing, **request)
    new = st.builds(Check, version=st.just("1.1"), **timing, **request | {"host": st.just("www.example.org")})
    return st.one_of(st.none(), st.just(Check(kind=mode)), tcp, old, new)


@st.composite
def pools(draw: st.DrawFn, name: str, networks: tuple[str, ...] = NETWORKS) -> Pool:
    """A pool; one by name only if there is a network for it."""
    mode: Mode = draw(_modes)
    membership = draw(memberships())
    if not networks and isinstance(membership, ByName | ByService | ByLabel):
        membership = draw(st.builds(Published, members()))
    by_name = isinstance(membership, ByName | ByService | ByLabel)
    return Pool(
        name=name,
        membership=membership,
        port=0 if isinstance(membership, Endpoints) else draw(st.sampled_from([80, 8080])),
        network=draw(st.sampled_from(networks)) if by_name else None,
        mode=mode,
        balance=draw(st.sampled_from((*_BALANCE, "uri") if mode == "http" else _BALANCE)),
        check=draw(checks(mode)),
        timeouts=draw(st.builds(PoolTimeouts, connect=_milliseconds, server=_milliseconds, queue=_milliseconds)),
        retry_non_idempotent=mode == "http" and draw(st.booleans()),
        retries=draw(st.integers(0, 10)),
        send_proxy=draw(st.sampled_from([None, None, "v1", "v2"])),
    )


def routes(vip: str, pool_names: tuple[str, ...]) -> st.SearchStrategy[tuple[Route, ...]]:
    """Routes in order of precedence, none matching what another one matches."""
    name = st.sampled_from([None, "www.example.org", "example.org", "*.example.org", "*.intern.example.org"])
    path = st.sampled_from([None, "/api", "/api/v2", ODD_PATH])
    keys = st.tuples(name, path).filter(lambda key: key != (None, None))
    values = st.tuples(st.sampled_from(pool_names), client_lists(), route_https(auths(vip, PROJECT, PASSWORD)))
    chosen = st.dictionaries(keys, values, max_size=4)
    return chosen.map(lambda found: tuple(sorted(_routes_of(found), key=_precedence)))


def _routes_of(found: dict[tuple[str | None, str | None], tuple[str, Clients, Http]]) -> list[Route]:
    return [
        Route(pool, host, path, clients=who, http=http if path else replace(http, strip_path=False))
        for (host, path), (pool, who, http) in found.items()
    ]


def _precedence(route: Route) -> tuple[bool, bool, int, int, str, str]:
    host, path = route.host or "", route.path or ""
    wildcard = host.startswith("*")
    return route.host is None, wildcard, -len(host) if wildcard else 0, -len(path), host, path


_wafs = st.sampled_from(
    [None, None, Waf(), Waf("detect", fail="open", processes=1, exclusions=(Exclusion(("942100",), "/api", "q"),))]
)


@st.composite
def vips(draw: st.DrawFn, name: str, hosts: tuple[Host, ...], pools: tuple[Pool, ...]) -> Vip:
    """A VIP. Its ports cannot clash: each name has a range of its own, shared ports need an address of its own."""
    number = VIPS.index(name)
    own_address = draw(st.booleans())
    count = 1 if own_address else draw(st.integers(1, len(hosts)))
    chosen = draw(st.permutations(hosts))[:count]
    ports = (80, 443) if own_address else tuple(8000 + 10 * number + offset for offset in range(3))
    proxies = draw(proxy_prefixes())
    listens = tuple(
        replace(one, accept_proxy=bool(proxies) and draw(st.booleans())) for one in draw(_listens(ports, pools))
    )
    http = any(listen.mode == "http" for listen in listens)
    web_pools = tuple(pool.name for pool in pools if pool.mode == "http")
    routing: st.SearchStrategy[tuple[Route, ...]] = routes(name, web_pools) if http and web_pools else st.just(())
    has_stats = http and draw(st.booleans())
    made = Vip(
        name=name,
        hosts=tuple(sorted(host.name for host in chosen)),
        listens=listens,
        address=f"192.168.50.{150 + number}" if own_address else None,
        routes=draw(routing),
        stats=Stats("/lbstats", "user", _password_hash(name)) if has_stats else None,
        timeouts=VipTimeouts(
            client=draw(_milliseconds),
            request=draw(_milliseconds) if http else VipTimeouts.request,
            keep_alive=draw(_milliseconds) if http else VipTimeouts.keep_alive,
        ),
        clients=draw(client_lists()),
        trusted_proxies=proxies,
        connections=draw(connections()),
        log=draw(st.sampled_from(("text", "json"))),
        http=draw(vip_https(auths(name, PROJECT, PASSWORD))) if http else Http(),
        waf=draw(_wafs) if http else None,
    )
    only_routes = draw(st.booleans())
    if not made.routes or not only_routes:
        return made
    return replace(made, listens=tuple(replace(one, pool=None if one.mode == "http" else one.pool) for one in listens))


@st.composite
def _listens(draw: st.DrawFn, ports: tuple[int, ...], pools: tuple[Pool, ...]) -> tuple[Listen, ...]:
    chosen = draw(st.lists(st.sampled_from(ports), min_size=1, max_size=2, unique=True))
    used = [draw(st.sampled_from(pools)) for _ in chosen]
    return tuple(Listen(port, pool.mode, pool.name) for port, pool in zip(chosen, used, strict=True))


@cache
def _password_hash(vip: str) -> str:
    return password_hash(PASSWORD, project=PROJECT, vip=vip, user="user")


@st.composite
def desireds(draw: st.DrawFn) -> Desired:
    """A whole file: everything refers to something that is there, and nothing is in another's way."""
    found = draw(hosts())
    network_names = draw(st.lists(st.sampled_from(NETWORKS), unique=True, max_size=3).map(sorted))
    pool_names = draw(st.lists(st.sampled_from(POOLS), unique=True, min_size=1, max_size=3).map(sorted))
    made_pools = tuple(draw(pools(name, tuple(network_names))) for name in pool_names)
    vip_names = draw(st.lists(st.sampled_from(VIPS), unique=True, max_size=3).map(sorted))
    made_vips = tuple(draw(vips(name, found, made_pools)) for name in vip_names)
    # nobody gives an unused pool a mode: it has the default
    used = {name for vip in made_vips for name in vip.pools()}
    made_pools = tuple(pool if pool.name in used else replace(pool, mode="http") for pool in made_pools)
    spread = _networks_on_several_hosts(made_vips, made_pools)
    networks = tuple(draw(_network(name, number, name in spread)) for number, name in enumerate(network_names))
    images = draw(st.sampled_from([Images(), Images("dockgate/haproxy:3.0-1", "3.0"), Images("example.org/lb:7")]))
    return Desired(PROJECT, found, networks, made_pools, made_vips, images)


def _networks_on_several_hosts(vips: tuple[Vip, ...], pools: tuple[Pool, ...]) -> set[str | None]:
    """Networks that must span hosts: their members are looked up by name from more than one."""
    spread: set[str | None] = set()
    for pool in pools:
        on = {host for vip in vips if pool.name in vip.pools() for host in vip.hosts}
        if len(on) > 1:
            spread.add(pool.network)
    return spread


def _network(name: str, number: int, spans: bool) -> st.SearchStrategy[Network]:
    return st.builds(
        Network,
        st.just(name),
        st.just("overlay") if spans else st.sampled_from(("overlay", "bridge")),
        st.booleans(),
        st.sampled_from([None, f"10.{20 + number}.0.0/24"]),
        st.sampled_from([None, 1400]),
    )
