"""What a good file means: defaults, derived values, order."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.spec.reading import VALID, changed, desired, problem, read

from dockgate.model.desired import (
    ByName,
    ByService,
    Check,
    Endpoint,
    Endpoints,
    Host,
    Images,
    Member,
    Published,
    Sticky,
)
from dockgate.model.http import HeaderMatch
from dockgate.spec import project_name

ONE_POOL = "pools: {p: {endpoints: ['10.0.0.1:80']}}\nvips: {v: {listen: [{port: 80}], pool: p}}\n"


def test_the_running_example_is_a_good_file() -> None:
    example = Path(__file__).with_name("running_example.yaml").read_text()
    loaded = read(example)
    web = loaded.desired.vip("web")
    assert web.hosts == ("docker1",)
    assert web.stats is not None
    assert loaded.desired.pool("pres_containers").check == Check(path="/index.html")


def test_without_hosts_there_is_the_local_engine() -> None:
    made = desired(ONE_POOL)
    assert made.hosts == (Host("local", "unix:///var/run/docker.sock"),)
    assert made.vip("v").hosts == ("local",)


@pytest.mark.parametrize(
    ("engine", "address"),
    [
        ("ssh://ops@docker2.lab.lab", "docker2.lab.lab"),
        ("ssh://Docker2:2222", "docker2"),
        ("tcp://192.168.50.12:2376", "192.168.50.12"),
        ("unix:///run/docker.sock", None),
        ("context:docker3", None),
    ],
)
def test_a_hosts_address_comes_from_its_engine(engine: str, address: str | None) -> None:
    assert desired(f'hosts: {{one: {{engine: "{engine}"}}}}').hosts[0].address == address


def test_a_given_address_wins_over_the_engines() -> None:
    assert desired('hosts: {one: {engine: "ssh://bastion", address: 10.0.0.7}}').hosts[0].address == "10.0.0.7"


def test_the_project_is_the_files_or_else_the_folders() -> None:
    assert desired(ONE_POOL).project == "shop"
    assert desired("project: mine\n" + ONE_POOL).project == "mine"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Shop", "my-shop"), ("_x_", "x"), ("", "dockgate"), ("日本", "dockgate"), ("a" * 50, "a" * 32)],
)
def test_a_folders_name_becomes_a_projects_name(folder: str, name: str) -> None:
    assert project_name(folder) == name


def test_a_ports_own_pool_wins_over_the_vips() -> None:
    text = changed("[{port: 80}]", "[{port: 80}, {port: 81, pool: other}]") + "  other: {endpoints: ['10.0.0.1:80']}\n"
    assert [listen.pool for listen in desired(text).vip("web").listens] == ["site", "other"]


def test_members_have_weights_and_are_sorted() -> None:
    membership = desired(changed("[web1, web2]", "[web2, {name: web1, weight: 0}]")).pool("site").membership
    assert membership == ByName((Member("web1", 0), Member("web2", 100)))


@pytest.mark.parametrize(
    ("service", "made"), [("web", ByService("web", 10)), ("{name: web, maximum: 3}", ByService("web", 3))]
)
def test_a_service_has_a_maximum(service: str, made: ByService) -> None:
    assert desired(changed("members: [web1, web2]", f"service: {service}")).pool("site").membership == made


def test_published_members_need_no_network() -> None:
    pool = desired(changed("network: back, port: 80, members:", "port: 80, published:")).pool("site")
    assert pool.network is None
    assert pool.membership == Published((Member("web1"), Member("web2")))


def test_an_endpoint_on_a_host_of_the_file_has_that_hosts_address() -> None:
    endpoints = "endpoints: ['docker1:23770', {endpoint: 'DB.example.org:5432', weight: 5}]"
    pool = desired(changed("network: back, port: 80, members: [web1, web2]", endpoints)).pool("site")
    assert pool.port == 0
    assert pool.membership == Endpoints(
        (
            Endpoint("DB.example.org-5432", "db.example.org", 5432, 5),
            Endpoint("docker1-23770", "192.168.50.11", 23770, 100),
        )
    )


def test_endpoints_that_differ_in_case_alone_are_one_place() -> None:
    text = changed("network: back, port: 80, members: [web1, web2]", "endpoints: ['db:80', 'db:81']")
    assert len(desired(text).pool("site").membership.endpoints) == 2  # type: ignore[union-attr]


def test_the_check_of_a_tcp_pool_opens_a_connection() -> None:
    assert desired(changed("{port: 80}]", "{port: 80, mode: tcp}]")).pool("site").check == Check(kind="tcp")


@pytest.mark.parametrize(
    ("check", "made"),
    [
        ("false", None),
        ("tcp", Check(kind="tcp")),
        ("{interval: 200ms}", Check(interval_ms=200, timeout_ms=200)),
        ("{interval: 200ms, timeout: 1s}", Check(interval_ms=200, timeout_ms=1000)),
        ("{expect: 200}", Check(expect="200")),
        ("{path: /up, host: Www.example.org}", Check(path="/up", host="Www.example.org")),
    ],
)
def test_a_check_means(check: str, made: Check | None) -> None:
    assert desired(changed("port: 80, members", f"port: 80, check: {check}, members")).pool("site").check == made


@pytest.mark.parametrize("check", ["redis", "smtp", "postgres"])
def test_a_tcp_pool_may_be_checked_in_its_own_protocol(check: str) -> None:
    text = changed("{port: 80}]", "{port: 80, mode: tcp}]", ("port: 80, members", f"port: 80, check: {check}, members"))
    assert desired(text).pool("site").check == Check(kind=check)  # type: ignore[arg-type]


def test_postgres_is_asked_in_the_name_of_who_is_named() -> None:
    text = changed(
        "{port: 80}]",
        "{port: 80, mode: tcp}]",
        ("port: 80, members", "port: 80, check: {kind: postgres, user: probe}, members"),
    )
    assert desired(text).pool("site").check == Check(kind="postgres", user="probe")


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("redis", "is for redis, and the ports that use this pool speak http"),
        ("{kind: http, user: a}", "a http check names nobody"),
    ],
)
def test_a_check_that_does_not_fit_its_pool_is_told(check: str, told: str) -> None:
    assert told in problem(changed("port: 80, members", f"port: 80, check: {check}, members"))


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("cookie", Sticky("cookie", "DOCKGATE")),
        ("{by: cookie, cookie: SHOP}", Sticky("cookie", "SHOP")),
        ("{by: client, expire: 1h}", Sticky("client", expire_ms=3_600_000)),
    ],
)
def test_clients_may_stick_to_members(said: str, made: Sticky) -> None:
    assert desired(changed("port: 80, members", f"port: 80, sticky: {said}, members")).pool("site").sticky == made


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("sometimes", "must be cookie or client"),
        ("{by: client, cookie: A}", "pools.site.sticky.cookie has no meaning by client"),
        ("{by: cookie, expire: 1h}", "pools.site.sticky.expire has no meaning by cookie"),
        ("{by: cookie, cookie: 'a b'}", "must be the name of a cookie"),
        ("{cookie: A}", "pools.site.sticky has no 'by'; add it"),
    ],
)
def test_stickiness_that_means_nothing_is_told(said: str, told: str) -> None:
    assert told in problem(changed("port: 80, members", f"port: 80, sticky: {said}, members"))


def test_tcp_has_no_cookies() -> None:
    text = changed("{port: 80}]", "{port: 80, mode: tcp}]", ("port: 80, members", "port: 80, sticky: cookie, members"))
    assert "there are no cookies; write sticky: client" in problem(text)


def test_a_tcp_pool_may_be_checked_by_a_request() -> None:
    text = changed(
        "{port: 80}]", "{port: 80, mode: tcp}]", ("port: 80, members", "port: 80, check: {path: /up}, members")
    )
    assert desired(text).pool("site").check == Check(path="/up")


def test_routes_are_in_order_of_precedence() -> None:
    keys = ["/api", "*.example.org", "www.example.org", "*.a.example.org", "/api/v2", "www.example.org /x"]
    given = [f"{{{'path' if key[0] == '/' else 'host'}: '{key.split()[0]}', pool: site}}" for key in keys[:5]]
    given.append("{host: WWW.example.org, path: /x/, pool: site}")
    made = desired(changed("pool: site\n", f"pool: site\n    routes: [{', '.join(given)}]\n")).vip("web").routes
    assert [(route.host, route.path) for route in made] == [
        ("www.example.org", "/x"),
        ("www.example.org", None),
        ("*.a.example.org", None),
        ("*.example.org", None),
        (None, "/api/v2"),
        (None, "/api"),
    ]


def test_a_header_is_closer_than_none_and_a_part_comes_before_the_whole() -> None:
    given = [
        "{path: /a, pool: site}",
        "{path: /a, percent: 5, pool: site}",
        "{path: /a, header: X-B, pool: site}",
        "{path: /a, header: {name: x-b, value: Yes}, pool: site}",
        "{percent: 0, pool: site}",
    ]
    made = desired(changed("pool: site\n", f"pool: site\n    routes: [{', '.join(given)}]\n")).vip("web").routes
    assert [(route.path, route.header, route.percent) for route in made] == [
        ("/a", HeaderMatch("x-b", "Yes"), None),
        ("/a", HeaderMatch("x-b"), None),
        ("/a", None, 5),
        ("/a", None, None),
        (None, None, 0),
    ]


@pytest.mark.parametrize(
    ("section", "images"),
    [
        ("", Images()),
        ("haproxy: {version: 3.0}", Images("dockgate/haproxy:3.0-1", "3.0")),
        ('haproxy: {version: "3.2", image: "r.example.org:5000/lb:1@sha256:' + "a" * 64 + '"}', None),
        ("node: {image: mine/node}", Images(node="mine/node:latest")),
        ("node: {image: docker.io/mine/node}", Images(node="mine/node:latest")),
    ],
)
def test_images(section: str, images: Images | None) -> None:
    made = desired(f"{ONE_POOL}{section}\n").images
    assert made == (images or Images("r.example.org:5000/lb:1@sha256:" + "a" * 64, "3.2"))


def test_every_value_knows_its_line() -> None:
    made = desired(VALID)
    web, site = made.vip("web"), made.pool("site")
    assert isinstance(site.membership, ByName)
    sources = (made.host("docker2"), made.networks[0], web, web.listens[0], site, site.membership.members[1])
    assert [(s.source.line, s.source.column) for s in sources] == [(3, 3), (5, 3), (7, 3), (9, 14), (12, 3), (12, 51)]
