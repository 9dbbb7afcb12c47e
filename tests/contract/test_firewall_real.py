"""Real packets through the rendered rules agree with the policy, and the rule that decides is the one that counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Literal

import pytest
from tests.contract.firewall_stage import Outcome, Stage
from tests.unit.spec.reading import read

from dockgate.firewall import compile_ruleset, complete, evaluate, render
from dockgate.firewall.evaluate import Flow
from dockgate.firewall.facts import Bridge, HostFacts, Place, Publication
from dockgate.model.observed import Labels
from dockgate.model.policy import Policy

pytestmark = pytest.mark.lab

LB = Labels.of({"dockgate.project": "shop", "dockgate.kind": "lb", "dockgate.name": "web"})
WEB, LB4, HOST, HOST6 = "172.17.0.2", "172.17.0.3", "192.168.50.11", "fd00:50::11"
OFFICE, DESK, OTHER, PEER = "192.168.50.100", "192.168.50.101", "192.168.50.102", "192.168.50.12"
OFFICE6, OTHER6, WEB6, LB6 = "fd00:50::100", "fd00:50::102", "fd00:17::2", "fd00:17::3"

FILE = """\
hosts:
  docker1: {engine: "unix:///run/docker1.sock", address: 192.168.50.11}
  docker2: {engine: "ssh://ops@docker2", address: 192.168.50.12}
networks: {back: {driver: overlay}}
vips: {web: {hosts: [docker1], listen: [{port: 80}], pool: site}}
pools: {site: {network: back, port: 80, members: [other]}}
"""
ICMP = FILE + "firewall:\n  default: deny\n"
MATRIX = (
    FILE
    + """\
firewall:
  default: deny
  zones: {office: [192.168.50.100/32, "fd00:50::100/128"], desk: [192.168.50.101]}
  reject:
    - {name: no desk at the VIP, from: desk, to: "vip:web", protocol: tcp, log: true}
  allow:
    - {name: office to web1, from: office, to: "container:web1", protocol: tcp, port: 80}
    - {name: web1 to lb, from: "container:web1", to: "container:lb", protocol: tcp, port: 80}
    - {name: web1 calls out, from: "container:web1", to: world, protocol: tcp, port: 9000}
    - {name: names from the host, from: bridge, to: host, protocol: udp, port: 53}
    - {name: host checks web1, from: host, to: "container:web1", protocol: tcp, port: 80}
    - {name: office pings containers, from: host, to: bridge, protocol: icmp}
  drop:
    - {name: nothing else on the host, from: world, to: host, protocol: tcp}
"""
)


def facts() -> HostFacts:
    def published(container: str, asked: str | None, host_port: int, to: str, port: int) -> Publication:
        address = ip_address(to)
        family: int = address.version
        assert family in (4, 6)
        at = ip_address(asked) if asked else None
        return Publication("tcp", 4 if family == 4 else 6, at, host_port, container, "bridge", address, port)

    return HostFacts(
        name="docker1",
        bridges=(Bridge("bridge", "docker0", (ip_network("172.17.0.0/16"), ip_network("fd00:17::/64"))),),
        places=(
            Place("web1", "bridge", (ip_address(WEB), ip_address(WEB6)), ("web1",)),
            Place("lb", "bridge", (ip_address(LB4), ip_address(LB6)), ("lb",), LB),
        ),
        publications=(
            published("web1", None, 8080, WEB, 80),
            published("web1", None, 8080, WEB6, 80),
            published("lb", None, 80, LB4, 80),
            published("web1", "127.0.0.1", 9000, WEB, 81),
        ),
        peers=(ip_address(PEER),),
        swarm=True,
    )


CROWD = Labels.of({"tier": "crowd"})
CROWDED = (
    MATRIX.replace("desk: [192.168.50.101]", "desk: [192.168.50.101], guests: [@GUESTS]").replace(
        "{port: 80}", ", ".join(f"{{port: {port}}}" for port in (80, *range(8101, 8110)))
    )
    + """\
    - {name: no crowd for guests, from: guests, to: "label:tier=crowd", protocol: tcp, port: [@PORTS]}
    - {name: no crowd at the VIP, from: "label:tier=crowd", to: "vip:web"}
    - {name: no crowd at web1, from: "label:tier=crowd", to: "container:web1", protocol: tcp, port: [@PORTS]}
    - {name: no crowd on the host, from: "label:tier=crowd", to: host, protocol: tcp, port: [@PORTS]}
"""
)
CROWDED = CROWDED.replace("@GUESTS", ", ".join(["192.168.50.102/32", *(f"198.51.{n}.0/24" for n in range(0, 20, 2))]))
CROWDED = CROWDED.replace("@PORTS", ", ".join(["80", *(str(port) for port in range(9000, 9020, 2))]))
"""The same with more than stands in lines: here the rule set has maps, of every kind."""


def crowded(found: HostFacts) -> HostFacts:
    """A dozen containers more, which have no namespace of their own. ``web1`` and ``lb`` are then two among many."""
    names = [(f"crowd{n}", ip_address(f"172.17.0.{30 + n}"), ip_address(f"fd00:17::{30 + n}")) for n in range(12)]
    places = tuple(Place(name, "bridge", (v4, v6), (name,), CROWD) for name, v4, v6 in names)
    published = tuple(
        Publication("tcp", family, None, 20000 + number, name, "bridge", address, 80)
        for number, (name, *addresses) in enumerate(names)
        for family, address in zip(FAMILIES, addresses, strict=True)
    )
    more = tuple(
        Publication("tcp", family, None, port, "lb", "bridge", ip_address(address), port)
        for port in range(8101, 8110)
        for family, address in zip(FAMILIES, (LB4, LB6), strict=True)
    )
    return replace(found, places=(*found.places, *places), publications=(*found.publications, *published, *more))


FAMILIES: tuple[Literal[4, 6], ...] = (4, 6)


@dataclass(frozen=True)
class Cell:
    """A flow as the policy sees it; how it is sent follows from it."""

    name: str
    flow: Flow

    def send(self, stage: Stage) -> Outcome:
        flow = self.flow
        namespace = {"eth0": stage.client, "": stage.host}.get(flow.iif) or (
            stage.web if str(flow.source) in (WEB, WEB6) else stage.lb
        )
        source = "" if not flow.iif else str(flow.source)
        target, port = flow.wire
        if flow.protocol == "icmp":
            return stage.ping(namespace, source, str(target))
        send = stage.tcp if flow.protocol == "tcp" else stage.udp
        return send(namespace, source, str(target), port)


def cell(ways: str, source: str, target: str, what: str, asked: str = "") -> Cell:
    """``eth0>docker0``, where from, where to, ``tcp 80``, and what was asked for where Docker translates it."""
    iif, _, oif = ways.partition(">")
    protocol, _, port = what.partition(" ")
    assert protocol in ("tcp", "udp", "icmp")
    at, _, asked_port = asked.rpartition(" ")
    flow = Flow(
        iif,
        oif,
        ip_address(source),
        ip_address(target),
        "tcp" if protocol == "tcp" else "udp" if protocol == "udp" else "icmp",
        int(port or 0),
        asked=(ip_address(at), int(asked_port)) if asked else None,
    )
    return Cell(f"{source} to {asked or target} {what}", flow)


IN, OUT, SAME = "eth0>docker0", "docker0>eth0", "docker0>docker0"
CELLS = (
    cell(IN, OFFICE, WEB, "tcp 80", f"{HOST} 8080"),
    cell(IN, OTHER, WEB, "tcp 80", f"{HOST} 8080"),
    cell(IN, OFFICE6, WEB6, "tcp 80", f"{HOST6} 8080"),
    cell(IN, OTHER6, WEB6, "tcp 80", f"{HOST6} 8080"),
    cell(IN, OFFICE, LB4, "tcp 80", f"{HOST} 80"),
    cell(IN, OTHER, LB4, "tcp 80", f"{HOST} 80"),
    cell(IN, DESK, LB4, "tcp 80", f"{HOST} 80"),
    cell(IN, OFFICE, WEB, "tcp 80"),
    cell(IN, OFFICE6, WEB6, "tcp 80"),
    cell(IN, OFFICE, WEB, "icmp"),
    cell(IN, OFFICE6, WEB6, "icmp"),
    cell(SAME, WEB, LB4, "tcp 80"),
    cell(SAME, WEB6, LB6, "tcp 80"),
    cell(SAME, LB4, WEB, "tcp 80"),
    cell(SAME, LB6, WEB6, "tcp 80"),
    cell(SAME, WEB, LB4, "icmp"),
    cell(OUT, WEB, OFFICE, "tcp 9000"),
    cell(OUT, WEB, OFFICE, "tcp 9001"),
    cell(OUT, LB4, OFFICE, "tcp 9000"),
    cell(OUT, WEB6, OFFICE6, "tcp 9000"),
    cell(OUT, LB6, OFFICE6, "tcp 9000"),
    cell("docker0>", WEB, "172.17.0.1", "udp 53"),
    cell("docker0>", WEB6, "fd00:17::1", "udp 53"),
    cell("docker0>", WEB, "172.17.0.1", "udp 54"),
    cell("docker0>", WEB, "172.17.0.1", "tcp 8081"),
    cell("docker0>", WEB, "172.17.0.1", "tcp 22"),
    cell("docker0>", LB4, "172.17.0.1", "tcp 8080"),
    cell("docker0>", WEB, "172.17.0.1", "icmp"),
    cell("docker0>", WEB6, "fd00:17::1", "icmp"),
    cell("docker0>", WEB, "172.17.0.1", "udp 4789"),
    cell("eth0>", OTHER, HOST, "tcp 22"),
    cell("eth0>", OTHER6, HOST6, "tcp 22"),
    cell("eth0>", OTHER, HOST, "tcp 8081"),
    cell("eth0>", OTHER6, HOST6, "tcp 8081"),
    cell("eth0>", OTHER, HOST, "udp 54"),
    cell("eth0>", OTHER, HOST, "icmp"),
    cell("eth0>", OTHER, HOST, "udp 4789"),
    cell("eth0>", OTHER6, HOST6, "udp 4789"),
    cell("eth0>", PEER, HOST, "udp 4789"),
    cell(">docker0", "172.17.0.1", WEB, "tcp 80"),
    cell(">docker0", "fd00:17::1", WEB6, "tcp 80"),
    cell(">docker0", "172.17.0.1", WEB, "tcp 81"),
    cell(">docker0", "172.17.0.1", LB4, "tcp 80"),
    cell(">docker0", "172.17.0.1", WEB, "icmp"),
    cell(">docker0", "fd00:17::1", WEB6, "icmp"),
    cell(">eth0", HOST, OFFICE, "tcp 9000"),
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    try:
        made.up()
        yield made
    finally:
        made.down()


def load(stage: Stage, text: str) -> Policy:
    policy = complete(read(text).desired)
    rules = render(compile_ruleset(policy, facts_for(text)))
    stage.check(rules)
    stage.load(rules)
    return policy


def facts_for(text: str) -> HostFacts:
    return crowded(facts()) if text == CROWDED else facts()


def expected(policy: Policy, text: str, flow: Flow) -> tuple[Outcome, str]:
    """What must be measured, and the chain that must count it ("" for none)."""
    said = evaluate(policy, facts_for(text), flow)
    outcome: Outcome = "open" if said.verdict == "allow" else "refused" if said.verdict == "reject" else "dropped"
    return outcome, "" if said.rule is None else f"r_{policy.rules.index(said.rule)}"


def test_every_probe_is_open_without_rules(stage: Stage) -> None:
    """The positive control: what is denied later is denied by a rule, not by a server that is not there."""
    stage.load("table inet dockgate\ndelete table inet dockgate\n")
    shut = [item.name for item in CELLS if item.send(stage) != "open"]
    assert not shut, "\n".join(shut)


@pytest.mark.parametrize("text", [MATRIX, CROWDED], ids=["few", "many"])
def test_real_packets_agree_with_the_policy_and_the_named_rule_counts(stage: Stage, text: str) -> None:
    policy = load(stage, text)
    wrong = []
    for item in CELLS:
        outcome, chain = expected(policy, text, item.flow)
        before = stage.counts()
        measured = item.send(stage)
        counted = sorted(name for name, count in stage.counts().items() if count > before.get(name, 0))
        if measured != outcome or (chain and chain not in counted):
            wrong.append(f"{item.name}: {measured}, not {outcome}; counted by {counted}, not {chain}")
    assert not wrong, "\n".join(wrong)


def pings(stage: Stage) -> tuple[Outcome, Outcome, Outcome, Outcome]:
    """Host → container and container → host, over IPv4 and over IPv6."""
    return (
        stage.ping(stage.host, "", WEB),
        stage.ping(stage.web, "", "172.17.0.1"),
        stage.ping(stage.host, "", WEB6),
        stage.ping(stage.web, "", "fd00:17::1"),
    )


def test_the_host_and_its_containers_ping_each_other_only_as_far_as_the_file_says(stage: Stage) -> None:
    """The running example's three steps."""
    load(stage, ICMP)
    assert pings(stage) == ("dropped", "dropped", "dropped", "dropped")
    host = "  allow:\n    - {name: host pings containers, from: host, to: bridge, protocol: icmp}\n"
    load(stage, ICMP + host)
    assert pings(stage) == ("open", "dropped", "open", "dropped")
    load(stage, ICMP + host + "    - {name: containers ping host, from: bridge, to: host, protocol: icmp}\n")
    assert pings(stage) == ("open", "open", "open", "open")


def counted(stage: Stage, policy: Policy, kind: str) -> int:
    """Packets that rules of a kind have stopped."""
    return sum(stage.counts().get(f"r_{index}", 0) for index, rule in enumerate(policy.rules) if rule.kind == kind)


def test_a_frame_for_a_port_published_on_loopback_is_dropped(stage: Stage) -> None:
    policy = load(stage, MATRIX)
    stage.frame("127.0.0.1", 9000)
    assert counted(stage, policy, "loopback") == 1


def test_tcp_from_the_middle_of_nothing_is_dropped(stage: Stage) -> None:
    policy = load(stage, MATRIX)
    stage.ack(stage.client, OFFICE, HOST, 8080)
    assert counted(stage, policy, "syn") == 1


def test_an_allowed_connection_goes_on_under_a_policy_that_forbids_new_ones(stage: Stage) -> None:
    """Established is judged apart from new: what cuts live flows is not the rule set alone."""
    load(stage, MATRIX)
    with stage.echo(HOST, 8080) as said:
        load(stage, ICMP)
        shut = stage.tcp(stage.client, OFFICE, HOST, 8080)
    assert shut == "dropped"
    assert said
    assert all(isinstance(item, float) for item in said)


def test_a_published_port_stays_judged_when_dockers_translation_is_gone(stage: Stage) -> None:
    """The proxy then answers on the host itself."""
    load(stage, MATRIX)
    stage.lose_docker()
    try:
        assert stage.tcp(stage.client, OTHER, HOST, 8080) == "dropped"
        assert stage.tcp(stage.client, OFFICE, HOST, 8080) == "open"
        assert stage.tcp(stage.client, OTHER6, HOST6, 8080) == "dropped"
        assert stage.tcp(stage.client, OFFICE6, HOST6, 8080) == "open"
    finally:
        stage.find_docker()


def test_two_hundred_replaces_lose_nothing_of_a_running_connection(stage: Stage) -> None:
    policy = complete(read(MATRIX).desired)
    rules = render(compile_ruleset(policy, facts()))
    stage.load(rules)
    with stage.echo(HOST, 80) as said:
        for _ in range(200):
            stage.load(rules)
    wrong = [item for item in said if not isinstance(item, float)]
    print(f"{len(said)} echoes during 200 replaces")
    assert wrong == []
    assert len(said) > 1000


def test_the_same_rules_are_accepted_twice_and_leave_nothing_else(stage: Stage) -> None:
    """Replacing is not adding, and the empty nat chain is always there."""
    load(stage, MATRIX)
    load(stage, MATRIX)
    assert sum(stage.counts().values()) == 0
    stage.check(render(compile_ruleset(complete(read(ICMP).desired), facts())))


def test_the_rules_of_an_overlays_namespace_load(stage: Stage) -> None:
    overlay = HostFacts("back", "overlay", (Bridge("back", "br0"),), facts().places)
    stage.check(render(compile_ruleset(complete(read(MATRIX).desired), overlay)))
