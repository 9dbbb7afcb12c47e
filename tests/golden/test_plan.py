"""Plans as text, against files that a person has read. DOCKGATE_WRITE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds import bare_host, bare_world, member, with_container, with_host

from dockgate.model.desired import (
    ByName,
    Check,
    Desired,
    Host,
    Listen,
    Member,
    Network,
    Pool,
    Published,
    Vip,
)
from dockgate.model.observed import Observed, PublishedPort, Unknown
from dockgate.model.policy import Firewall, HostZone, NetworkZone, Rule
from dockgate.model.tls import Tls, TlsFile
from dockgate.plan import describe, plan, plan_down, simulate, trees_of

GOLDEN = Path(__file__).parent / "plan"

HOSTS = tuple(
    Host(f"docker{n}", f"unix:///run/dockgate-lab/docker{n}/docker.sock", f"192.168.50.{10 + n}") for n in (1, 2, 3)
)
POOL = Pool(
    "pres_containers",
    ByName((Member("web1"), Member("web2"))),
    80,
    "presentation_backend",
    check=Check(path="/index.html", expect="200"),
)
RUNNING = Desired(
    "example",
    HOSTS,
    (Network("presentation_backend", "overlay", internal=True),),
    (POOL,),
    (Vip("web", ("docker1",), (Listen(80, "http", "pres_containers"),)),),
)
WORLD = bare_world(RUNNING)


def reached(desired: Desired, world: Observed = WORLD) -> Observed:
    """The world after ``up``."""
    trees = trees_of(desired, world)
    for step in plan(desired, world).steps:
        world = simulate(world, step.action, trees)
    return world


def with_vip(desired: Desired, **changes: object) -> Desired:
    return replace(desired, vips=(replace(desired.vips[0], **changes),))  # type: ignore[arg-type]


def with_pool(desired: Desired, **changes: object) -> Desired:
    return replace(desired, pools=(replace(desired.pools[0], **changes),))  # type: ignore[arg-type]


WEIGHED = ByName((Member("web1", 50), Member("web2")))
OLD_WAY = Desired(
    "old",
    HOSTS,
    (),
    (Pool("old_web", Published((Member("pub1"), Member("pub2"))), 80),),
    (Vip("old", ("docker1",), (Listen(8080, "http", "old_web"),)),),
)
WALLED = replace(RUNNING, firewall=Firewall("deny"))
OPENED = Firewall("deny", rules=(Rule("host pings", HostZone(), NetworkZone("bridge"), protocol="icmp"),))
PUB1 = member("pub1", published=(PublishedPort(80, 32769),))
MOVED = member("pub1", published=(PublishedPort(80, 40000),))

SHOP = TlsFile("certificate-shop-1c0ffee5.pem", "d1", ("certificates/shop.crt", "certificates/shop.key"))
SHOP_NEXT = replace(SHOP, digest="d2")
BLOG = TlsFile("certificate-blog-2c0ffee5.pem", "d3", ("certificates/blog.pem",))


def with_certificates(*certificates: TlsFile) -> Desired:
    """The running example, over HTTPS."""
    return with_vip(RUNNING, listens=(Listen(443, pool=POOL.name, tls=Tls(certificates)),))


CASES = {
    "first-up": (RUNNING, WORLD),
    "firewall": (WALLED, WORLD),
    "firewall-changes": (replace(WALLED, firewall=OPENED), reached(WALLED)),
    "firewall-leaves": (RUNNING, reached(WALLED)),
    "images-missing": (RUNNING, bare_world(RUNNING, with_images=False)),
    "nothing-to-do": (RUNNING, reached(RUNNING)),
    "weight-over-the-runtime-socket": (with_pool(RUNNING, membership=WEIGHED), reached(RUNNING)),
    "check-needs-a-reload": (with_pool(RUNNING, check=Check(path="/healthy")), reached(RUNNING)),
    "port-moves-make-before-break": (
        with_vip(RUNNING, listens=(Listen(81, "http", "pres_containers"),)),
        reached(RUNNING),
    ),
    "port-added-cannot-be-seamless": (
        with_vip(RUNNING, listens=(Listen(80, "http", "pres_containers"), Listen(81, "http", "pres_containers"))),
        reached(RUNNING),
    ),
    "vip-moves-to-another-host": (with_vip(RUNNING, hosts=("docker3",)), reached(RUNNING)),
    "own-address": (with_vip(RUNNING, address="10.10.10.150"), WORLD),
    "own-address-moves": (
        with_vip(RUNNING, address="10.10.10.150", hosts=("docker2",)),
        reached(with_vip(RUNNING, address="10.10.10.150")),
    ),
    "vip-leaves-the-file": (replace(RUNNING, vips=(), pools=(), networks=()), reached(RUNNING)),
    "certificate-renewed": (with_certificates(SHOP_NEXT), reached(with_certificates(SHOP))),
    "certificate-added-and-removed": (with_certificates(BLOG), reached(with_certificates(SHOP))),
    "host-unknown": (RUNNING, with_host(WORLD, Unknown("connection refused"), "docker1")),
    "no-swarm": (RUNNING, with_host(WORLD, bare_host("docker1", swarm="none"))),
    "port-taken-by-a-stranger": (
        RUNNING,
        with_container(WORLD, "docker1", member("nginx", published=(PublishedPort(80, 80),))),
    ),
    "published-member-moves": (
        OLD_WAY,
        with_host(
            reached(OLD_WAY, with_container(bare_world(OLD_WAY), "docker2", PUB1)),
            replace(
                reached(OLD_WAY, with_container(bare_world(OLD_WAY), "docker2", PUB1)).known()[1],
                containers=(*bare_world(OLD_WAY).known()[1].containers, MOVED),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_plan_reads_as_in_its_golden_file(name: str) -> None:
    desired, world = CASES[name]
    compare(name, describe(plan(desired, world)))


def test_down_reads_as_in_its_golden_file() -> None:
    compare("down", describe(plan_down("example", reached(with_vip(RUNNING, address="10.10.10.150")))))


def compare(name: str, text: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("DOCKGATE_WRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
