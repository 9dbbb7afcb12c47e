"""What no single value can be blamed for: references, ports, addresses, networks, routes, members."""

from __future__ import annotations

import pytest
from tests.unit.spec.reading import VALID, changed, problem, problems, read

REFERENCES = {
    "an unknown host": (
        "hosts: [docker1]",
        "hosts: [docker9]",
        "names 'docker9', which is not in 'hosts'; did you mean",
    ),
    "an unknown pool": ("pool: site", "pool: sites", "names 'sites', which is not in 'pools'; did you mean 'site'?"),
    "an unknown network": ("network: back", "network: bakc", "names 'bakc', which is not in 'networks'; did you mean"),
    "a host named twice": ("hosts: [docker1]", "hosts: [docker1, docker1]", "vips.web.hosts names 'docker1' twice"),
    "no host named": ("hosts: [docker1]", "hosts: []", "vips.web.hosts must not be empty"),
    "no hosts where there are two": (
        "    hosts: [docker1]\n",
        "",
        "does not say which hosts run it, and the file has 2",
    ),
    "an engine twice": (
        "ssh://ops@docker2.lab.lab",
        "unix:///run/docker1.sock",
        "has the same engine as hosts.docker1",
    ),
    "a name of Docker's own": ("  back:", "  bridge:", "networks.bridge is the name of a network of Docker's own"),
    "a member twice": ("[web1, web2]", "[web1, web1]", "the member 'web1' stands here a second time"),
    "no members": ("[web1, web2]", "[]", "pools.site.members must not be empty"),
    "a pool without network": ("network: back, ", "", "pools.site has no 'network', and its members are found by name"),
    "a pool without port": ("port: 80, members", "members", "pools.site has no 'port'"),
    "a pool without members": (", members: [web1, web2]", "", "pools.site does not say who its members are"),
    "a pool with two kinds of members": (
        "members:",
        "service: a, members:",
        "pools.site has both 'members' and 'service'",
    ),
    "a VIP that leads nowhere": ("    pool: site\n", "", "vips.web sends the traffic of port 80 nowhere"),
    "a port twice": ("[{port: 80}]", "[{port: 80}, {port: 80}]", "listens on port 80 twice; the first is in line 9"),
    "a VIP at its host's address": (
        "pool: site",
        "address: 192.168.50.11\n    pool: site",
        "of the host 'docker1' itself",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), REFERENCES.values(), ids=REFERENCES)
def test_refuses(old: str, new: str, said: str) -> None:
    assert any(said in line for line in problems(changed(old, new)))


def test_refuses_an_address_of_its_own_on_two_hosts() -> None:
    text = changed("[docker1]", "[docker1, docker2]", ("pool: site\n", "pool: site\n    address: 192.168.50.150\n"))
    assert "has an address of its own and 2 hosts; an address is on one host" in problem(text)


def second_vip(first: str = "", second: str = "", port: int = 80) -> str:
    """Two VIPs on docker1, each with more keys of its own."""
    vip = f"  zwei: {{hosts: [docker1], listen: [{{port: {port}}}], pool: site{second}}}\n"
    return changed("    pool: site\n", f"    pool: site\n{first}{vip}")


def test_refuses_one_port_of_a_host_for_two_vips() -> None:
    said = problem(second_vip())
    assert said.startswith("f:11:37: vips.zwei wants port 80 of host 'docker1', which vips.web (line 7) has already")


def test_refuses_a_port_on_all_addresses_beside_the_same_port_on_one() -> None:
    said = problem(second_vip(second=", address: 192.168.50.150"))
    assert "the one without an address takes the port on all of them" in said


def test_allows_the_same_port_on_two_addresses() -> None:
    assert not problems(second_vip("    address: 192.168.50.151\n", ", address: 192.168.50.150"))


def test_refuses_the_same_address_for_two_vips() -> None:
    said = problem(second_vip("    address: 192.168.50.150\n", ", address: 192.168.50.150", port=81))
    assert "vips.zwei has the same address as vips.web (line 7), 192.168.50.150" in said


def test_refuses_a_vips_address_inside_a_network_of_containers() -> None:
    text = changed(
        "pool: site\n", "pool: site\n    address: 10.20.0.9\n", ("overlay}", "overlay, subnet: 10.20.0.0/24}")
    )
    assert "vips.web.address is inside networks.back (10.20.0.0/24)" in problem(text)


def test_refuses_every_overlap_of_subnets() -> None:
    networks = "{driver: overlay, subnet: 10.0.0.0/8}\n  n2: {subnet: 10.1.0.0/24}\n  n3: {subnet: 10.2.0.0/24}"
    said = problems(changed("{driver: overlay}", networks))
    assert len([line for line in said if "overlap" in line]) == 2


def test_refuses_members_on_a_bridge_that_two_hosts_would_have_to_share() -> None:
    said = problem(changed("driver: overlay", "driver: bridge", ("[docker1]", "[docker1, docker2]")))
    assert "cannot be joined by all of its VIPs: the bridge 'back' exists on docker1 and docker2 separately" in said


def test_refuses_a_bridge_that_two_vips_on_different_hosts_share() -> None:
    text = (
        second_vip()
        .replace("driver: overlay", "driver: bridge")
        .replace("zwei: {hosts: [docker1]", "zwei: {hosts: [docker2]")
    )
    assert "cannot be joined by all of its VIPs" in problem(text)


def test_notes_that_a_service_on_a_bridge_is_each_hosts_own() -> None:
    text = changed("driver: overlay", "driver: bridge", ("[docker1]", "[docker1, docker2]"))
    notes = read(text.replace("members: [web1, web2]", "service: web")).notes
    assert "each load balancer finds the containers of its own host" in str(notes[0])


def test_refuses_a_pool_for_http_and_tcp() -> None:
    said = problem(changed("[{port: 80}]", "[{port: 80}, {port: 81, mode: tcp}]"))
    assert said.startswith("f:12:3: pools.site is used by http and by tcp ports")


TCP = changed("{port: 80}]", "{port: 80, mode: tcp}]")
TCP_ONLY = {
    "balance by URI": (
        "port: 80, members",
        "port: 80, balance: uri, members",
        "balance is uri, and its traffic is tcp",
    ),
    "sending again": ("port: 80, members", "port: 80, retry_non_idempotent: true, members", "has no meaning for tcp"),
    "routes": (
        "    pool: site\n",
        "    pool: site\n    routes: [{path: /a, pool: site}]\n",
        "vips.web.routes needs a port",
    ),
    "a time for requests": (
        "    pool: site\n",
        "    pool: site\n    timeouts: {request: 1s}\n",
        "timeouts.request needs",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), TCP_ONLY.values(), ids=TCP_ONLY)
def test_refuses_for_tcp(old: str, new: str, said: str) -> None:
    assert any(said in line for line in problems(TCP.replace(old, new)))


def test_refuses_a_request_in_a_tcp_check() -> None:
    said = problem(changed("port: 80, members", "port: 80, check: {kind: tcp, path: /up}, members"))
    assert "pools.site.check.path has no meaning: a tcp check sends no HTTP request" in said


def test_refuses_a_network_for_endpoints() -> None:
    said = problem(changed("port: 80, members: [web1, web2]", 'endpoints: ["10.0.0.1:80"]'))
    assert "pools.site.network has no meaning: endpoints members are reached over their hosts' addresses" in said


ENDPOINTS = {
    "a host without an address": ("docker1:80", "the host 'docker1' has no address; give hosts.docker1 an 'address'"),
    "the load balancer itself": ("localhost:80", "'localhost' is the load balancer's own container"),
    "its loopback address": ("127.0.0.1:80", "'127.0.0.1' is the load balancer's own container"),
    "an address that is none": ("1.2.3.400:80", "'1.2.3.400' is not an IPv4 address"),
    "no port": ("docker2", "must be an endpoint, not 'docker2'; write host:port"),
    "a port out of range": ("docker2:0", "has the port 0; a port is between 1 and 65535"),
    "an IPv6 address": ("[fd00::1]:80", "looks like IPv6"),
}


@pytest.mark.parametrize(("endpoint", "said"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_refuses_as_an_endpoint(endpoint: str, said: str) -> None:
    text = changed("network: back, port: 80, members: [web1, web2]", f'endpoints: ["{endpoint}"]')
    assert said in problem(text.replace(", address: 192.168.50.11", ""))


def test_refuses_one_place_under_two_names() -> None:
    text = changed("network: back, port: 80, members: [web1, web2]", "endpoints: ['docker1:80', '192.168.50.11:80']")
    assert "the endpoint '192.168.50.11:80' is the same place as the one in line 12" in problem(text)


ROUTES = {
    "the same twice": (
        "{path: /a, pool: site}, {path: /a/, pool: site}",
        "matches exactly what the one in line 11 matches",
    ),
    "everything": ("{path: /, pool: site}", "this route matches every request; give it a host or a path"),
    "the same header": ("{header: X-A, pool: site}, {header: x-a, pool: site}", "matches exactly what the one in line"),
    "one pool twice": ("{percent: 1, pool: site}, {percent: 2, pool: site}", "matches exactly what the one in line"),
    "more than all": ("{path: /a, percent: 101, pool: site}", "must be a whole number between 0 and 100"),
    "an unknown pool": ("{path: /a, pool: sight}", "vips.web.routes[0].pool names 'sight', which is not in 'pools'"),
}


@pytest.mark.parametrize(("routes", "said"), ROUTES.values(), ids=ROUTES)
def test_refuses_routes_for(routes: str, said: str) -> None:
    assert said in problem(changed("pool: site\n", f"pool: site\n    routes: [{routes}]\n"))


def test_refuses_parts_that_are_more_than_all() -> None:
    routes = "{percent: 60, pool: site}, {percent: 41, pool: other}"
    text = changed("pool: site\n", f"pool: site\n    routes: [{routes}]\n")
    more = text + "  other: {network: back, port: 80, members: [web1]}\n"
    assert "with this route 101 percent of the same requests go somewhere else" in problem(more)


def test_refuses_a_route_that_the_statistics_page_hides() -> None:
    stats = "stats: {path: /admin, user: u, password: {env: LBSTATS}}"
    text = changed("pool: site\n", f"pool: site\n    routes: [{{path: /admin/x, pool: site}}]\n    {stats}\n")
    assert "this route can never be used: the statistics page answers at /admin" in problem(text)


NOTES = {
    "a pool that nobody uses": (
        VALID + "  spare: {network: back, port: 80, members: [a]}\n",
        "no VIP uses pools.spare",
    ),
    "a network that nobody uses": (changed("  back:", "  spare: {}\n  back:"), "no pool uses networks.spare"),
    "a file without VIPs": ("vips: {}\n", "the file has no VIPs: 'up' would remove those of this project"),
}


@pytest.mark.parametrize(("text", "said"), NOTES.values(), ids=NOTES)
def test_notes(text: str, said: str) -> None:
    assert any(said in str(note) for note in read(text).notes)


def test_a_good_file_has_no_notes() -> None:
    assert read(VALID).notes == ()
