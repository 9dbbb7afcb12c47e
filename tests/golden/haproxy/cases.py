"""The configurations that are kept as text: each a file's meaning, small, with one thing to look at.

``lines`` numbers stand in for a user's file, so that the origins can be looked at too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dockgate.haproxy.build import ResolvedServer, build
from dockgate.haproxy.tree import Config
from dockgate.model.desired import (
    ByName,
    ByService,
    Check,
    Desired,
    Endpoint,
    Endpoints,
    HaproxyVersion,
    Host,
    Images,
    Listen,
    Member,
    Pool,
    PoolTimeouts,
    Published,
    Route,
    SniRoute,
    Stats,
    Sticky,
    Vip,
    VipTimeouts,
)
from dockgate.model.http import (
    Auth,
    Clients,
    Connections,
    Header,
    HeaderMatch,
    Headers,
    Http,
    Maintenance,
    Page,
    RateLimit,
    Redirect,
    Snippet,
    User,
)
from dockgate.model.source import Source
from dockgate.model.tls import ClientCertificates, MembersTls, Tls, TlsFile
from dockgate.model.waf import Waf

# crypt(3) SHA-512 of "password", made with `openssl passwd -6 -salt dockgate`.
PASSWORD_HASH = "$6$dockgate$hASXPJpatCbN2MwT5.Iac1wFxLw2AjvZmS8SA86wbZCOtFP6yFUIE5iBnKy0mh2INWCvDIIINGgW2PXbXQbCU0"
HOSTS = (Host("docker1", "unix:///var/run/docker.sock", "192.168.50.11"),)


@dataclass(frozen=True)
class Case:
    """A file with one VIP, and what the engine says of its published members."""

    pools: tuple[Pool, ...]
    vip: Vip
    resolved: dict[str, tuple[ResolvedServer, ...]] = field(default_factory=dict)

    def desired(self, version: HaproxyVersion) -> Desired:
        images = Images(f"dockgate/haproxy:{version}-1", version)
        return Desired("demo", HOSTS, pools=tuple(sorted(self.pools, key=_name)), vips=(self.vip,), images=images)

    def tree(self, version: HaproxyVersion) -> Config:
        return build(self.desired(version), self.vip, self.resolved)


def _name(pool: Pool) -> str:
    return pool.name


def at(line: int, column: int = 5) -> Source:
    return Source("dockgate.yaml", line, column)


WEB = Pool(
    "pres_containers",
    ByName((Member("web1", source=at(18)), Member("web2", source=at(18, 11)))),
    80,
    "presentation_backend",
    check=Check(path="/index.html", source=at(20)),
    source=at(15),
)
VIP = Vip("web", ("docker1",), (Listen(80, pool="pres_containers", source=at(10)),), source=at(8))
STATS = Stats("/lbstats", "user", PASSWORD_HASH, at(12))

SHOP = TlsFile("certificate-shop-11111111.pem", "d1", ("shop.crt", "shop.key"))
BLOG = TlsFile("certificate-blog-22222222.pem", "d2", ("blog.pem",))
SIGNER = TlsFile("authority-333333333333.pem", "d3", ("ca.pem",), "authority")

CASES: dict[str, Case] = {
    "running-example": Case((WEB,), replace(VIP, stats=STATS)),
    "published": Case(
        (replace(WEB, membership=Published((Member("web1"), Member("web2", 50))), network=None),),
        VIP,
        {
            "pres_containers": (
                ResolvedServer("web1", "192.168.50.12", 23770),
                ResolvedServer("web2", None, 0, 50),
            )
        },
    ),
    "endpoints": Case(
        (
            Pool(
                "fixed",
                Endpoints((Endpoint("docker2:23770", "192.168.50.12", 23770), Endpoint("far", "app.example.org", 80))),
                0,
                balance="source",
                check=Check(kind="tcp"),
            ),
            Pool("unchecked", Endpoints((Endpoint("one", "192.168.50.13", 8080, 0),)), 0, check=None),
        ),
        replace(VIP, listens=(Listen(80, pool="fixed"), Listen(81, pool="unchecked"))),
    ),
    "sticky": Case(
        (
            replace(WEB, sticky=Sticky(source=at(21))),
            Pool("api", ByService("api", 2), 8080, "back", sticky=Sticky(cookie="API", source=at(31))),
            Pool("db", ByName((Member("pg1"),)), 5432, "back", "tcp", sticky=Sticky("client", source=at(41))),
        ),
        replace(VIP, listens=(*VIP.listens, Listen(81, pool="api"), Listen(5432, "tcp", "db"))),
    ),
    "canary": Case(
        (WEB, replace(WEB, name="next", membership=ByName((Member("n1"),)))),
        replace(
            VIP,
            routes=(
                Route("next", None, "/api", at(30), header=HeaderMatch("x-version", "it's next")),
                Route("next", None, "/api", at(31), percent=5),
                Route("pres_containers", None, "/api", at(32), percent=10),
                Route("next", None, None, at(33), header=HeaderMatch("x-beta"), http=Http(timeout_ms=500)),
                Route("next", None, None, at(34), percent=1),
            ),
        ),
    ),
    "pages": Case(
        (WEB, Pool("db", ByName((Member("pg1"),)), 5432, "back", "tcp")),
        replace(
            VIP,
            listens=(Listen(80), Listen(81, pool="pres_containers"), Listen(5432, "tcp", "db")),
            routes=(Route("pres_containers", None, "/api", at(30)),),
            maintenance=Maintenance(
                Page("text/html; charset=utf-8", b'<h1>it\'s\n"#1" $HOME</h1>', "closed.html"),
                ("10.0.0.0/8",),
                300,
                at(31),
            ),
            http=Http(
                rate_limits=(RateLimit(5, 1000, source=at(33)),),
                max_body=1024,
                errors=tuple(
                    (status, Page("application/json", b"{}", "error.json", at(34))) for status in (404, 413, 429, 503)
                ),
                source=at(32),
            ),
        ),
    ),
    "service": Case(
        (
            Pool(
                "api",
                ByService("tasks.api", 4),
                8080,
                "back",
                balance="uri",
                check=Check("http", "GET", "/healthy?deep=1", "1.1", "api.example.org", "200", 5000, 2000, 3, 2),
                timeouts=PoolTimeouts(5000, 60_000, 1500),
                retry_non_idempotent=True,
            ),
        ),
        replace(VIP, listens=(Listen(80, pool="api"),), timeouts=VipTimeouts(60_000, 5000, 2000)),
    ),
    "routes": Case(
        (WEB, replace(WEB, name="api", membership=ByName((Member("api1"),)), balance="leastconn")),
        replace(
            VIP,
            listens=(Listen(80), Listen(8080, pool="pres_containers")),
            routes=(
                Route("api", "api.example.org", "/v1", at(30)),
                Route("pres_containers", "api.example.org", None, at(31)),
                Route("pres_containers", "*.example.org", None, at(32)),
                Route("api", None, "/api/", at(33)),
            ),
            stats=STATS,
        ),
    ),
    "tcp": Case(
        (
            WEB,
            Pool("db", ByName((Member("pg1"), Member("pg2", 0))), 5432, "back", "tcp", check=Check(kind="tcp")),
        ),
        replace(VIP, listens=(Listen(80, pool="pres_containers"), Listen(5432, "tcp", "db"))),
    ),
    "tls": Case(
        (
            replace(WEB, tls=MembersTls(SIGNER, "member.example")),
            replace(WEB, name="raw", mode="tcp", check=Check(kind="tcp")),
        ),
        replace(
            VIP,
            listens=(
                Listen(80, redirect=443, source=at(10)),
                Listen(81, redirect=8443, source=at(11)),
                Listen(443, pool="pres_containers", tls=Tls((SHOP, BLOG), hsts_s=86_400), source=at(12)),
                Listen(
                    8443,
                    pool="pres_containers",
                    tls=Tls((SHOP,), "1.3", clients=ClientCertificates(SIGNER)),
                    source=at(13),
                ),
                Listen(8444, "tcp", "raw", Tls((SHOP,), clients=ClientCertificates(SIGNER, required=False))),
                Listen(9443, "tcp", sni=(SniRoute("a.example", "raw", at(15)), SniRoute("*.example", "raw", at(16)))),
            ),
        ),
    ),
    "http": Case(
        (replace(WEB, send_proxy="v2"), Pool("db", ByName((Member("pg1"),)), 5432, "back", "tcp", send_proxy="v1")),
        replace(
            VIP,
            listens=(Listen(80, pool="pres_containers", accept_proxy=True), Listen(5432, "tcp", "db")),
            routes=(
                Route("pres_containers", None, "/api/v2", at(41)),
                Route(
                    "pres_containers",
                    None,
                    "/api",
                    at(42),
                    clients=Clients(allow=("192.168.50.0/24",), source=at(43)),
                    http=Http(
                        response_headers=Headers(replace=(Header("Cache-Control", "no-store"),), source=at(45)),
                        strip_path=True,
                        add_path="/v1",
                        source=at(44),
                    ),
                ),
            ),
            clients=Clients(("10.0.0.0/8", "192.168.50.0/24"), ("192.168.50.66/32",), at(30)),
            trusted_proxies=("10.0.0.5/32",),
            http=Http(
                request_headers=Headers(("X-Debug",), (Header("X-Odd", "'q' \"%[src]\" #$HOME"),), (), at(32)),
                response_headers=Headers(("Server",), (), (Header("X-Served-By", "dockgate"),), at(33)),
                request_id=True,
                redirects=(
                    Redirect("https://www.example.org", 301, "example.org", None, True, at(35)),
                    Redirect("/new", 308, None, "/old", True, at(36)),
                    Redirect("/", 302, None, "/home", True, at(37)),
                    Redirect("/gone", 303, None, "/older", False, at(38)),
                ),
                source=at(31),
            ),
        ),
    ),
    "limits": Case(
        (
            WEB,
            Pool(
                "db",
                ByName((Member("pg1"),)),
                5432,
                "back",
                "tcp",
                check=Check("postgres", user="probe", source=at(60)),
            ),
            Pool("kept", ByName((Member("r1"),)), 6379, "back", "tcp", check=Check("redis", source=at(61))),
            Pool(
                "post",
                ByName((Member("m1"),)),
                25,
                "back",
                "tcp",
                check=Check("smtp", source=at(62)),
                snippets=(Snippet("option tcp-smart-connect", at(63)),),
            ),
        ),
        replace(
            VIP,
            listens=(
                Listen(80, pool="pres_containers"),
                Listen(5432, "tcp", "db"),
                Listen(6379, "tcp", "kept"),
                Listen(25, "tcp", "post"),
            ),
            snippets=(Snippet("option  dontlog-normal", at(50)),),
            routes=(
                Route(
                    "pres_containers",
                    None,
                    "/api",
                    at(42),
                    http=Http(
                        timeout_ms=120_000,
                        rate_limits=(RateLimit(5, 1000, "header:X-Api-Key", at(44)),),
                        max_body=1024,
                        auth=Auth((User("bob", PASSWORD_HASH),), "api", at(45)),
                        source=at(43),
                    ),
                ),
            ),
            connections=Connections(1000, 20, at(29)),
            log="json",
            trusted_proxies=("10.0.0.5/32",),
            http=Http(
                rate_limits=(
                    RateLimit(100, 10_000, source=at(31)),
                    RateLimit(1000, 60_000, "path", at(32)),
                    RateLimit(2000, 1500, "host", at(33)),
                ),
                max_body=10 << 20,
                max_headers=8 << 10,
                auth=Auth((User("alice", PASSWORD_HASH),), source=at(34)),
                compression=True,
                source=at(30),
            ),
            stats=STATS,
        ),
    ),
    "waf": Case(
        (WEB,),
        replace(
            VIP,
            listens=(Listen(80, pool="pres_containers"),),
            routes=(
                Route("pres_containers", None, "/api", at(30), waf="detect"),
                Route("pres_containers", None, "/upload", at(31), waf="off"),
            ),
            waf=Waf(processes=2, body_limit=131_072, timeout_ms=800, source=at(29)),
            http=Http(auth=Auth((User("alice", PASSWORD_HASH),), source=at(33)), source=at(32)),
        ),
    ),
    "waf-open": Case(
        (WEB,),
        replace(
            VIP,
            listens=(Listen(80, pool="pres_containers"),),
            routes=(Route("pres_containers", None, "/api", at(30), waf="on"),),
            waf=Waf(mode="off", fail="open", oversize="pass", source=at(29)),
            http=Http(compression=True, source=at(28)),
            log="json",
        ),
    ),
    "awkward": Case(
        (
            Pool(
                "with space",
                Endpoints((Endpoint("a 'b' #c", "192.168.50.12", 80),)),
                0,
                check=Check(path="/a'b\"c#d\\e$HOME%[env(PATH)]", host="x%[env(PATH)]y"),
            ),
        ),
        replace(
            VIP,
            listens=(Listen(80, pool="with space"),),
            routes=(Route("with space", None, "/a' b\" #\\$x%[src]"),),
            stats=Stats("/lb stats#", 'it\'s "me" $USER', PASSWORD_HASH),
        ),
    ),
}
