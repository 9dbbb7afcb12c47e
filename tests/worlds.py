"""Observed worlds for tests: engines as they are before dockgate came, with other people's things on them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from dockgate.model.desired import ByName, Desired, Published
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    Unknown,
    Volume,
)

FOREIGN_LABELS = Labels.of({"com.example.owner": "somebody else"})


def bridge(host: str) -> ObservedNetwork:
    """The bridge that every engine has."""
    return ObservedNetwork(f"bridge-{host}", "bridge", "bridge", "local", internal=False, attachable=False)


def bare_host(name: str, *, swarm: str = "worker", images: frozenset[str] = frozenset()) -> ObservedHost:
    """An engine with nothing on it."""
    return ObservedHost(
        name=name,
        engine_version="26.1.5",
        swarm=swarm,  # type: ignore[arg-type]
        node_address=f"192.168.50.{sum(map(ord, name)) % 200 + 10}",
        networks=(bridge(name),),
        images=images,
    )


def bare_world(desired: Desired, *, with_images: bool = True) -> Observed:
    """Every host of the file, empty; the first one is the Swarm's manager."""
    images = frozenset({desired.images.haproxy, desired.images.node}) if with_images else frozenset()
    hosts = tuple(
        (host.name, bare_host(host.name, swarm="worker" if index else "manager", images=images))
        for index, host in enumerate(desired.hosts)
    )
    return Observed(hosts, archives=frozenset())


def with_host(observed: Observed, host: ObservedHost | Unknown, name: str = "") -> Observed:
    """The world with one host replaced."""
    name = host.name if isinstance(host, ObservedHost) else name
    return replace(observed, hosts=tuple((key, host if key == name else state) for key, state in observed.hosts))


def with_container(observed: Observed, host_name: str, container: Container) -> Observed:
    """The world with one more container."""
    host = observed.host(host_name)
    assert isinstance(host, ObservedHost)
    containers = tuple(sorted((*host.containers, container), key=lambda item: item.name))
    return with_host(observed, replace(host, containers=containers))


def member(name: str, *, published: tuple[PublishedPort, ...] = (), state: str = "running") -> Container:
    """A web container of somebody's."""
    return Container(
        id=f"id-{name}",
        name=name,
        image="web",
        state=state,  # type: ignore[arg-type]
        labels=FOREIGN_LABELS,
        attachments=(Attachment("bridge", "172.17.0.9"),),
        published=published if state == "running" else (),
    )


def foreign_things(observed: Observed) -> list[object]:
    """Everything in the world that does not carry a mark of ours, without what others do to it."""
    things: list[object] = []
    for host in observed.known():
        things += [(host.name, item) for item in host.containers if item.labels.get("dockgate.project") is None]
        things += [
            (host.name, replace(item, containers=()))
            for item in host.networks
            if item.labels.get("dockgate.project") is None
        ]
        things += [(host.name, item) for item in host.volumes if item.labels.get("dockgate.project") is None]
    return things


@st.composite
def worlds(draw: st.DrawFn, desired: Desired) -> Observed:
    """Worlds before dockgate came: images or not, members here and there, foreign networks and volumes."""
    world = bare_world(desired, with_images=draw(st.booleans()))
    names = [host.name for host in desired.hosts]
    members = {
        item.name
        for pool in desired.pools
        if isinstance(pool.membership, ByName | Published)
        for item in pool.membership.members
    }
    for index, name in enumerate(sorted(members)):
        if not draw(st.booleans()):
            continue
        pool_ports = sorted({pool.port for pool in desired.pools if pool.port})
        ports = tuple(PublishedPort(port, 30_000 + index * 20 + nth) for nth, port in enumerate(pool_ports[:3]))
        container = member(name, published=ports, state=draw(st.sampled_from(["running", "exited"])))
        world = with_container(world, draw(st.sampled_from(names)), container)
    if draw(st.booleans()):
        host = world.known()[0]
        foreign = ObservedNetwork("f1", "zz-foreign", "bridge", "local", False, False, FOREIGN_LABELS)
        volume = Volume("zz-foreign", FOREIGN_LABELS)
        world = with_host(world, replace(host, networks=(*host.networks, foreign), volumes=(volume,)))
    return world
