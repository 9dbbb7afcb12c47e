"""What is said of load balancers and members: three views, one cause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.doctor.scenes import (
    BALANCER,
    DESIRED,
    FACTS,
    WEB1,
    causes,
    host,
    inside,
    member,
    say,
    server,
    with_asked,
    with_host,
    with_looked,
    with_servers,
)

from dockgate.doctor.model import InsideFacts
from dockgate.model.desired import ByName, ByService, Member, Vip
from dockgate.model.observed import Attachment, Container, LoadBalancer, PublishedPort, Unknown

WEB2_UP = server("web2", "10.0.1.5")


@pytest.mark.parametrize(
    ("state", "cause"), [("paused", "member-paused"), ("exited", "member-stopped"), ("created", "member-stopped")]
)
def test_a_member_that_does_not_run_is_told_by_its_state(state: str, cause: str) -> None:
    web1 = replace(member("web1", "10.0.1.4"), state=state)
    found = say(with_host(host("docker2", web1), "docker2"))
    assert causes(found) == [(cause, "apps/web1")]
    assert found[0].evidence == f"docker2 says: web1 is {state}"


def test_a_member_that_no_engine_knows_is_told_with_the_names_on_its_network() -> None:
    found = say(with_host(host("docker2", member("wbe1", "10.0.1.4")), "docker2"))
    assert causes(found) == [("member-missing", "apps/web1")]
    assert found[0].evidence == "no engine knows web1; on backend there are: wbe1"


def test_a_member_off_its_network_is_told_with_the_networks_it_is_on() -> None:
    web1 = replace(member("web1", ""), attachments=(Attachment("bridge", "172.17.0.3"),))
    found = say(with_host(host("docker2", web1), "docker2"))
    assert causes(found) == [("member-off-network", "apps/web1")]
    assert found[0].advice == "docker network connect backend web1, on docker2"


def test_a_name_that_dns_does_not_have_and_docker_has_is_missing_in_dns() -> None:
    found = say(facts=with_asked(names={"web1": (), "web2": ("10.0.1.5",)}))
    assert causes(found) == [("dns-missing", "apps/web1")]


def test_an_address_that_dns_has_and_docker_has_not_is_stale() -> None:
    found = say(facts=with_asked(names={"web1": ("10.0.1.9",), "web2": ("10.0.1.5",)}))
    assert causes(found) == [("dns-stale", "apps/web1")]
    assert found[0].evidence == "DNS: 10.0.1.9; Docker on docker2: 10.0.1.4"


def test_dns_that_does_not_answer_is_unknown() -> None:
    found = say(facts=with_asked(names={"web1": Unknown("no answer"), "web2": ("10.0.1.5",)}))
    assert [(each.severity, each.cause) for each in found] == [("unknown", "dns-silent")]


def test_an_address_that_only_haproxy_has_is_stale_there() -> None:
    found = say(with_servers(server("web1", "10.0.1.9"), WEB2_UP))
    assert causes(found) == [("haproxy-stale", "apps/web1")]
    assert found[0].evidence == "HAProxy: 10.0.1.9; Docker and DNS: 10.0.1.4"


def test_a_member_that_haproxy_does_not_have_needs_an_up() -> None:
    assert causes(say(with_servers(WEB2_UP))) == [("haproxy-outdated", "apps/web1")]


@pytest.mark.parametrize(
    ("status", "check", "door", "cause"),
    [
        ("DOWN", "L4CON", "refused", "wrong-port"),
        ("DOWN", "L7TOUT", "open", "member-hung"),
        ("DOWN", "L7STS", "open", "check-fails"),
        ("DOWN", "L4TOUT", "no answer", "member-unreachable"),
        ("MAINT", "", "open", "member-taken-out"),
        ("DRAIN", "L7OK", "open", "member-taken-out"),
        ("MAINT (resolution)", "", "open", "haproxy-stale"),
    ],
)
def test_a_member_that_haproxy_does_not_use_is_told_by_how_it_looks_from_there(
    status: str, check: str, door: str, cause: str
) -> None:
    down = server("web1", "10.0.1.4", status=status, check=check)
    found = say(with_servers(down, WEB2_UP), with_asked(doors={WEB1: door}))
    assert causes(found) == [(cause, "apps/web1")]


def test_a_member_that_is_down_and_could_not_be_tried_is_unknown() -> None:
    found = say(with_servers(server("web1", "10.0.1.4", status="DOWN"), WEB2_UP), with_asked(doors={}))
    assert [(each.severity, each.cause) for each in found] == [("unknown", "member-not-tried")]


def test_a_member_of_weight_zero_is_drained_because_the_file_says_so() -> None:
    idle = ByName((Member("web1", weight=0), Member("web2")))
    desired = replace(DESIRED, pools=(replace(DESIRED.pools[0], membership=idle),))
    assert say(with_servers(server("web1", "10.0.1.4", status="DRAIN", weight=0), WEB2_UP), desired=desired) == ()


@pytest.mark.parametrize(
    ("listening", "told"),
    [
        ((("0.0.0.0", 8081), ("127.0.0.11", 40_000)), "it listens on 8081"),
        ((("127.0.0.1", 80),), "it listens on 80 of its loopback only"),
        ((("127.0.0.11", 40_000),), "nothing listens there"),
    ],
)
def test_a_port_that_refuses_is_told_with_what_listens(listening: tuple[tuple[str, int], ...], told: str) -> None:
    looks = InsideFacts(inside("10.0.1.4").links, (), listening)
    facts = replace(with_looked("docker2", containers={"web1": looks}), asked=with_asked(doors={WEB1: "refused"}).asked)
    found = say(with_servers(server("web1", "10.0.1.4", status="DOWN"), WEB2_UP), facts)
    assert found[0].evidence.endswith(told)


@pytest.mark.parametrize(("state", "cause"), [("paused", "balancer-paused"), ("exited", "balancer-stopped")])
def test_a_load_balancer_that_does_not_run_explains_that_its_members_are_not_served(state: str, cause: str) -> None:
    away = replace(host("docker1", replace(BALANCER, state=state)), loadbalancers=(LoadBalancer("lb-web", "cfg"),))  # type: ignore[arg-type]
    found = say(with_host(away, "docker1"))
    assert causes(found) == [(cause, "VIP web on docker1")]
    assert found[0].affects == ("apps/web1", "apps/web2")


def test_a_load_balancer_that_is_not_there_is_told() -> None:
    assert causes(say(with_host(host("docker1"), "docker1"))) == [("balancer-missing", "VIP web on docker1")]


def test_haproxy_that_does_not_answer_is_told_with_the_reason() -> None:
    found = say(with_host(host("docker1", BALANCER, haproxy=Unknown("docker1: no answer")), "docker1"))
    assert causes(found) == [("haproxy-silent", "VIP web on docker1")]
    assert found[0].evidence == "no answer"


def test_a_port_that_a_container_has_taken_is_told_with_its_name() -> None:
    other = Container("id", "squatter", "web", "running", published=(PublishedPort(80, 80),))
    found = say(with_host(host("docker1", other), "docker1"))
    assert causes(found) == [("port-taken", "VIP web on docker1")]
    assert found[0].evidence == "container squatter publishes 0.0.0.0:80"


def test_a_port_that_a_process_has_taken_is_told_too() -> None:
    found = say(with_host(host("docker1"), "docker1"), with_looked("docker1", listening=(("0.0.0.0", 80),)))
    assert found[0].evidence == "a process of docker1 itself listens on 0.0.0.0:80"


def test_a_port_of_another_address_is_no_conflict_for_an_address_of_its_own() -> None:
    desired = replace(DESIRED, vips=(replace(DESIRED.vips[0], address="192.168.50.77"),))
    other = Container("id", "other", "web", "running", published=(PublishedPort(80, 80, "192.168.50.11"),))
    found = say(with_host(host("docker1", other), "docker1"), desired=desired)
    assert ("balancer-missing", "VIP web on docker1") in causes(found)


def test_a_load_balancer_that_could_not_be_entered_is_unknown() -> None:
    found = say(facts=replace(FACTS, asked={("docker1", "web"): Unknown("docker1: not permitted")}))
    assert [(each.severity, each.cause) for each in found] == [("unknown", "balancer-not-examined")]


def test_a_service_that_dns_has_no_address_for_is_told() -> None:
    desired = replace(DESIRED, pools=(replace(DESIRED.pools[0], membership=ByService("shop")),))
    found = say(with_servers(), with_asked(names={"shop": ()}), desired)
    assert causes(found) == [("dns-missing", "apps/shop")]


def test_what_two_load_balancers_see_alike_is_told_once() -> None:
    desired = replace(DESIRED, vips=(*DESIRED.vips, Vip("web", ("docker1",), DESIRED.vips[0].listens)))
    down = server("web1", "10.0.1.4", status="DOWN", check="L7TOUT")
    found = say(with_servers(down, WEB2_UP), desired=desired)
    assert causes(found) == [("member-hung", "apps/web1")]
    assert found[0].evidence.endswith("(from VIP web on docker1)")
