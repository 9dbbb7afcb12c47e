"""Which questions a scene is asked, and what cannot be asked is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.scenes import CLIENT, FILE, make_observed, make_surveys, scene
from tests.unit.spec.reading import read

from dockgate.model.observed import ObservedHost, Unknown
from dockgate.verify import Cell, Question, all_jobs, make_scene, touching
from dockgate.verify.attacks import API, DIRECT, LOOPBACK, NO_NAT, RUNTIME, STATS, VXLAN

CELLS = [job for job in all_jobs(scene()) if isinstance(job, Cell)]


def expected(source: str, target: str, what: str, family: int = 4) -> set[tuple[str, str]]:
    """Verdict and rule."""
    return {
        (cell.expected.verdict, cell.expected.rule.name)
        for cell in CELLS
        if (cell.source.name, cell.target.name, cell.what, cell.family) == (source, target, what, family)
        and not cell.attack
    }


@pytest.mark.parametrize(
    ("source", "target", "what", "verdict", "rule"),
    [
        ("lb of web", "web1", "tcp 80", "allow", "web to web1 (site)"),
        ("web2", "web1", "tcp 80", "drop", "default deny"),
        ("web2", "web1", "icmp", "drop", "default deny"),
        ("app", "db", "tcp 5432", "allow", "app to db"),
        ("app", "db", "tcp 6010", "allow", "app to db"),
        ("db", "app", "tcp 5432", "drop", "default deny"),
        ("docker2", "app", "icmp", "allow", "host pings containers"),
        ("app", "docker2", "icmp", "drop", "default deny"),
        ("db", "docker2", "tcp 53", "reject", "db stays off the host"),
        ("app", "client", "tcp 9000", "allow", "containers call out"),
        ("app", "client", "udp 4789", "drop", "no VXLAN out of containers"),
        ("client", "app", "tcp 8080", "allow", "office to app"),
        ("docker3", "app", "tcp 8080", "drop", "default deny"),
        ("client", "lb of web", "tcp 80", "allow", "clients of web"),
        ("client", "docker1", "tcp 22", "allow", "failsafe"),
        ("client", "docker1", "udp 4789", "drop", "no overlay traffic (VXLAN) from strangers"),
        ("docker2", "docker1", "udp 4789", "allow", "overlay traffic (VXLAN) between the hosts"),
    ],
)
def test_each_way_is_asked_and_the_policy_says_what_must_become_of_it(
    source: str, target: str, what: str, verdict: str, rule: str
) -> None:
    assert expected(source, target, what) == {(verdict, rule)}


def test_every_way_between_containers_of_both_families_has_its_ipv6_twin() -> None:
    ways = {
        family: {(c.source.name, c.target.name, c.what) for c in CELLS if c.family == family and not c.attack}
        for family in (4, 6)
    }
    inside = {
        way for way in ways[4] if {way[0], way[1]} <= {"app", "db", "docker2"} and way[:2] != ("docker2", "docker2")
    }
    published = {way for way in inside if way[2] == "tcp 8080"}
    assert inside - published <= ways[6]


def test_every_attack_is_there() -> None:
    found = {job.attack for job in all_jobs(scene())} - {""}
    assert found == {DIRECT, LOOPBACK, VXLAN, NO_NAT, API, RUNTIME, STATS, "own host's published port"}


def test_without_a_firewall_nothing_is_promised_and_only_questions_are_asked() -> None:
    made = scene(FILE.partition("firewall:")[0])
    assert {(type(job), job.attack) for job in all_jobs(made)} == {(Question, a) for a in (API, RUNTIME, STATS)}
    assert "the file has no firewall: nothing is promised about packets, and none are sent" in made.skipped


def test_the_same_world_gives_the_same_questions() -> None:
    assert all_jobs(scene()) == all_jobs(scene())


def test_a_change_of_all_hosts_rules_touches_every_cell_and_of_none_nothing() -> None:
    jobs = all_jobs(scene())
    assert touching(jobs, set()) == ()
    assert touching(jobs, {"docker1", "docker2", "docker3"}) == jobs


def test_a_change_of_one_hosts_rules_touches_what_is_judged_or_ends_there() -> None:
    names = {(job.source.name, job.target.name) for job in touching(all_jobs(scene()), {"docker3"})}
    assert ("web1", "web2") in names, "web2 is on docker3"
    assert not any(source == "docker1" and target == "docker2" for source, target in names)


def test_a_host_that_could_not_be_read_fails_the_proof() -> None:
    world = make_observed()
    world = replace(world, hosts=(*world.hosts[:2], ("docker3", Unknown("it did not answer"))))
    assert "docker3 could not be read: it did not answer" in scene(observed=world).missing


def test_a_host_without_a_node_container_fails_the_proof() -> None:
    world = make_observed()
    surveys = {**make_surveys(world), "docker3": Unknown("no node container runs there")}
    made = make_scene(read(FILE).desired, world, surveys, CLIENT)
    assert "nothing can be probed from docker3: no node container runs there" in made.missing


def test_a_member_that_is_not_on_its_network_fails_the_proof() -> None:
    world = make_observed()
    empty = [(name, replace(host, containers=())) for name, host in world.hosts if isinstance(host, ObservedHost)]
    made = scene(observed=replace(world, hosts=(*world.hosts[:2], empty[2])))
    assert (made.missing, made.absent) == ((), ("member web2 of pool site is not on back: it cannot be asked",))


def test_a_file_without_a_vantage_on_the_lan_says_so() -> None:
    assert (
        "no client of the LAN asked, only the hosts: run it with --client from a machine there"
        in scene(client=None).skipped
    )
