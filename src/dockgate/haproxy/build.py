"""Build: what the user's file asks of one VIP, as a configuration tree. The choices and their reasons are made here.

Role: process, defaults, resolvers and the statistics' user list; ``listeners`` has the ports and routes, ``pools`` the
backends. Must not: ask anybody for anything; slots' addresses are handed in as the engine told them.
Invariant: it starts whether or not any name resolves, and the same input gives the same tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dockgate.haproxy import limits, waf
from dockgate.haproxy.listeners import frontend, no_name, no_route, users
from dockgate.haproxy.pages import own_errors
from dockgate.haproxy.pools import ResolvedServer, asks_docker, asks_upstream, backend, backend_name, docker_names
from dockgate.haproxy.requests import patience
from dockgate.haproxy.tables import LOCAL_PEER, peers
from dockgate.haproxy.tree import Config, Global, Line, Section, line, milliseconds
from dockgate.haproxy.versions import dialect
from dockgate.model.desired import Desired, Pool, Vip
from dockgate.model.objects import ADMIN_SOCKET, STATE_FILE

__all__ = ["ResolvedServer", "backend_name", "build"]

DOCKER_DNS = "127.0.0.11:53"
NEVER = "24d"
MAXCONN = 8192  # two descriptors and at most about 50 kB each: within the container's 20,000 files and 512 MB
QUERIES_PER_SECOND = 125  # at most, per load balancer, to Docker's DNS


def build(
    desired: Desired, vip: Vip, resolved: Mapping[str, tuple[ResolvedServer, ...]], *, sockets: str = "judges"
) -> Config:
    """The tree for ``vip``. ``resolved``: for each ``Published`` pool by name, what the engine said of its members.
    ``sockets``: what the sockets of its firewall's judges are called."""
    pools = [desired.pool(name) for name in vip.pools()]
    version = desired.images.haproxy_version
    ways = dialect(version)
    return Config(
        comments=(
            f"Project {desired.project}, VIP {vip.name}, for HAProxy {version}.",
            "Written by dockgate from your file; changes made here are lost with the next dockgate up.",
        ),
        process=Global(f"dockgate {desired.project}/{vip.name}", tuple(_process(vip, pools))),
        sections=(_defaults(vip), *_resolvers(pools), *users(vip), *_peers(vip, pools), *limits.sections(vip)),
        frontends=tuple(frontend(vip, listen, ways) for listen in vip.listens),
        backends=(
            *(backend(pool, ways=ways, resolved=resolved.get(pool.name, ()), more=_more(vip, pool)) for pool in pools),
            *([no_route(vip)] if any(listen.pool is None and not listen.sni for listen in vip.listens) else []),
            *([no_name()] if any(listen.pool is None and listen.sni for listen in vip.listens) else []),
            *limits.tables(vip),
            *([judges] if (judges := waf.judges(vip, ways, sockets)) else []),
        ),
        beside=waf.beside(vip, ways),
    )


def _more(vip: Vip, pool: Pool) -> tuple[Line, ...]:
    """What a VIP asks of its pools' backends."""
    return (*patience(vip), *own_errors(vip)) if pool.mode == "http" else ()


def _process(vip: Vip, pools: list[Pool]) -> Iterator[Line]:
    yield line("log", "stdout", "len", 4096, "format", "raw", "daemon")
    yield line("stats", "socket", f"unix@{ADMIN_SOCKET}", "mode", 600, "level", "admin")
    yield line("server-state-file", STATE_FILE)
    yield line("nbthread", 2)
    yield line("maxconn", waf.most_connections(vip, MAXCONN))
    # No close-spread-time: it makes the leaving worker close idle connections in spite of idle-close-on-response (3.2:
    # 5 to 30 of 100), and now and then a client's next request is lost with one.
    # An old worker leaves when the longest request it may be in could have ended; reloads in a row do not pile up.
    yield line("hard-stop-after", milliseconds(_longest_request(vip, pools)))
    yield line("mworker-max-reloads", 16)
    if _peers(vip, pools):
        yield line("localpeer", LOCAL_PEER)
    yield from limits.process_lines(vip)
    yield from waf.process_lines(vip)


def _peers(vip: Vip, pools: list[Pool]) -> tuple[Section, ...]:
    """Only where something is remembered."""
    sticks = any(pool.sticky and pool.sticky.by == "client" for pool in pools)
    return (peers(),) if sticks or limits.tables(vip) else ()


def _longest_request(vip: Vip, pools: list[Pool]) -> int:
    servers = [pool.timeouts.queue + pool.timeouts.server for pool in pools]
    own = [each.timeout_ms for each in (vip.http, *(route.http for route in vip.routes)) if each.timeout_ms]
    return max(25_000, vip.timeouts.client, vip.timeouts.keep_alive, *servers, *own) + 5_000


def _defaults(vip: Vip) -> Section:
    at = vip.source
    lines = (
        line("log", "global"),
        line("option", "dontlognull"),
        line("load-server-state-from-file", "global"),
        line("timeout", "client", milliseconds(vip.timeouts.client), origin=at),
        line("timeout", "http-request", milliseconds(vip.timeouts.request), origin=at),
        line("timeout", "http-keep-alive", milliseconds(vip.timeouts.keep_alive), origin=at),
    )
    return Section("defaults", "", lines)


def _resolvers(pools: list[Pool]) -> Iterator[Section]:
    """Docker's DNS, asked often for containers, and the container's own servers, asked seldom for anything else.

    A container's name that is gone (answered, but empty) takes its server out after five seconds: checks and retries
    have it out of the traffic long before, and a gap in the overlay's gossip does not cost a healthy member. A DNS that
    does not answer at all (the engine restarts) changes nothing.
    """
    names = {name for pool in pools for name in docker_names(pool)}
    if any(asks_docker(pool) for pool in pools):
        period = max(200, len(names) * 1000 // QUERIES_PER_SECOND)
        server = line("nameserver", "engine", DOCKER_DNS)
        yield Section("resolvers", "docker", (server, *_pace(milliseconds(period), retry="100ms", gone="5s")))
    if any(asks_upstream(pool) for pool in pools):
        # On Docker's default bridge alone there is no 127.0.0.11.
        yield Section("resolvers", "upstream", (line("parse-resolv-conf"), *_pace("5s", retry="1s", gone=NEVER)))


def _pace(period: str, *, retry: str, gone: str) -> tuple[Line, ...]:
    return (
        line("accepted_payload_size", 8192),
        line("timeout", "resolve", period),
        line("timeout", "retry", retry),
        line("resolve_retries", 1),
        line("hold", "nx", gone),
        line("hold", "other", gone),
        line("hold", "refused", NEVER),
        line("hold", "timeout", NEVER),
        line("hold", "obsolete", "0s"),
    )
