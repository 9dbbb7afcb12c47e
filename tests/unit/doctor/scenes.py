"""A system of three hosts that is well, as values: each test breaks one thing in it and reads what is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dockgate.doctor import Facts, Finding, diagnose
from dockgate.doctor.model import Asked, HostFacts, InsideFacts, Link, Meeting, OverlayFacts
from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Network, Pool, Vip
from dockgate.model.objects import labels_for
from dockgate.model.observed import (
    Attachment,
    Container,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    RunningHaproxy,
    ServerState,
    Unknown,
)

NAMES = ("docker1", "docker2", "docker3")
DESIRED = Desired(
    "example",
    tuple(Host(name, f"unix:///run/{name}.sock", f"192.168.50.1{n}") for n, name in enumerate(NAMES, 1)),
    (Network("backend", "overlay", internal=True),),
    (Pool("apps", ByName((Member("web1"), Member("web2"))), 80, "backend"),),
    (Vip("web", ("docker1",), (Listen(80, "http", "apps"),)),),
)
MACS = {"10.0.1.2": "02:42:0a:00:01:02", "10.0.1.4": "02:42:0a:00:01:04", "10.0.1.5": "02:42:0a:00:01:05"}
HOME = {"10.0.1.2": "docker1", "10.0.1.4": "docker2", "10.0.1.5": "docker3"}
WEB1, WEB2 = ("10.0.1.4", 80), ("10.0.1.5", 80)


def address_of(host: str) -> str:
    return f"192.168.50.1{host[-1]}"


def member(name: str, address: str) -> Container:
    return Container(f"id-{name}", name, "web", "running", attachments=(Attachment("backend", address),), pid=20)


BALANCER = Container(
    "id-lb", "lb-web", "haproxy", "running", labels_for("example", "lb", "web"),
    (Attachment("backend", "10.0.1.2"), Attachment("bridge", "172.17.0.2")), (PublishedPort(80, 80),), pid=10,
)  # fmt: skip


def server(name: str, address: str, **changes: object) -> ServerState:
    return replace(ServerState("apps", name, address, 80, "UP", 100, "L7OK", 200), **changes)  # type: ignore[arg-type]


HAPROXY = RunningHaproxy("3.2", "x", 1, 60, (server("web1", "10.0.1.4"), server("web2", "10.0.1.5")))


def host(name: str, *containers: Container, haproxy: RunningHaproxy | Unknown | None = HAPROXY) -> ObservedHost:
    balancers = tuple(LoadBalancer(c.name, "cfg", haproxy) for c in containers if c.name == "lb-web")
    overlay = ObservedNetwork("net1", "backend", "overlay", "swarm", True, True, containers=("x",))
    return ObservedHost(
        name, "26.1.5", "manager", address_of(name), containers, (overlay,), loadbalancers=balancers
    )  # fmt: skip


OBSERVED = Observed(
    (
        ("docker1", host("docker1", BALANCER)),
        ("docker2", host("docker2", member("web1", "10.0.1.4"))),
        ("docker3", host("docker3", member("web2", "10.0.1.5"))),
    )
)


def inside(address: str) -> InsideFacts:
    return InsideFacts((Link("eth0", MACS[address], 1450, True, (f"{address}/24",)),), (), (("0.0.0.0", 80),))


def looked(name: str) -> HostFacts:
    remote = sorted(address for address, home in HOME.items() if home != name)
    held = {"docker1": ("lb-web", "10.0.1.2"), "docker2": ("web1", "10.0.1.4"), "docker3": ("web2", "10.0.1.5")}[name]
    return HostFacts(
        ahead_s=0.01,
        doubt_s=0.1,
        links=(Link("eth0", f"02:00:00:00:00:0{name[-1]}", 1500, True, (f"{address_of(name)}/24",)),),
        conntrack=(50, 262_144),
        containers={held[0]: inside(held[1])},
        overlays={
            "net1": OverlayFacts(
                tuple((address, MACS[address]) for address in remote),
                tuple((MACS[address], address_of(HOME[address])) for address in remote),
            )
        },
    )


def meeting(name: str) -> Meeting:
    others = [other for other in NAMES if other != name]
    return Meeting(
        heard=frozenset((other, kind) for other in others for kind in ("gossip", "vxlan", "full")),  # type: ignore[misc]
        gossip=dict.fromkeys(others, "open"),
        arp=frozenset((address_of(other), f"02:00:00:00:00:0{other[-1]}") for other in others),
    )


FACTS = Facts(
    hosts={name: looked(name) for name in NAMES},
    meetings={name: meeting(name) for name in NAMES},
    asked={
        ("docker1", "web"): Asked(
            {"web1": ("10.0.1.4",), "web2": ("10.0.1.5",)}, {("10.0.1.4", 80): "open", ("10.0.1.5", 80): "open"}
        )
    },
    events=dict.fromkeys(NAMES, ""),
)


def with_host(state: ObservedHost | Unknown, name: str, observed: Observed = OBSERVED) -> Observed:
    return Observed(tuple((key, state if key == name else old) for key, old in observed.hosts))


def with_servers(*servers: ServerState) -> Observed:
    return with_host(host("docker1", BALANCER, haproxy=replace(HAPROXY, servers=servers)), "docker1")


def with_looked(name: str, **changes: object) -> Facts:
    return replace(FACTS, hosts=FACTS.hosts | {name: replace(looked(name), **changes)})  # type: ignore[arg-type]


def with_lost(*lost: tuple[str, str, str], facts: Facts = FACTS) -> Facts:
    """(sender, receiver, kind) of what does not arrive; kind "tcp" is the gossip port's."""
    meetings: dict[str, Meeting | Unknown] = {}
    for name in NAMES:
        gone = {(sender, kind) for sender, receiver, kind in lost if receiver == name}
        shut = {receiver: "no answer" for sender, receiver, kind in lost if (sender, kind) == (name, "tcp")}
        met = meeting(name)
        meetings[name] = replace(met, heard=met.heard - gone, gossip=met.gossip | shut)
    return replace(facts, meetings=meetings)


def with_asked(**changes: object) -> Facts:
    asked = FACTS.asked["docker1", "web"]
    assert isinstance(asked, Asked)
    return replace(FACTS, asked={("docker1", "web"): replace(asked, **changes)})  # type: ignore[arg-type]


def say(observed: Observed = OBSERVED, facts: Facts = FACTS, desired: Desired = DESIRED) -> tuple[Finding, ...]:
    return diagnose(desired, observed, facts)


def causes(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.cause, finding.where) for finding in findings]
