"""Worlds with something to see: the running example both ways, as engines and HAProxy tell them, and a large system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dockgate.edges.files import load_file
from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Network, Pool, Vip
from dockgate.model.objects import labels_for
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    RunningHaproxy,
    ServerState,
    Unknown,
)

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> Desired:
    return load_file(EXAMPLES / name / "dockgate.yaml").desired


def bridge(host: str) -> ObservedNetwork:
    name = f"bridge-{host}"
    return ObservedNetwork(
        name, "bridge", "bridge", "local", False, False, gateway="172.17.0.1", subnet="172.17.0.0/16"
    )


def overlay(name: str, subnet: str = "10.0.1.0/24", *, internal: bool = True) -> ObservedNetwork:
    return ObservedNetwork(f"id-{name}", name, "overlay", "swarm", internal, True, subnet=subnet)


def host(
    name: str,
    *containers: Container,
    networks: tuple[ObservedNetwork, ...] = (),
    balancers: tuple[LoadBalancer, ...] = (),
) -> ObservedHost:
    return ObservedHost(
        name=name,
        engine_version="26.1.5",
        swarm="manager" if name == "docker1" else "worker",
        node_address="",
        containers=tuple(sorted(containers, key=lambda item: item.name)),
        networks=(bridge(name), *networks),
        loadbalancers=balancers,
    )


def web(name: str, *places: tuple[str, str], state: str = "running", **more: object) -> Container:
    attachments = tuple(Attachment(network, address) for network, address in places)
    return Container(f"id-{name}", name, "dockgate/web:1", state, attachments=attachments, **more)  # type: ignore[arg-type]


def balancer(
    project: str, vip: str, *places: tuple[str, str], ports: tuple[PublishedPort, ...], state: str = "running"
) -> Container:
    name = f"dockgate-{project}-{vip}-0a1b2c3d"
    made = web(name, *places, state=state, published=ports if state == "running" else ())
    return replace(made, labels=labels_for(project, "lb", vip, "0a1b2c3d"), image="dockgate/haproxy:3.2-1")


def node(project: str) -> Container:
    made = web(f"dockgate-{project}-node-99999999", ("host", ""))
    return replace(made, labels=labels_for(project, "node", "node", "99999999"))


def haproxy(container: Container, *servers: ServerState) -> LoadBalancer:
    return LoadBalancer(container.name, "", RunningHaproxy("3.2.4", "", 7, 60, servers))


def server(pool: str, name: str, address: str, port: int = 80, status: str = "UP", **more: object) -> ServerState:
    check = (
        {"check": "L7OK", "check_code": 200}
        if status == "UP"
        else {"check": "L4CON", "check_text": "Connection refused"}
    )
    return ServerState(pool, name, address, port, status, 100, **(check | more))  # type: ignore[arg-type]


def overlay_world(*, down: bool = False, blind: bool = False) -> tuple[Desired, Observed]:
    """examples/01-overlay after ``up``. ``down``: web2 is stopped. ``blind``: docker3 cannot be read."""
    desired = example("01-overlay")
    network = overlay("presentation_backend")
    lb = balancer(
        "example",
        "web",
        ("bridge", "172.17.0.2"),
        ("presentation_backend", "10.0.1.2"),
        ports=(PublishedPort(80, 80),),
    )
    second = server("pres_containers", "web2", "10.0.1.6", status="DOWN" if down else "UP")
    running = haproxy(lb, server("pres_containers", "web1", "10.0.1.4"), second)
    web2 = web("web2", ("presentation_backend", "" if down else "10.0.1.6"), state="exited" if down else "running")
    third = host("docker3", web2, node("example"), networks=(network,))
    hosts: tuple[tuple[str, ObservedHost | Unknown], ...] = (
        ("docker1", host("docker1", lb, node("example"), networks=(network,), balancers=(running,))),
        (
            "docker2",
            host("docker2", web("web1", ("presentation_backend", "10.0.1.4")), node("example"), networks=(network,)),
        ),
        ("docker3", Unknown("docker3 did not answer within 20 s") if blind else third),
    )
    return desired, Observed(hosts)


def published_world(*, down: bool = False) -> tuple[Desired, Observed]:
    """examples/02-published after ``up``, with the ports and addresses of the running example."""
    desired = example("02-published")
    lb = balancer("published", "old", ("bridge", "172.17.0.2"), ports=(PublishedPort(8080, 8080),))
    second = server("old_web", "pub2", "192.168.50.13", 32771, "DOWN" if down else "UP")
    running = haproxy(lb, server("old_web", "pub1", "192.168.50.12", 23770), second)
    pub1 = web("pub1", ("bridge", "172.17.0.3"), published=(PublishedPort(80, 23770),))
    pub2 = web(
        "pub2",
        ("bridge", "" if down else "172.17.0.3"),
        state="exited" if down else "running",
        published=() if down else (PublishedPort(80, 32771),),
    )
    return desired, Observed(
        (
            ("docker1", host("docker1", lb, node("published"), balancers=(running,))),
            ("docker2", host("docker2", pub1, node("published"))),
            ("docker3", host("docker3", pub2, node("published"))),
        )
    )


def large_world(hosts: int = 10, vips: int = 20, members: int = 200) -> tuple[Desired, Observed]:
    """Five overlays, a pool for each VIP, every tenth member down; the last host cannot be read."""
    names = tuple(f"docker{number:02}" for number in range(1, hosts + 1))
    nets = tuple(f"backend{number}" for number in range(1, 6))
    per_pool = members // vips
    pools = tuple(
        Pool(
            f"pool{p:02}",
            ByName(tuple(Member(f"app{p:02}-{m:02}") for m in range(per_pool))),
            8080,
            nets[p % len(nets)],
        )
        for p in range(vips)
    )
    wanted = tuple(
        Vip(f"vip{p:02}", (names[p % hosts],), (Listen(8000 + p, "http", f"pool{p:02}"),)) for p in range(vips)
    )
    desired = Desired(
        "large",
        tuple(Host(name, f"ssh://ops@{name}", f"192.168.50.{index + 11}") for index, name in enumerate(names)),
        tuple(Network(name, "overlay", internal=True) for name in nets),
        pools,
        wanted,
    )
    states: list[tuple[str, ObservedHost | Unknown]] = []
    for index, name in enumerate(names):
        containers = [
            web(
                f"app{p:02}-{m:02}",
                (nets[p % len(nets)], f"10.{p % len(nets)}.{p}.{m + 10}"),
                state="exited" if (p * per_pool + m) % 10 == 3 else "running",
            )
            for p in range(vips)
            for m in range(per_pool)
            if (p + m) % hosts == index
        ]
        held = []
        for p in range(vips):
            if p % hosts != index:
                continue
            net = nets[p % len(nets)]
            lb = balancer(
                "large",
                f"vip{p:02}",
                ("bridge", f"172.17.0.{p + 2}"),
                (net, f"10.{p % len(nets)}.{p}.2"),
                ports=(PublishedPort(8000 + p, 8000 + p),),
            )
            servers = [
                server(
                    f"pool{p:02}",
                    f"app{p:02}-{m:02}",
                    f"10.{p % len(nets)}.{p}.{m + 10}",
                    8080,
                    "DOWN" if (p * per_pool + m) % 10 == 3 else "UP",
                )
                for m in range(per_pool)
            ]
            containers.append(lb)
            held.append(haproxy(lb, *servers))
        networks = tuple(overlay(net, f"10.{n}.0.0/16") for n, net in enumerate(nets))
        state = host(name, *containers, networks=networks, balancers=tuple(held))
        states.append((name, Unknown("connection refused") if index == hosts - 1 else state))
    return desired, Observed(tuple(states))


FOREIGN = Labels.of({"com.example.owner": "somebody else"})
