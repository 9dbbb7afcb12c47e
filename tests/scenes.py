"""A scene for proofs: three hosts, a VIP over an overlay, containers on bridges of both families, published ports."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.spec.reading import read

from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
)
from dockgate.verify import Scene, Survey, make_scene
from dockgate.verify.scene import Link, Listener

FILE = """\
hosts:
  docker1: {engine: "unix:///run/1.sock", address: 192.168.50.11}
  docker2: {engine: "unix:///run/2.sock", address: 192.168.50.12}
  docker3: {engine: "unix:///run/3.sock", address: 192.168.50.13}
networks: {back: {driver: overlay, internal: true}}
vips:
  web:
    hosts: [docker1]
    listen: [{port: 80}]
    pool: site
    stats: {path: /lbstats, user: user, password: {file: secrets/lbstats}}
pools: {site: {network: back, port: 80, members: [web1, web2]}}
firewall:
  default: deny
  zones: {office: [192.168.50.100/32]}
  allow:
    - {name: host pings containers, from: host, to: bridge, protocol: icmp}
    - {name: app to db, from: "container:app", to: "container:db", protocol: tcp, port: [5432, "6000-6010"]}
    - {name: office to app, from: office, to: "container:app", protocol: tcp, port: 8000}
    - {name: containers call out, from: bridge, to: world, protocol: tcp, port: 9000}
  reject:
    - {name: db stays off the host, from: "container:db", to: host, protocol: tcp, port: 53}
"""
BALANCER = Labels.of({"dockgate.project": "shop", "dockgate.kind": "lb", "dockgate.name": "web"})


def container(
    name: str,
    *places: tuple[str, str, str],
    pid: int,
    labels: Labels | None = None,
    published: tuple[PublishedPort, ...] = (),
) -> Container:
    attachments = tuple(Attachment(network, v4, (), v6) for network, v4, v6 in places)
    return Container(
        f"id-{name}", name, "image", "running", labels or Labels(), attachments, published=published, pid=pid
    )  # fmt: skip


def network(name: str, driver: str = "bridge", *, internal: bool = False, ident: str = "") -> ObservedNetwork:
    swarm = driver == "overlay"
    return ObservedNetwork(
        ident or f"{name}0123456789", name, driver, "swarm" if swarm else "local", internal, swarm,
        subnet="10.0.1.0/24" if swarm else "172.17.0.0/16", subnet6="" if swarm else "fd00:17::/64",
    )  # fmt: skip


def make_observed() -> Observed:
    back = replace(network("back", "overlay", internal=True), containers=("lb", "web1", "web2"))
    lb = container("lb", ("back", "10.0.1.2", ""), ("bridge", "172.17.0.2", ""), pid=11, labels=BALANCER,
                   published=(PublishedPort(80, 80),))  # fmt: skip
    app = container("app", ("bridge", "172.17.0.2", "fd00:17::2"), pid=21, published=(PublishedPort(8000, 8080),))
    private = (PublishedPort(5432, 5432, "127.0.0.1"),)
    db = container("db", ("bridge", "172.17.0.3", "fd00:17::3"), pid=22, published=private)
    web1, web2 = (container(f"web{n}", ("back", f"10.0.1.{n + 3}", ""), pid=n + 22) for n in (1, 2))
    hosts = {"docker1": (lb,), "docker2": (app, db, web1), "docker3": (web2,)}
    made = [
        (
            name,
            ObservedHost(
                name, "26.1.5", "manager" if name == "docker1" else "worker", f"192.168.50.1{number}", held,
                (back, network("bridge")), bridge_filter=True, lan=("192.168.50.0/24",),
            ),
        )
        for number, (name, held) in enumerate(hosts.items(), 1)
    ]  # fmt: skip
    return Observed(tuple(made))


def make_surveys(observed: Observed) -> dict[str, Survey]:
    found = {}
    for number, host in enumerate(observed.known(), 1):
        published = tuple(Listener("tcp", p.host_address, p.host_port) for c in host.containers for p in c.published)
        found[host.name] = Survey(
            links=(
                Link("eth0", f"02:00:00:00:00:0{number}", (f"192.168.50.1{number}/24",)),
                Link("docker0", "02:42:00:00:00:01", ("172.17.0.1/16", "fd00:17::1/64")),
            ),
            listening=published,
            containers={c.name: (Listener("tcp", "0.0.0.0", 80),) for c in host.containers},
            vnis={"back0123456789": 4097},
        )
    return found


CLIENT = Survey(links=(Link("eth0", "02:00:00:00:00:64", ("192.168.50.100/24",)),))


def scene(text: str = FILE, *, client: Survey | None = CLIENT, observed: Observed | None = None) -> Scene:
    world = observed or make_observed()
    return make_scene(read(text).desired, world, make_surveys(world), client)
