"""The running example for traces, both ways, as observed values; and what would be seen of one request there."""

from __future__ import annotations

from dataclasses import replace

from tests.scenes import BALANCER, container, network
from tests.unit.spec.reading import read

from dockgate.model.desired import Desired
from dockgate.model.observed import (
    LoadBalancer,
    Observed,
    ObservedHost,
    PublishedPort,
    RunningHaproxy,
    ServerState,
)
from dockgate.trace import Evidence, Prediction, Request, predict
from dockgate.trace.evidence import Answer, LogLine, Sighting, Verdict
from dockgate.trace.model import Ends, Hop

PORT, ISN = 28305, {1: 1000, 2: 2000, 3: 3000}
CLIENT = "192.168.50.100"
REQUEST = Request("http://docker1.lab.lab/", "docker1.lab.lab", "192.168.50.11", 80)
HEAD = """\
hosts:
  docker1: {engine: "unix:///run/1.sock", address: 192.168.50.11}
  docker2: {engine: "unix:///run/2.sock", address: 192.168.50.12}
  docker3: {engine: "unix:///run/3.sock", address: 192.168.50.13}
"""
OVERLAY_FILE = f"""{HEAD}\
networks: {{back: {{driver: overlay, internal: true}}}}
vips: {{web: {{hosts: [docker1], listen: [{{port: 80}}], pool: site}}}}
pools: {{site: {{network: back, port: 80, members: [web1, web2]}}}}
"""
PUBLISHED_FILE = f"""{HEAD}\
vips: {{web: {{hosts: [docker1], listen: [{{port: 80}}], pool: site}}}}
pools: {{site: {{port: 80, published: [web1, web2]}}}}
"""
ROUTES_FILE = f"""{HEAD}\
networks: {{back: {{driver: overlay, internal: true}}}}
vips:
  web:
    hosts: [docker1]
    listen: [{{port: 80}}]
    routes:
      - {{host: "*.lab.lab", path: /api, pool: api}}
      - {{host: docker1.lab.lab, pool: site}}
pools:
  site: {{network: back, port: 80, members: [web1, web2]}}
  api: {{network: back, port: 80, members: [web1]}}
"""


def desired(text: str) -> Desired:
    return read(text).desired


def server(name: str, address: str, port: int = 80, *, status: str = "UP", pool: str = "site") -> ServerState:
    return ServerState(pool, name, address, port, status, 100, check="L7OK")


def overlay(*, states: tuple[ServerState, ...] | None = None, balancer: str = "running") -> Observed:
    servers = states or (server("web1", "10.0.1.4"), server("web2", "10.0.1.6"))
    lb = container("lb", ("back", "10.0.1.2", ""), ("bridge", "172.17.0.2", ""), pid=11, labels=BALANCER,
                   published=(PublishedPort(80, 80),))  # fmt: skip
    held = (
        (replace(lb, state=balancer),),  # type: ignore[arg-type]
        (container("web1", ("back", "10.0.1.4", ""), pid=23),),
        (container("web2", ("back", "10.0.1.6", ""), pid=24),),
    )
    back = replace(network("back", "overlay", internal=True), id="back01")
    return _observed(held, (back, network("bridge")), servers)


def published() -> Observed:
    lb = container("lb", ("bridge", "172.17.0.2", ""), pid=11, labels=BALANCER, published=(PublishedPort(80, 80),))
    held = (
        (lb,),
        (container("web1", ("bridge", "172.17.0.5", ""), pid=23, published=(PublishedPort(80, 23770),)),),
        (container("web2", ("bridge", "172.17.0.3", ""), pid=24, published=(PublishedPort(80, 32771),)),),
    )
    servers = (server("web1", "192.168.50.12", 23770), server("web2", "192.168.50.13", 32771))
    return _observed(held, (network("bridge"),), servers)


def _observed(held, networks, servers) -> Observed:  # type: ignore[no-untyped-def]
    running = RunningHaproxy("3.2.0", "hash", 1, 60, servers)
    return Observed(
        tuple(
            (
                f"docker{number}",
                ObservedHost(
                    f"docker{number}", "26.1.5", "worker", f"192.168.50.1{number}", containers, networks,
                    loadbalancers=(LoadBalancer("lb", "", running),) if number == 1 else (),
                ),
            )
            for number, containers in enumerate(held, 1)
        )
    )  # fmt: skip


def predicted(*, nat: bool = False, **world: object) -> Prediction:
    if nat:
        return predict(desired(PUBLISHED_FILE), published(), REQUEST)
    return predict(desired(OVERLAY_FILE), overlay(**world), REQUEST)  # type: ignore[arg-type]


def log(name: str = "web1", *, status: int = 200, ending: str = "----", pool: str = "site") -> LogLine:
    return LogLine(CLIENT, "web-80", pool, name, 0, 0, 1, 2, 3, status, ending, 0)


def seen(prediction: Prediction, name: str = "web1", *, until: int = 99) -> Evidence:
    """What is seen when all goes as predicted, on the first ``until`` hops."""
    found = prediction.server(name)
    hops = (*prediction.hops, *(found.hops if found else ()))[:until]
    return Evidence(
        port=PORT,
        answer=Answer("answered", 200, "", CLIENT, 100, 800, 2180),
        sightings=tuple(item for at, hop in enumerate(hops) for item in sighted(hop, at)),
        log=log(name),
        listeners=tuple((hop.place.key, 80, 372, "python3 /srv/web.py") for hop in hops if hop.session == 2),
    )


def full(hop: Hop, ends: Ends) -> Ends:
    if hop.session == 1:
        return replace(ends, source=ends.source or CLIENT, sport=PORT)
    return replace(ends, sport=47500 + hop.session)


def sighted(hop: Hop, at: int) -> tuple[Sighting, ...]:
    """Its first packet on the way in and on the way out, and the answer to it."""
    outer = (*hop.outer, 4097) if hop.outer else None
    there = (full(hop, hop.before), full(hop, hop.after))
    end = there[1]
    answer = Ends(end.address, end.dport, end.source, end.sport)
    begins = hop.place.kind in ("client", "container") or bool(hop.outer)
    faces = [("eth0", hop.place.kind != "client", 1)] if begins else [("eth0", False, 0), ("docker0", True, 1)]
    forth = tuple(
        Sighting(
            hop.place.key, name, out, 200 + at * 100 + which * 60, there[which], ISN[hop.session], 0, 2, outer=outer
        )
        for name, out, which in faces
    )
    came = Ends(there[0].address, there[0].dport, there[0].source, there[0].sport)
    ack = ISN[hop.session] + 1
    back = tuple(Sighting(hop.place.key, "eth0", False, 900, end, 7, ack, 0x12, outer=outer) for end in (answer, came))
    carries = hop.session > 1 and hop.place.kind == "container"
    said = replace(forth[0], token=True, flags=0x18, at=forth[0].at + 20, seq=ISN[hop.session] + 1)
    token = (said,) if carries else ()
    return (*forth, *back, *token)


def verdict(place: tuple[str, str], chain: str, *, table: str = "filter", word: str = "accept", session: int = 1,
            family: str = "ip", handle: int = 28, text: str = "tcp dport 80 accept") -> Verdict:  # fmt: skip
    return Verdict(place, family, table, chain, handle, word, ISN[session], True, text)


def changed(world: Observed, name: str, **fields: object) -> Observed:
    return Observed(
        tuple((each, replace(host, **fields) if each == name else host) for each, host in world.hosts)  # type: ignore[type-var,arg-type]
    )


def host_of(world: Observed, name: str) -> ObservedHost:
    found = world.host(name)
    assert isinstance(found, ObservedHost)
    return found


def with_gateway(*more: object) -> Observed:
    """docker1's bridge has an address, and ``more`` containers."""
    world = overlay()
    first = host_of(world, "docker1")
    networks = tuple(
        replace(net, gateway="172.17.0.1", subnet="172.17.0.0/16") if net.name == "bridge" else net
        for net in first.networks
    )
    return changed(world, "docker1", networks=networks, containers=(*first.containers, *more))


LONER = container("loner", ("bridge", "172.17.0.7", ""), pid=31)
