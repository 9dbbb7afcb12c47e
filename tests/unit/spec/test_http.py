"""What may be asked to be done with clients and requests, and what is wrong with a file that asks for too much."""

from __future__ import annotations

import pytest
from tests.unit.spec.reading import changed, desired, problem, problems, read

from dockgate.model.http import Auth, Clients, Connections, Header, Headers, Http, Maintenance, RateLimit, Redirect
from dockgate.spec import SecretUnavailable

ROUTE = "    routes: [{path: /api, pool: site, http: {strip_path: true, add_path: /v1/, max_body: 1KB}}]\n"


def vip(settings: str) -> str:
    return changed("    pool: site\n", f"    pool: site\n{settings}")


def test_what_is_given_is_what_is_asked_for() -> None:
    made = desired(
        vip(
            """\
    clients: {allow: [10.0.0.0/8, 10.0.0.0/8], deny: ['2001:db8::1']}
    connections: {per_client: 20}
    trusted_proxies: [10.0.0.9]
    http:
      request_headers: {set: {X-B: "1", X-A: "2"}, remove: [X-C]}
      rate_limits: [{requests: 5, per: 1s}]
      redirects: [{path: /old/, to: /new}]
"""
            + ROUTE
        )
    ).vip("web")
    assert made.clients == Clients(("10.0.0.0/8",), ("2001:db8::1/128",))
    assert made.connections == Connections(None, 20)
    assert made.trusted_proxies == ("10.0.0.9/32",)
    assert made.http.request_headers == Headers(("X-C",), (Header("X-A", "2"), Header("X-B", "1")))
    assert made.http.rate_limits == (RateLimit(5, 1000, "client"),)
    assert made.http.redirects == (Redirect("/new", 308, None, "/old", True),)
    assert made.routes[0].http == Http(strip_path=True, add_path="/v1", max_body=1024)


def test_without_any_of_it_there_are_no_limits() -> None:
    made = desired(vip("")).vip("web")
    assert (made.clients, made.connections, made.http) == (Clients(), Connections(), Http())


def test_an_experts_lines_are_kept_as_they_stand() -> None:
    own = 'http-request set-header X-A "%[src]" if { path /a }  # why'
    made = desired(changed("    pool: site\n", f"    pool: site\n    snippets:\n      - '{own}'\n"))
    assert [(each.text, each.source.line) for each in made.vip("web").snippets] == [(own, 12)]


FILES = {
    "closed.html": b"<h1>\n  back at 5\n</h1>",
    "error.json": b"{}",
    "big.html": b"x" * 8193,
    "sorry.exe": b"MZ",
    "nul.html": b"a\0",
}


class Pages:
    """Files of these tests, from nowhere."""

    now = 0.0

    def read(self, name: str) -> bytes:
        if name not in FILES:
            raise SecretUnavailable(f"the file '{name}' does not exist", hint="create it")
        return FILES[name]

    def names(self, folder: str) -> tuple[str, ...]:
        return ()


def test_pages_are_read_with_their_type() -> None:
    text = vip(
        "    maintenance: {page: closed.html, allow: [10.0.0.1], retry_after: 90s}\n"
        "    http: {errors: [{status: 503, page: closed.html}, {status: 404, page: error.json}]}\n"
    )
    made = read(text, Pages()).desired.vip("web")
    assert made.maintenance is not None
    assert made.maintenance.page is not None
    assert made.maintenance.page.content == FILES["closed.html"]
    assert (made.maintenance.allow, made.maintenance.retry_after_s) == (("10.0.0.1/32",), 90)
    assert [(status, page.content_type) for status, page in made.http.errors] == [
        (404, "application/json"),
        (503, "text/html; charset=utf-8"),
    ]
    assert desired(vip("    maintenance: true\n")).vip("web").maintenance == Maintenance()
    assert desired(vip("    maintenance: false\n")).vip("web").maintenance is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("maintenance: {page: none.html}", "f:11:25: the file 'none.html' does not exist"),
        ("maintenance: {page: sorry.exe}", "its name must end with .html, .txt, .json"),
        ("maintenance: {page: nul.html}", "'nul.html' is no text"),
        ("maintenance: {page: big.html}", "'big.html' has 8193 bytes, and a page may have 8192"),
        (
            "http: {errors: [{status: 503, page: error.json}, {status: 503, page: closed.html}]}",
            "has two pages for 503",
        ),
        ("http: {errors: [{status: 200, page: error.json}]}", "must be 400 or 403 or 404"),
    ],
)
def test_a_page_that_cannot_be_sent_is_told(settings: str, told: str) -> None:
    (found,) = problems(vip(f"    {settings}\n"), Pages())
    assert told in found


def test_a_password_leaves_as_a_hash_only() -> None:
    made = desired(vip("    http: {auth: {users: [{user: alice, password: {env: LBSTATS}}]}}\n")).vip("web")
    assert isinstance(made.http.auth, Auth)
    assert made.http.auth.users[0].password_hash.startswith("$6$")
    assert "correct horse" not in repr(made)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("clients: {allow: []}", "f:11:22: vips.web.clients.allow must not be empty"),
        ("clients: {allow: [1.2.3.4], deny: [1.2.3.4/32]}", "both allows and denies 1.2.3.4/32"),
        ("clients: {allow: [everybody]}", "must be an address or a prefix"),
        ("connections: {per_client: 0}", "must be a whole number between 1 and 8000"),
        ("http: {request_headers: {set: {'X A': b}}}", "must be a header name"),
        ("http: {request_headers: {set: {X-A: ''}}}", "must be a header value, not empty"),
        ('http: {request_headers: {set: {X-A: "a\\nb"}}}', "must be a header value"),
        ("http: {request_headers: {remove: [Transfer-Encoding]}}", "it says where a message ends"),
        ("http: {request_headers: {set: {X-Forwarded-For: x}}}", "dockgate sets it"),
        ("http: {request_headers: {set: {X-A: x}, add: {x-a: y}}}", "has two instructions for the header 'x-a'"),
        ("http: {redirects: [{to: /new}]}", "this redirect leads to what it matches itself"),
        ("http: {redirects: [{path: /old, to: //evil.example}]}", "must be a place to go to"),
        ("http: {redirects: [{path: /old, to: 'javascript:x'}]}", "must be a place to go to"),
        ("http: {redirects: [{path: /a, to: /b}, {path: /a/, to: /c}]}", "matches exactly what the one in line 11"),
        ("http: {redirects: [{path: /a, to: /b, code: 200}]}", "must be 301 or 302 or 303 or 307 or 308"),
        ("http: {rate_limits: [{requests: 5, per: 10}]}", "must be a time with its unit"),
        ("http: {rate_limits: [{requests: 5, per: 1s, by: cookie}]}", "write client, host, path or header:NAME"),
        ("http: {rate_limits: [{requests: 5, per: 1s}, {requests: 9, per: 1s}]}", "keep the smaller of the two"),
        ("http: {max_body: 10}", "write it like 512KB, 10MB or 2GB"),
        ("http: {max_headers: 16KB}", "must be at most 15KB, not '16KB'"),
        ("http: {timeout: 60}", "must be a time with its unit"),
        ("snippets: ['backend mine']", "begins a section of its own: 'backend'"),
        ("snippets: ['bind :8080']", "dockgate writes those"),
        ("snippets: ['# nothing']", "must be a line of haproxy.cfg"),
        ('snippets: ["option httpclose\\nbackend mine"]', "must be a line of haproxy.cfg"),
        ("snippets: [' option httpclose']", "must be a line of haproxy.cfg"),
        ("http: {auth: {users: []}}", "must not be empty"),
        ("http: {auth: {users: [{user: a, password: {env: NONE}}]}}", "the secret NONE does not exist"),
        ("http: {auth: {users: [{user: a, password: geheim}]}}", "a secret never stands in this file"),
        ("routes: [{host: a.example, pool: site, http: {strip_path: true}}]", "the route has no path"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(settings: str, told: str) -> None:
    found = problem(vip(f"    {settings}\n"))
    assert found.startswith("f:11:")
    assert told in found
    assert "geheim" not in found


def test_a_port_that_accepts_proxy_needs_somebody_to_trust() -> None:
    found = problem(changed("{port: 80}]", "{port: 80, accept_proxy: true}]"))
    assert "name the proxies in the VIP's 'trusted_proxies'" in found


def test_http_settings_need_an_http_port() -> None:
    found = problem(changed("{port: 80}]", "{port: 80, mode: tcp}]\n    http: {request_id: true}"))
    assert "needs a port with mode http" in found
