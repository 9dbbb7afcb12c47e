"""What a load balancer does to requests and answers, asked from the client host and looked at behind it."""

from __future__ import annotations

import pytest
from tests.scenarios.http_stage import CLIENT, HEAD, PLAIN, URL, arrived, head, up
from tests.scenarios.stage import Stage, eventually

pytestmark = pytest.mark.lab

WEB = "vips:\n  web:\n    listen: [{port: 8090}]\n    pool: site\n"


def test_who_may_connect_is_decided_by_address_on_http_and_tcp_ports_and_routes(stage: Stage) -> None:
    listen = "listen: [{port: 8090}, {port: 8091, mode: tcp, pool: raw}]"
    vips = f"vips:\n  web:\n    {listen}\n    pool: site\n    routes: [{{path: /admin, pool: site, clients: LISTS}}]\n"
    pools = "pools:\n  site: {network: back, port: 80, members: [site1, site2]}\n"
    pools += "  raw: {network: back, port: 80, members: [site1], check: tcp}\n"
    file = up(stage, vips.replace("LISTS", "{allow: [192.168.50.250]}"), pools)
    assert stage.get(f"{URL}/admin/x")[0] == 403
    assert stage.get(f"{URL}/admins")[0] == 200
    assert stage.get("http://docker1.lab.lab:8091/")[0] == 200
    stage.edit(file, "192.168.50.250", CLIENT)
    stage.edit(file, "    pool: site\n", "    pool: site\n    clients: {deny: [192.168.50.99]}\n")
    stage.up(file)
    assert stage.get(f"{URL}/admin/x")[0] == 200
    stage.edit(file, "192.168.50.99", f"{CLIENT}, '2001:db8::/32'")
    stage.up(file)
    assert stage.get(f"{URL}/")[0] == 403
    assert stage.curl("http://docker1.lab.lab:8091/").returncode in (52, 56), "a TCP port must cut the client off"


def test_headers_change_on_the_way_in_and_out_and_texts_are_literal(stage: Stage) -> None:
    odd = "a 'b' 100% %[src] #x $HOME"
    settings = f"""\
    http:
      request_headers: {{remove: [X-Debug], set: {{X-Odd: "{odd}"}}, add: {{Accept: text/plain}}}}
      response_headers: {{set: {{Server: front}}, remove: [Content-Type]}}
    routes: [{{path: /api, pool: site, http: {{response_headers: {{set: {{Cache-Control: no-store}}}}}}}}]
"""
    up(stage, WEB + settings)
    seen = arrived(stage, f"{URL}/info", "-H", "X-Debug: 1", "-H", "X-Odd: forged")["headers"]
    assert "x-debug" not in seen
    assert seen["x-odd"] == odd
    assert seen["accept"] == "text/plain"
    status, headers = head(stage, f"{URL}/")
    assert (status, headers["server"]) == (200, "front")
    assert "content-type" not in headers
    assert "cache-control" not in headers
    assert head(stage, f"{URL}/api/x")[1]["cache-control"] == "no-store"


def test_every_request_has_an_id_that_member_and_answer_show_and_a_stranger_cannot_choose_it(stage: Stage) -> None:
    file = up(stage, WEB + "    http: {request_id: true}\n")
    first, second = (head(stage, f"{URL}/", "-H", "X-Request-ID: forged")[1]["x-request-id"] for _ in range(2))
    assert len({first, second, "forged"}) == 3
    told = stage.curl("-D", "-", f"{URL}/info").stdout
    shown = head(stage, f"{URL}/slow")[1]["x-request-id"]
    ids = [line.partition(":")[2].strip() for line in told.splitlines() if line.lower().startswith("x-request-id")]
    assert told.count(ids[0]) == 2, "once in the answer's head, once in what the member saw"
    log = stage.lab.docker("docker1", "logs", stage.balancer(file, "web"))
    assert f"{{{shown}}}" in log.stdout + log.stderr
    stage.edit(file, "    http:", f"    trusted_proxies: [{CLIENT}]\n    http:")
    stage.up(file)
    assert head(stage, f"{URL}/", "-H", "X-Request-ID: from-the-edge")[1]["x-request-id"] == "from-the-edge"


def test_redirects_lead_where_the_file_says_and_never_to_a_host_of_the_clients_choice(stage: Stage) -> None:
    settings = """\
    http:
      redirects:
        - {host: shop.example, to: "https://www.shop.example", code: 301}
        - {path: /old, to: /new}
        - {path: /home, to: /, code: 302}
        - {path: /older, to: /gone, keep_path: false, code: 303}
"""
    up(stage, WEB + settings)

    def sent(path: str, *words: str) -> tuple[int, str]:
        status, headers = head(stage, URL + path, "--path-as-is", *words)
        return status, headers.get("location", "")

    assert sent("/a?b=c", "-H", "Host: shop.example:8090") == (301, "https://www.shop.example/a?b=c")
    assert sent("/old") == (308, "/new")
    assert sent("/old/x?y=1") == (308, "/new/x?y=1")
    assert sent("/older/x?y=1") == (303, "/gone")
    assert sent("/home//evil.example/x") == (302, "/evil.example/x")
    assert sent("/oldest") == (200, "")


def test_a_vip_is_closed_for_maintenance_and_opened_again_by_one_line_each(stage: Stage) -> None:
    page = '<h1>\n  it\'s being "worked" on: 100% #1\n</h1>\n'
    (stage.folder / "closed.html").write_text(page)
    (stage.folder / "sorry.json").write_text('{"error": "nobody is there"}\n')
    pages = "    http: {errors: [{status: 503, page: sorry.json}, {status: 404, page: sorry.json}]}\n"
    file = up(stage, WEB + pages)
    closed = "    maintenance: {page: closed.html, allow: [10.99.0.0/16], retry_after: 2m}\n"
    stage.edit(file, pages, pages + closed)
    assert "answers 503, as maintenance asks" in stage.up(file)
    assert stage.get(f"{URL}/") == (503, page.strip())
    status, headers = head(stage, f"{URL}/")
    assert (status, headers["retry-after"]) == (503, "120")
    assert "nothing to do" in stage.plan(file)
    stage.edit(file, "10.99.0.0/16", CLIENT)
    stage.up(file)
    assert stage.get(f"{URL}/")[0] == 200, "who is allowed gets through"
    stage.edit(file, closed.replace("10.99.0.0/16", CLIENT), "")
    stage.up(file)
    assert stage.get(f"{URL}/")[0] == 200
    for name in ("site1", "site2"):
        stage.lab.docker("docker1", "stop", "-t", "1", name)
    eventually(lambda: stage.get(f"{URL}/")[0] == 503, "no member is up")
    assert stage.get(f"{URL}/") == (503, '{"error": "nobody is there"}')


def test_a_routes_path_is_taken_off_and_another_put_before(stage: Stage) -> None:
    settings = """\
    routes:
      - {path: /api, pool: site, http: {strip_path: true}}
      - {path: /info, pool: site, http: {add_path: /info}}
      - {path: /a.b, pool: site, http: {strip_path: true, add_path: /info}}
"""
    up(stage, WEB + settings)
    assert arrived(stage, f"{URL}/api/info?x=%2f")["target"] == "/info?x=%2f"
    assert arrived(stage, f"{URL}/info/x")["target"] == "/info/info/x"
    assert arrived(stage, f"{URL}/a.b/c?d")["target"] == "/info/c?d"
    assert arrived(stage, f"{URL}/a.b")["target"] == "/info/"
    assert stage.get(f"{URL}/api")[0] == 200


def test_only_trusted_proxies_are_believed_about_the_client(stage: Stage) -> None:
    file = up(stage, PLAIN)
    forged = [
        *("-H", "X-Forwarded-For: 203.0.113.9"),
        *("-H", "X-Forwarded-Proto: https"),
        *("-H", "Forwarded: for=203.0.113.9"),
    ]
    seen = arrived(stage, f"{URL}/info", *forged)["headers"]
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == (CLIENT, "http")
    assert "forwarded" not in seen
    deny = f"{{listen: [{{port: 8090}}], pool: site, trusted_proxies: [{CLIENT}], clients: {{deny: [203.0.113.9]}}}}"
    stage.edit(file, "{listen: [{port: 8090}], pool: site}", deny)
    stage.up(file)
    assert stage.get(f"{URL}/", *forged)[0] == 403, "the client is whom the trusted proxy names"
    seen = arrived(stage, f"{URL}/info", "-H", "X-Forwarded-For: 203.0.113.9, 198.51.100.7", *forged[2:])["headers"]
    assert seen["x-forwarded-proto"] == "https"
    assert seen["forwarded"] == "for=203.0.113.9"
    assert seen["x-forwarded-for"].endswith(CLIENT)
    chain = f"X-Forwarded-For: 203.0.113.9, {CLIENT}"
    assert stage.get(f"{URL}/", "-H", chain)[0] == 403, "behind two trusted proxies the client is the one before them"


def test_proxy_protocol_carries_the_client_through_two_load_balancers(stage: Stage) -> None:
    edge_head = HEAD.replace("webs", "edges").replace("docker1", "docker2").replace("192.168.50.11", "192.168.50.12")
    edge = "vips:\n  edge: {listen: [{port: 8092, mode: tcp}], pool: inner}\n"
    inner = 'pools:\n  inner: {endpoints: ["192.168.50.11:8090"], send_proxy: v2}\n'
    inside = PLAIN.replace("8090}]", "8090, accept_proxy: true}]").replace(
        "site}", "site, trusted_proxies: [192.168.50.12]}"
    )
    up(stage, inside)
    file = stage.write(edge_head + edge + inner, stage.folder / "edge" / "dockgate.yaml")
    stage.up(file)
    stage.edit(file, "send_proxy: v2", "send_proxy: v1")
    for _ in ("v2", "v1"):
        seen = arrived(stage, "http://docker2.lab.lab:8092/info")["headers"]
        assert seen["x-forwarded-for"] == CLIENT
        stage.up(file)
    assert stage.get(f"{URL}/", "--haproxy-protocol")[0] == 400, "a stranger's PROXY header is not believed"
    assert stage.get(f"{URL}/")[0] == 200, "who is no proxy needs no header"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("clients: {allow: [192.168.50.7/24]}", "did you mean 192.168.50.0/24?"),
        ("http: {request_headers: {set: {Content-Length: '3'}}}", "it says where a message ends"),
        ("http: {redirects: [{path: /a, to: /a/b}]}", "leads to what it matches itself"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_ran_before_keeps_running(
    stage: Stage, written: str, problem: str
) -> None:
    file = up(stage)
    good = file.read_text()
    before = running(stage)
    stage.edit(file, "pool: site}", f"pool: site,\n    {written}}}")
    done = stage.dockgate("up", file, code=None)
    assert done.returncode != 0
    assert f"{file}:8:" in done.stderr + done.stdout
    assert problem in " ".join((done.stderr + done.stdout).split())
    assert (running(stage), stage.get(f"{URL}/")[0]) == (before, 200)
    stage.write(good, file)


def running(stage: Stage) -> list[str]:
    """Ids of the load balancers that run on docker1, which a file that cannot be read does not tell."""
    words = ("ps", "-q", "--no-trunc", "--filter", "label=dockgate.name=web")
    found: list[str] = stage.lab.docker("docker1", *words).stdout.split()
    assert found
    return found
