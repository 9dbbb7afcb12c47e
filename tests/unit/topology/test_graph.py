"""The facts of a graph against the values of the world it was made from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pictures import example, haproxy, host, large_world, overlay, overlay_world, published_world, web
from tests.worlds import bare_world, with_container, with_host

from dockgate.model.desired import ByService, Desired, Endpoint, Endpoints, Network, Pool
from dockgate.model.observed import Attachment, Container, Observed, ObservedHost, PublishedPort, Unknown
from dockgate.topology import Graph, graph_of
from dockgate.topology.graph import BalancerNode, MemberNode


def member(graph: Graph, name: str) -> MemberNode:
    return next(node for node in graph.members if node.name == name)


def only_balancer(graph: Graph) -> BalancerNode:
    assert len(graph.balancers) == 1
    return graph.balancers[0]


def changed(world: Observed, host_name: str, name: str, **changes: object) -> Observed:
    """The world with one container changed."""
    state = world.host(host_name)
    assert isinstance(state, ObservedHost)
    containers = tuple(
        replace(item, **changes) if item.name == name else item  # type: ignore[arg-type]
        for item in state.containers
    )
    return with_host(world, replace(state, containers=containers))


def container(world: Observed, host_name: str, name: str) -> Container:
    state = world.host(host_name)
    assert isinstance(state, ObservedHost)
    found = state.container(name)
    assert found is not None
    return found


def test_overlay_members_stand_where_their_containers_are() -> None:
    desired, world = overlay_world()
    graph = graph_of(desired, world)
    for host_name, name in (("docker2", "web1"), ("docker3", "web2")):
        node = member(graph, name)
        assert node.host == host_name
        assert node.address == container(world, host_name, name).attachments[0].address
        assert (node.port, node.network) == (80, "network:presentation_backend")
        assert (node.condition.state, node.condition.word) == ("up", "UP")


def test_on_an_overlay_only_the_way_in_is_translated() -> None:
    graph = graph_of(*overlay_world())
    assert [(nat.kind, nat.host, nat.before, nat.after) for nat in graph.nat] == [
        ("DNAT", "docker1", "192.168.50.11:80", "172.17.0.2:80")
    ]
    assert [(link.way, link.network, link.nat) for link in graph.links] == [
        ("network", "network:presentation_backend", ())
    ] * 2


def test_only_the_vip_of_an_internal_overlay_can_be_reached_from_outside() -> None:
    graph = graph_of(*overlay_world())
    assert [port.of for port in graph.ports if port.outside] == ["vip:web@docker1"]


def test_published_members_are_reached_through_masquerade_and_dnat_on_both_hosts() -> None:
    graph = graph_of(*published_world())
    nat = {step.id: step for step in graph.nat}
    ways = {link.member: [nat[step] for step in link.nat] for link in graph.links}
    assert [(step.kind, step.host, step.before, step.after) for step in ways["member:old_web/pub2"]] == [
        ("MASQUERADE", "docker1", "172.17.0.2", "192.168.50.11"),
        ("DNAT", "docker3", "192.168.50.13:32771", "172.17.0.3:80"),
    ]
    assert all(link.way == "lan" for link in graph.links)


def test_published_members_can_be_reached_past_the_load_balancer() -> None:
    graph = graph_of(*published_world())
    reachable = {(port.host, port.port, port.role) for port in graph.ports if port.outside}
    assert reachable == {("docker1", 8080, "vip"), ("docker2", 23770, "member"), ("docker3", 32771, "member")}


@pytest.mark.parametrize("way", [overlay_world, published_world])
def test_a_stopped_member_is_down_and_says_why(way: object) -> None:
    graph = graph_of(*way(down=True))  # type: ignore[operator]
    node = member(graph, "web2" if way is overlay_world else "pub2")
    assert (node.host, node.condition.word, node.condition.why) == ("docker3", "DOWN", "its container is exited")
    assert node.network in {network.id for network in graph.networks}


def test_a_host_that_could_not_be_read_is_unknown_with_its_reason() -> None:
    graph = graph_of(*overlay_world(blind=True))
    node = next(item for item in graph.hosts if item.name == "docker3")
    assert (node.condition.state, node.condition.why) == ("unknown", "docker3 did not answer within 20 s")
    assert "1 host could not be read" in graph.summary()


def test_a_member_that_a_load_balancer_reaches_is_up_although_its_host_cannot_be_read() -> None:
    node = member(graph_of(*overlay_world(blind=True)), "web2")
    assert (node.host, node.address, node.condition.word) == ("", "10.0.1.6", "UP")


def test_a_member_that_was_not_found_is_unknown_while_a_host_is() -> None:
    desired, world = overlay_world(blind=True)
    first = world.host("docker1")
    assert isinstance(first, ObservedHost)
    lb = next(item for item in first.containers if item.name.startswith("dockgate-example-web"))
    silent = with_host(world, replace(first, loadbalancers=(haproxy(lb),)))
    assert member(graph_of(desired, silent), "web2").condition.state == "unknown"


def test_a_member_that_no_host_has_is_absent() -> None:
    desired, _ = overlay_world()
    node = member(graph_of(desired, bare_world(desired)), "web1")
    assert (node.condition.word, node.container, node.host) == ("ABSENT", "", "")


def test_a_member_beside_its_network_is_down_and_says_so() -> None:
    desired, world = overlay_world()
    moved = changed(world, "docker3", "web2", attachments=(Attachment("bridge", "172.17.0.9"),))
    assert member(graph_of(desired, moved), "web2").condition.why == (
        "its container is not on network presentation_backend"
    )


def test_a_vip_that_is_not_there_yet_is_drawn_as_the_file_asks() -> None:
    desired, _ = overlay_world()
    graph = graph_of(desired, bare_world(desired))
    node = only_balancer(graph)
    assert (node.container, node.condition.word) == ("", "NOT THERE")
    assert [(port.port, port.outside) for port in graph.ports] == [(80, False)]
    assert next(n for n in graph.networks if n.wanted).condition.word == "NOT THERE"


def test_a_vip_on_an_unread_host_is_unknown() -> None:
    desired, world = overlay_world()
    node = only_balancer(graph_of(desired, with_host(world, Unknown("connection refused"), "docker1")))
    assert (node.condition.state, node.condition.why) == ("unknown", "docker1 could not be read: connection refused")


def test_a_vip_whose_haproxy_does_not_answer_is_unknown() -> None:
    desired, world = overlay_world()
    first = world.host("docker1")
    assert isinstance(first, ObservedHost)
    mute = replace(first.loadbalancers[0], running=Unknown("no answer on the socket"))
    graph = graph_of(desired, with_host(world, replace(first, loadbalancers=(mute,))))
    assert only_balancer(graph).condition.why == "no answer on the socket"
    assert member(graph, "web1").condition.state == "unknown"


def test_a_vip_without_a_member_that_is_up_says_so() -> None:
    desired, world = overlay_world()
    first = world.host("docker1")
    assert isinstance(first, ObservedHost)
    running = first.loadbalancers[0].running
    dead = replace(running, servers=tuple(replace(s, status="DOWN") for s in running.servers))  # type: ignore[union-attr, type-var]
    balancer = replace(first.loadbalancers[0], running=dead)  # type: ignore[arg-type]
    graph = graph_of(desired, with_host(world, replace(first, loadbalancers=(balancer,))))
    assert only_balancer(graph).condition.word == "NO MEMBER UP"


def test_other_peoples_containers_are_shown_where_they_publish_or_share_a_network_and_counted_elsewhere() -> None:
    desired, world = overlay_world()
    world = with_container(
        world, "docker2", web("nginx", ("bridge", "172.17.0.8"), published=(PublishedPort(80, 8088),))
    )
    world = with_container(world, "docker2", web("spy", ("presentation_backend", "10.0.1.9")))
    world = with_container(world, "docker2", web("quiet", ("bridge", "172.17.0.9")))
    world = with_container(
        world, "docker2", web("local", ("bridge", "172.17.0.7"), published=(PublishedPort(80, 9, "127.0.0.1"),))
    )
    graph = graph_of(desired, world)
    assert [node.name for node in graph.containers] == ["local", "nginx", "spy"]
    assert next(node for node in graph.hosts if node.name == "docker2").others == 1
    assert {port.container: port.outside for port in graph.ports if port.role == "other"} == {
        "nginx": True,
        "local": False,
    }


def test_a_service_has_every_container_that_bears_its_name() -> None:
    desired, world = overlay_world()
    pool = Pool("green", ByService("green"), 80, "presentation_backend")
    desired = replace(desired, pools=(pool,), vips=(replace(desired.vips[0], listens=(), routes=()),))
    for host_name, address in (("docker2", "10.0.1.21"), ("docker3", "10.0.1.22")):
        place = Attachment("presentation_backend", address, ("green",))
        world = with_container(world, host_name, replace(web(f"g-{host_name}"), attachments=(place,)))
    graph = graph_of(desired, world)
    assert [(node.name, node.host) for node in graph.members] == [("g-docker2", "docker2"), ("g-docker3", "docker3")]


def test_an_endpoint_at_a_published_port_of_a_host_is_the_container_behind_it() -> None:
    desired, world = published_world()
    ends = (Endpoint("a", "192.168.50.12", 23770), Endpoint("b", "db.example.org", 5432))
    desired = replace(desired, pools=(Pool("old_web", Endpoints(ends), 0),))
    graph = graph_of(desired, world)
    assert (member(graph, "a").host, member(graph, "a").container) == ("docker2", "pub1")
    assert (member(graph, "b").host, member(graph, "b").address) == ("", "db.example.org")
    steps = next(link.nat for link in graph.links if link.member == "member:old_web/a")
    assert [step.partition("@")[0] for step in steps] == ["nat:MASQUERADE", "nat:DNAT"]


def test_a_published_member_on_the_load_balancers_own_host_is_reached_without_the_lan() -> None:
    desired, world = published_world()
    for host_name in ("docker2", "docker3"):
        world = with_host(world, host(host_name))
    pub1 = web("pub1", ("bridge", "172.17.0.3"), published=(PublishedPort(80, 23770),))
    graph = graph_of(desired, with_container(world, "docker1", pub1))
    assert [nat.kind for nat in graph.nat if nat.of.startswith("vip:") and nat.host == "docker1"] == [
        "HAIRPIN",
        "MASQUERADE",
    ]


def test_members_of_a_bridge_belong_to_its_host_before_they_are_there() -> None:
    desired = example("03-one-host")
    for graph in (graph_of(desired, None), graph_of(desired, bare_world(desired))):
        assert {node.host for node in graph.members} == {"docker1"}
        assert {node.network for node in graph.members} == {"network:backend@docker1"}


def test_a_vip_with_an_address_of_its_own_is_reached_there() -> None:
    graph = graph_of(example("04-own-address"), None)
    assert [node.address for node in graph.balancers] == ["10.10.10.150", "10.10.10.151"]
    assert graph.hosts[0].addresses == ("192.168.50.11", "10.10.10.150", "10.10.10.151")
    assert {nat.before for nat in graph.nat} == {"10.10.10.150:80", "10.10.10.151:80"}


def test_every_node_of_a_large_system_has_an_id_of_its_own() -> None:
    graph = graph_of(*large_world())
    for nodes in (graph.hosts, graph.networks, graph.balancers, graph.members, graph.ports, graph.nat, graph.links):
        ids = [node.id for node in nodes]  # type: ignore[attr-defined]
        assert ids == sorted(set(ids))
    assert (len(graph.hosts), len(graph.balancers), len(graph.members)) == (10, 20, 200)


def test_a_network_that_only_unread_hosts_may_have_is_unknown() -> None:
    desired = Desired("p", example("01-overlay").hosts[:1], (Network("n", "overlay"),))
    world = Observed((("docker1", Unknown("down")),))
    assert graph_of(desired, world).networks[0].condition.state == "unknown"
    assert graph_of(desired, Observed((("docker1", host("docker1", networks=(overlay("n"),))),))).networks[0].hosts == (
        "docker1",
    )
