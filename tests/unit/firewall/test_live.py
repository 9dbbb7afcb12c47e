"""Which live connections a policy forbids, and which published ports a client may ask for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from dockgate.firewall import HostFacts, complete
from dockgate.firewall.facts import Bridge, Place, Publication
from dockgate.firewall.live import is_forbidden, may_ask, tracked
from dockgate.model.desired import Desired, Host
from dockgate.model.policy import AddressesZone, ContainerZone, Firewall, HostZone, NetworkZone, Policy, Rule

CLIENT, HOST, WEB = "192.168.50.100", "192.168.50.11", "172.17.0.2"
OWN = frozenset(map(ip_address, (HOST, "172.17.0.1", "127.0.0.1")))
FACTS = HostFacts(
    "docker1",
    bridges=(Bridge("bridge", "docker0", (ip_network("172.17.0.0/16"),)),),
    places=(Place("web", "bridge", (ip_address(WEB),), ("web",)),),
    publications=(Publication("tcp", 4, None, 8080, "web", "bridge", ip_address(WEB), 80),),
)
OFFICE = AddressesZone("office", ("192.168.50.0/24",))


def policy(*rules: Rule) -> Policy:
    return complete(Desired("shop", (Host("docker1", "unix:///x"),), firewall=Firewall("deny", rules=rules)))


def cut(held: Policy, source: str, asked: tuple[str, str], server: tuple[str, str], facts: HostFacts = FACTS) -> bool:
    return is_forbidden(held, facts, OWN, tracked("tcp", source, asked, server, "0"))


def test_a_translated_connection_is_judged_by_the_container_that_answers() -> None:
    allowed = policy(Rule("office", OFFICE, ContainerZone("web"), protocol="tcp", ports=((80, 80),)))
    assert not cut(allowed, CLIENT, (HOST, "8080"), (WEB, "80"))
    assert cut(policy(), CLIENT, (HOST, "8080"), (WEB, "80"))


def test_a_connection_through_dockers_proxy_is_judged_by_the_container_behind_it() -> None:
    allowed = policy(Rule("office", OFFICE, ContainerZone("web"), protocol="tcp", ports=((80, 80),)))
    assert not cut(allowed, CLIENT, (HOST, "8080"), (HOST, "8080"))
    assert cut(policy(), CLIENT, (HOST, "8080"), (HOST, "8080"))


def test_who_began_it_counts_not_who_speaks_now() -> None:
    out = policy(Rule("out", HostZone(), NetworkZone("bridge")))
    assert not cut(out, "172.17.0.1", (WEB, "80"), (WEB, "80"))
    assert cut(out, WEB, ("172.17.0.1", "22"), ("172.17.0.1", "22"))


def test_what_is_no_containers_is_left_alone() -> None:
    assert not cut(policy(), CLIENT, (HOST, "22"), (HOST, "22"))
    assert not cut(policy(), HOST, (CLIENT, "443"), (CLIENT, "443"))
    assert not cut(policy(), HOST, (HOST, "8080"), (HOST, "8080"))


def test_within_an_overlay_both_ends_are_on_its_bridge() -> None:
    places = tuple(
        Place(name, "back", (ip_address(at),), (name,)) for name, at in (("a", "10.0.1.2"), ("b", "10.0.1.3"))
    )
    overlay = replace(FACTS, kind="overlay", bridges=(Bridge("back", "br0"),), places=places, publications=())
    allowed = policy(Rule("a to b", ContainerZone("a"), ContainerZone("b")))
    assert not cut(allowed, "10.0.1.2", ("10.0.1.3", "80"), ("10.0.1.3", "80"), overlay)
    assert cut(allowed, "10.0.1.3", ("10.0.1.2", "80"), ("10.0.1.2", "80"), overlay)


def test_a_vip_that_the_file_keeps_from_somebody_need_not_answer_him() -> None:
    asked = (ip_address(HOST), 8080)
    allowed = policy(Rule("office", OFFICE, ContainerZone("web"), protocol="tcp", ports=((80, 80),)))
    assert may_ask(allowed, FACTS, ip_address(CLIENT), asked)
    assert not may_ask(allowed, FACTS, ip_address("10.9.9.9"), asked)
    assert not may_ask(policy(), FACTS, None, asked)
    assert may_ask(policy(), FACTS, ip_address(CLIENT), (ip_address(HOST), 9999))
