"""Single values: each rule in words, at its line and column."""

from __future__ import annotations

import pytest
from tests.unit.spec.reading import changed, desired, problem, problems

REFUSED = {
    "a port in words": (
        "port: 80}]",
        "port: eighty}]",
        "f:9:21: vips.web.listen[0].port must be a whole number between",
    ),
    "a port in quotes": ("port: 80}]", 'port: "80"}]', "not '80'; remove the quotes"),
    "port 0": ("port: 80}]", "port: 0}]", "must be a whole number between 1 and 65535, not the number 0"),
    "port 65536": ("port: 80}]", "port: 65536}]", "not the number 65536"),
    "a port of absurd length": ("port: 80}]", f"port: {'9' * 5000}}}]", "must be a whole number between 1 and 65535"),
    "a port that is true": ("port: 80}]", "port: true}]", "not true"),
    "a list where text must be": ("pool: site", "pool: [site]", "vips.web.pool must be a name, not a list"),
    "text where a list must be": (
        "hosts: [docker1]",
        "hosts: docker1",
        "must be a list, not 'docker1'; write [docker1]",
    ),
    "text where a mapping must be": ("back: {driver: overlay}", "back: overlay", "must be a mapping of keys to values"),
    "a number as a member": ("[web1, web2]", "[1, web2]", 'must be a name, not the number 1; put it in quotes: "1"'),
    "no ports": ("[{port: 80}]", "[]", "vips.web.listen must not be empty; add at least one"),
    "a key without a value": ("pool: site", "pool:", "f:10:5: vips.web.pool has no value; give it one, or remove it"),
    "an unknown key": ("pool: site", "pol: site", "f:10:5: unknown key 'pol' in vips.web; did you mean 'pool'?"),
    "an unknown section": ("pools:", "pool:", "f:11:1: unknown key 'pool'; did you mean 'pools'?"),
    "a misspelled key": ("engine: ", "engin: ", "unknown key 'engin' in hosts.docker1; did you mean 'engine'?"),
    "an unknown driver": ("overlay", "overlai", "must be overlay or bridge, not 'overlai'; did you mean 'overlay'?"),
    "an unknown engine": (
        "unix:///run/docker1.sock",
        "http://docker1",
        "must be a Docker engine, not 'http://docker1'",
    ),
    "a relative socket": ("unix:///run/docker1.sock", "unix://run/docker1", "write unix:///path/to/docker.sock"),
    "an engine's port out of range": ("ssh://ops@docker2.lab.lab", "tcp://docker2:99999", "has the port 99999"),
    "an IPv6 engine": ("ssh://ops@docker2.lab.lab", "ssh://ops@[fd00::1]", "looks like IPv6"),
    "an address that is none": ("192.168.50.11", "192.168.50.256", "must be an IPv4 address, not '192.168.50.256'"),
    "an IPv6 address of a host": ("192.168.50.11", '"fd00:1:2:3::1"', "looks like IPv6 ('fd00:1:2:3::1')"),
    "a yes that is text": ("driver: overlay", "internal: yes", "must be true or false, not 'yes'"),
}


@pytest.mark.parametrize(("old", "new", "said"), REFUSED.values(), ids=REFUSED)
def test_refuses(old: str, new: str, said: str) -> None:
    assert any(said in line for line in problems(changed(old, new)))


HOSTILE_NAMES = ["two words", "'quoted'", '"quoted"', "line\nbreak", "#comment", "100%", "$HOME", "back\\slash", "café"]
HOSTILE_NAMES += [
    "-dash",
    ".dot",
    "_line",
    "semi;colon",
    "a:b",
    "a/b",
    "",
    "x" * 64,
    "a\tb",
    "a\x00b",
    "\u202eabc",
    "dash-",
    "dot.",
    "a..b",
]
PLACES = {
    "a member": ("[web1, web2]", "[{}, web2]"),
    "a VIP": ("  web:", "  {}:"),
    "a network": ("  back:", "  {}:"),
    "a host": ("  docker2:", "  {}:"),
    "a pool": ("  site: {", "  {}: {{"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_refuses_a_name_that_could_be_read_as_syntax(place: tuple[str, str], name: str) -> None:
    escaped = "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in name)
    said = problems(changed(place[0], place[1].format(f'"{escaped}"')))
    assert any("must be a name" in line or "more than 63" in line for line in said)
    assert all(line.isprintable() for line in said)


CHECK_VALUES = {
    "a path with a space": ("path: /a b", "must be a path, not '/a b'"),
    "a path that comments": ('path: "/a#b"', "must be a path"),
    "a path with a log format": ("path: '/%[env(HOME)]'", "must be a path"),
    "a path without slash": ("path: index.html", "begin it with '/'"),
    "a host that injects a header": ('host: "a\\r\\nX-Evil: 1"', "must be a Host header"),
    "a host with a port out of range": ('host: "a:70000"', "has the port 70000"),
    "a method that is none": ("method: BREW", "must be HEAD or GET or OPTIONS, not 'BREW'"),
    "a status that is none": ("expect: 99", "must be an HTTP status or a range of them, not the number 99"),
    "a range upside down": ('expect: "399-200"', "must be an HTTP status or a range of them"),
    "a status that injects": ('expect: "200 or 500"', "must be an HTTP status"),
    "a version that is none": ("version: 2.0", "must be 1.0 or 1.1"),
    "a time without unit": ("interval: 5", "must be a time with its unit, not the number 5; write it like 300ms"),
    "a time of nothing": ("interval: 0s", "must be between 1ms and 24h"),
    "a time of days": ("interval: 25h", "must be between 1ms and 24h"),
    "no tries": ("fall: 0", "must be a whole number between 1 and 100"),
    "a version that needs a host": (
        'version: "1.1"',
        "an HTTP/1.1 check needs a Host header; add host: www.example.org",
    ),
}


@pytest.mark.parametrize(("value", "said"), CHECK_VALUES.values(), ids=CHECK_VALUES)
def test_refuses_in_a_check(value: str, said: str) -> None:
    assert said in problem(changed("port: 80, members", f"port: 80, check: {{{value}}}, members"))


VIP_VALUES = {
    "an IPv6 address": ("address: 'fd00::5'", "is an IPv6 address ('fd00::5'), which is not supported yet"),
    "an address that is none": ("address: 10.10.10", "must be an IPv4 address, not '10.10.10'"),
    "a name as address": ("address: www.example.org", "must be an IPv4 address, not 'www.example.org'"),
    "a loopback address": ("address: 127.0.0.1", "cannot be '127.0.0.1': no client can connect to it"),
    "a multicast address": ("address: 224.0.0.1", "cannot be '224.0.0.1'"),
    "a number as address": ("address: 10", "must be an IPv4 address or a DNS name, not the number 10"),
    "a wildcard in the middle": ("routes: [{host: 'a.*.b', pool: site}]", "must be a host name, not 'a.*.b'"),
    "a route's path that climbs": ("routes: [{path: /a/../b, pool: site}]", "leave out '//', '.' and '..'"),
    "a user with a colon": (
        "stats: {path: /s, user: 'a:b', password: {env: LBSTATS}}",
        "must be a user name, not 'a:b'",
    ),
    "the statistics page at the root": ("stats: {path: /, user: a, password: {env: LBSTATS}}", "cannot be at '/'"),
    "an unknown mode": ("timeouts: {client: fast}", "must be a time with its unit, not 'fast'"),
}


@pytest.mark.parametrize(("value", "said"), VIP_VALUES.values(), ids=VIP_VALUES)
def test_refuses_in_a_vip(value: str, said: str) -> None:
    assert said in problem(changed("pool: site", f"pool: site\n    {value}"))


NETWORK_VALUES = {
    "host bits": ("subnet: 10.0.0.5/24", "must be an IPv4 subnet, not '10.0.0.5/24'; did you mean 10.0.0.0/24?"),
    "an IPv6 subnet": ("subnet: 'fd00::/64'", "is an IPv6 subnet ('fd00::/64'), which is not supported yet"),
    "a subnet without room": ("subnet: 10.0.0.0/31", "must be between /8 and /29, not /31"),
    "no subnet": ("subnet: large", "must be an IPv4 subnet, not 'large'; write it like 10.20.0.0/24"),
    "a tiny MTU": ("mtu: 100", "must be a whole number between 576 and 65535"),
}


@pytest.mark.parametrize(("value", "said"), NETWORK_VALUES.values(), ids=NETWORK_VALUES)
def test_refuses_in_a_network(value: str, said: str) -> None:
    assert said in problem(changed("{driver: overlay}", f"{{driver: overlay, {value}}}"))


@pytest.mark.parametrize("version", ["1.0", '"1.0"', "'1.0'"])
def test_takes_a_version_with_and_without_quotes(version: str) -> None:
    check = (
        desired(changed("port: 80, members", f"port: 80, check: {{version: {version}}}, members")).pool("site").check
    )
    assert check is not None
    assert check.version == "1.0"


def test_a_network_may_have_nothing_but_a_name() -> None:
    assert desired(changed("back: {driver: overlay}", "back:")).networks[0].driver == "bridge"


def test_an_image_cannot_carry_options() -> None:
    said = problem(changed("pools:", "haproxy: {image: 'a b'}\npools:"))
    assert said.startswith("f:11:18: haproxy.image must be an image, not 'a b'")


def test_one_mistake_does_not_hide_another() -> None:
    said = problems(changed("pool: site", "pol: site", ("members: [web1, web2]", "members: [web1, web1], prot: 1")))
    assert [line.partition("; ")[0].partition(": ")[2].partition(" (")[0] for line in said] == [
        "unknown key 'pol' in vips.web",
        "the member 'web1' stands here a second time",
        "unknown key 'prot' in pools.site",
    ]


def test_what_was_refused_is_not_reported_missing_as_well() -> None:
    assert "must be a whole number" in problem(changed("port: 80,", "port: eighty,"))


def test_a_reference_to_a_refused_entry_is_no_problem_of_its_own() -> None:
    assert problem(changed("site: {network: back, port: 80, members: [web1, web2]}", "site: 5")).startswith(
        "f:12:9: pools.site"
    )
