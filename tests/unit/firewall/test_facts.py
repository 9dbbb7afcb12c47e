"""What a host's facts say, and what they do when something is not known."""

from __future__ import annotations

from dataclasses import replace

from tests.golden.test_firewall import NETWORK, example, facts, world
from tests.worlds import with_container, with_host

from dockgate.firewall import HostFacts, complete, evaluate, host_facts, overlay_facts
from dockgate.firewall.evaluate import Flow
from dockgate.firewall.facts import Address, ip_address
from dockgate.firewall.host_rules import host_rules
from dockgate.model.objects import LABEL_STAND_IN
from dockgate.model.observed import Attachment, Container, Labels, ObservedHost, ObservedNetwork, Unknown


def at(text: str) -> Address:
    return ip_address(text)


def test_a_network_that_carries_a_vips_address_is_not_a_network_of_containers() -> None:
    desired, made = example(), world(example())
    host = made.host("docker1")
    assert isinstance(host, ObservedHost)
    address = ObservedNetwork(
        "a1", "dg", "bridge", "local", False, False, Labels.of({"dockgate.kind": "address"}), subnet="192.168.50.150/32"
    )
    found = host_facts(desired, with_host(made, replace(host, networks=(*host.networks, address))), "docker1")
    assert isinstance(found, HostFacts)
    assert [bridge.interface for bridge in found.bridges] == ["docker0"]


def test_an_overlay_has_the_containers_of_every_host() -> None:
    found = overlay_facts(example(), world(example()), NETWORK)
    assert [place.container for place in found.places] == ["shop-web", "web1", "web2"]


def test_a_host_that_cannot_be_read_is_a_gap_of_its_overlays_and_not_empty() -> None:
    made = with_host(world(example()), Unknown("no answer"), "docker3")
    assert "containers of docker3" in overlay_facts(example(), made, NETWORK).gaps[0]
    assert isinstance(host_facts(example(), made, "docker3"), Unknown)


def test_a_peer_without_a_known_address_leaves_vxlan_unguarded_and_says_so() -> None:
    found = host_facts(example(), with_host(world(example()), Unknown("no answer"), "docker3"), "docker1")
    assert isinstance(found, HostFacts)
    assert isinstance(found.peers, Unknown)
    assert any("VXLAN and gossip are not guarded" in gap for gap in found.gaps)


def test_a_file_without_a_firewall_forbids_nothing() -> None:
    policy = complete(replace(example(), firewall=None))
    said = evaluate(policy, facts(example()), Flow("eth0", "docker0", at("198.51.100.1"), at("172.17.0.2"), port=81))
    assert said.verdict == "allow"


def test_a_client_reaches_the_vip_and_nothing_else_of_the_load_balancer() -> None:
    policy, here = complete(example()), facts(example())
    client, balancer = at("192.168.50.100"), at("172.17.0.2")
    asked = (at("192.168.50.11"), 80)
    through = Flow("eth0", "docker0", client, balancer, port=80, asked=asked)
    assert evaluate(policy, here, through).rule == policy.rules[-5]
    assert evaluate(policy, here, replace(through, port=8404, asked=None)).verdict == "drop"


def test_the_load_balancer_reaches_its_members_and_nobody_else_does() -> None:
    policy, inside = complete(example()), overlay_facts(example(), world(example()), NETWORK)
    flow = Flow("br0", "br0", at("10.0.1.2"), at("10.0.1.3"), port=80)
    assert evaluate(policy, inside, flow).verdict == "allow"
    assert evaluate(policy, inside, replace(flow, source=at("10.0.1.4"))).verdict == "drop"
    assert evaluate(policy, inside, replace(flow, port=22)).verdict == "drop"


def test_a_swarm_with_a_data_path_port_of_its_own_has_that_one_guarded_and_not_the_usual_one() -> None:
    made = world(example())
    host = made.host("docker1")
    assert isinstance(host, ObservedHost)
    made = with_host(made, replace(host, vxlan_port=7777), "docker1")
    rules = host_rules(example(), made, "docker1")
    assert not isinstance(rules, Unknown)
    text = rules.tables[0].text
    assert "7777" in text
    assert "4789" not in text
    policy = complete(example(), vxlan_port=made.vxlan_port)
    forged = Flow("eth0", "", at("192.168.50.66"), at("192.168.50.11"), "udp", 7777)
    here = host_facts(example(), made, "docker1")
    assert isinstance(here, HostFacts)
    assert evaluate(policy, here, forged).verdict == "drop"
    assert evaluate(policy, here, replace(forged, source=at("192.168.50.92"))).verdict == "allow"


def test_one_that_stands_in_for_a_member_is_let_in_as_that_member() -> None:
    """Replacing a member under `default: deny` failed: no rule knew the stand-in, and its check never became good."""
    stand_in = Container(
        "s", "web1.next", "web", "running", Labels.of({LABEL_STAND_IN: "web1"}), (Attachment(NETWORK, "10.0.1.9"),)
    )
    made = with_container(world(example()), "docker2", stand_in)
    policy, inside = complete(example()), overlay_facts(example(), made, NETWORK)
    flow = Flow("br0", "br0", at("10.0.1.2"), at("10.0.1.9"), port=80)
    assert evaluate(policy, inside, flow).verdict == "allow"
    assert evaluate(policy, inside, replace(flow, source=at("10.0.1.3"))).verdict == "drop"
