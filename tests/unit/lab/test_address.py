"""The address plan."""

from __future__ import annotations

import pytest

from dockgate.lab.address import hosts_file, plan_lab
from dockgate.lab.errors import NotRight


def test_two_labs_differ_in_their_names_and_in_nothing_else() -> None:
    one, two = plan_lab("one", 3), plan_lab("two", 3)
    assert [host.address for host in one.hosts] == [host.address for host in two.hosts]
    assert [host.mac for host in one.hosts] == [host.mac for host in two.hosts]
    assert set(one.namespaces()).isdisjoint(two.namespaces())


def test_every_namespace_carries_the_labs_name() -> None:
    assert plan_lab("lab", 2).namespaces() == ("lab-lan", "lab-client", "lab-docker1", "lab-docker2")


def test_addresses_and_ports_do_not_collide_in_the_largest_lab() -> None:
    plan = plan_lab("lab", 60)
    addresses = [host.address for host in plan.hosts]
    assert len({*addresses, "192.168.50.1", "192.168.50.100"}) == 62
    assert len({host.mac for host in plan.hosts}) == 60
    assert all(len(host.port) <= 15 for host in plan.hosts)


def test_every_host_and_the_client_have_a_long_and_a_short_name() -> None:
    assert hosts_file(plan_lab("lab", 2)).splitlines()[2:] == [
        "192.168.50.11 docker1.lab.lab docker1",
        "192.168.50.12 docker2.lab.lab docker2",
        "192.168.50.100 client.lab.lab client",
    ]


@pytest.mark.parametrize("name", ["", "a", "Lab", "-lab", "lab-", "../etc", "a/b", "a b", "lab\n", "x" * 33, "läb"])
def test_a_name_that_could_not_be_a_path_or_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(NotRight, match="cannot be a lab's name"):
        plan_lab(name, 3)


@pytest.mark.parametrize("hosts", [-1, 0, 61])
def test_an_impossible_number_of_hosts_is_refused(hosts: int) -> None:
    with pytest.raises(NotRight, match="cannot have"):
        plan_lab("lab", hosts)
