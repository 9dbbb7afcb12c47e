"""Replace: members made anew from another image, one after the other, without a request lost. Pure.

For each: a stand-in beside it, in once its check is good; then the old one is drained, stopped and set aside under
another name; the new one is made under the name, and judged by what a small load saw; then the stand-in and the old one
go. Until that judgement everything is undone in reverse, which brings the old one back behind its stand-in.

Two containers are made, because Docker cannot rename one that runs on an overlay, and the name is what finds a member.
Invariant: at no point of the way, forth or back, has the pool fewer servers than it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dockgate.haproxy.build import backend_name
from dockgate.haproxy.pools import tls_options
from dockgate.haproxy.words import name as safe
from dockgate.model.actions import Action, LoadImage, ServerChange, SetServers
from dockgate.model.desired import ByName, ByService, Desired, Pool
from dockgate.model.objects import LABEL_STAND_IN, balancer_of, is_ours
from dockgate.model.observed import Container, Observed, RunningHaproxy
from dockgate.model.plan import Blocked, Plan, Step
from dockgate.model.proof import ProofRequest
from dockgate.model.replacing import (
    AddServer,
    AwaitHealthy,
    AwaitServer,
    CopyContainer,
    DrainServer,
    JudgeLoad,
    RemoveMember,
    RenameMember,
    StartMember,
    StopMember,
)
from dockgate.plan import names
from dockgate.plan.membership import Index, servers_of
from dockgate.plan.published import host_address
from dockgate.plan.replace_rules import with_rules
from dockgate.plan.support import origin_of
from dockgate.plan.target import proof_requests

BEFORE, NEXT = ".before", ".next"


@dataclass(frozen=True)
class Order:
    """What a person asked for. ``host``: where a name is meant that several hosts have; "" for any."""

    name: str
    image: str
    host: str = ""
    max_unavailable: int = 1
    healthy_s: int = 60
    drain_s: int = 30
    grace_s: int = 10


@dataclass(frozen=True)
class _Place:
    """A load balancer that has the member, in which pool, and which of its servers the member is, with its weight."""

    host: str
    balancer: str
    pool: Pool
    network: str
    server: str
    weight: int
    by_name: bool


@dataclass(frozen=True)
class _Target:
    host: str
    container: Container
    places: tuple[_Place, ...]


def plan_replace(desired: Desired, observed: Observed, order: Order) -> Plan:
    """The steps, in one group for each member; or what stands in the way."""
    targets = _targets(desired, observed, order)
    blocked = [*_blocked(desired, observed, order, targets)]
    if blocked:
        return Plan(blocked=tuple(blocked))
    steps: list[Step] = []
    needs: tuple[str, ...] = ()
    for start in range(0, len(targets), order.max_unavailable):
        wave = targets[start : start + order.max_unavailable]
        images = [step for target in wave for step in _image(observed, order, target)]
        steps += [step for step in images if step.action not in {each.action for each in steps}]
        for target in wave:
            steps += [replace(step, beside=True) for step in _member(observed, order, target, needs)]
        needs = tuple(f"clean up after {_group(target)}" for target in wave)
    return Plan(steps=with_rules(desired, observed, steps))


def requests_of(desired: Desired, observed: Observed, order: Order) -> tuple[ProofRequest, ...]:
    """What the small load asks: every VIP that leads to a pool of theirs."""
    pools = {place.pool.name for target in _targets(desired, observed, order) for place in target.places}
    asked: list[ProofRequest] = []
    for vip in desired.vips:
        for host in observed.known():
            address = vip.address or host_address(desired, host) or desired.host(host.name).address
            if host.name in vip.hosts and address:
                asked += [each for each in proof_requests(desired, vip, address) if each.pool in pools]
    return tuple(dict.fromkeys(asked))


def _targets(desired: Desired, observed: Observed, order: Order) -> list[_Target]:
    pool = next((each for each in desired.pools if each.name == order.name), None)
    found: list[_Target] = []
    index = Index(desired)
    for host in observed.known():
        for container in host.containers:
            if container.state != "running" or container.labels.get(LABEL_STAND_IN):
                continue
            refs = {ref.pool for ref in index.servers_of(container)}
            wanted = backend_name(pool.name) in refs if pool else container.name == order.name
            if wanted and order.host in ("", host.name):
                found.append(_Target(host.name, container, tuple(_places(desired, observed, container))))
    return sorted(found, key=lambda each: (each.container.name, each.host))


def _places(desired: Desired, observed: Observed, container: Container) -> Iterator[_Place]:
    for ref in servers_of(desired, container):
        pool = next(each for each in desired.pools if backend_name(each.name) == ref.pool)
        for vip in desired.vips:
            for host in observed.known():
                balancer = balancer_of(host.containers, desired.project, vip.name)
                if pool.name not in vip.pools() or balancer is None or pool.network is None:
                    continue
                found = host.loadbalancer(balancer.name)
                running = found.running if found else None
                if isinstance(running, RunningHaproxy):
                    by_name = isinstance(pool.membership, ByName)
                    server = next((each for each in running.servers if ref.fits(each)), None)
                    if server:
                        what = (pool, pool.network, server.name, server.weight, by_name)
                        yield _Place(host.name, balancer.name, *what)


def _blocked(desired: Desired, observed: Observed, order: Order, targets: Sequence[_Target]) -> Iterator[Blocked]:
    what = f"replacing {order.name}"
    if observed.unknown():
        unread = ", ".join(name for name, _ in observed.unknown())
        yield Blocked(what, f"{unread} could not be read", "make its engine reachable")
        return
    if not targets:
        hint = "`docker ps` on its host; `dockgate status` shows members and pools"
        yield Blocked(what, "no running container and no pool with one has that name", hint)
    hosts_of: dict[str, list[str]] = {}
    for target in targets:
        hosts_of.setdefault(target.container.name, []).append(target.host)
        problem = _problem(desired, target)
        if problem:
            yield Blocked(f"replacing {target.container.name} on {target.host}", *problem)
    for name, hosts in hosts_of.items():
        if len(hosts) > 1 and name == order.name:
            yield Blocked(what, f"containers of that name run on {' and '.join(hosts)}", "say which with --host")


def _problem(desired: Desired, target: _Target) -> tuple[str, str] | None:
    if is_ours(target.container.labels, desired.project):
        return "it is dockgate's own", "change the file and `dockgate up`"
    pools = [each for each in desired.pools if backend_name(each.name) in _pools(desired, target.container)]
    if any(not isinstance(each.membership, ByName | ByService) for each in pools):
        return (
            "it is a member by its published port, which two containers cannot share",
            "stop and start it under `dockgate run`, which follows the port",
        )
    if not target.places:
        return "no load balancer that runs has it as a member", "`dockgate up` first; `dockgate status` shows members"
    return None


def _pools(desired: Desired, container: Container) -> set[str]:
    return {ref.pool for ref in servers_of(desired, container)}


def _image(observed: Observed, order: Order, target: _Target) -> Iterator[Step]:
    host = observed.host(target.host)
    if order.image not in getattr(host, "images", ()):
        action = LoadImage(target.host, order.image, origin_of(order.image, observed))
        yield Step(action, "it is not there", names.image_group(order.image, target.host))


def _group(target: _Target) -> str:
    return f"{target.container.name} on {target.host}"


def _member(observed: Observed, order: Order, target: _Target, needs: tuple[str, ...]) -> list[Step]:
    group, host, name = _group(target), target.host, target.container.name
    stand_in, before = f"{name}{NEXT}", f"{name}{BEFORE}"
    by_service = any(not place.by_name for place in target.places)
    steps: list[Step] = []

    def do(action: Action, cause: str, *undo: Action) -> None:
        steps.append(Step(action, cause, group, undo=undo, undo_if_failed=bool(undo)))

    copy = CopyContainer(host, name, stand_in, order.image, stand_in=True, aliases=by_service)
    do(copy, "the new one is tried beside the old one first", RemoveMember(host, stand_in))
    do(StartMember(host, stand_in), "it was just created")
    do(AwaitHealthy(host, stand_in, order.healthy_s), "nothing is touched before the new one works")
    for place in target.places:
        if place.by_name:
            server = safe(stand_in)
            add = AddServer(
                place.host,
                place.balancer,
                backend_name(place.pool.name),
                server,
                host,
                stand_in,
                place.network,
                place.pool.port,
                place.weight,
                place.pool.check is not None,
                tls_options(place.pool),
            )
            do(add, "it takes the old one's part", _drop(place, server, order))
    for place in target.places:
        do(_in(place, host, stand_in, order), "only a good check lets it in")
    for place in target.places:
        drain = DrainServer(
            place.host,
            place.balancer,
            backend_name(place.pool.name),
            place.server,
            order.drain_s,
            sticky=place.pool.sticky is not None,
        )
        back = (_ready(place), _in(place, host, name, order))
        do(drain, "it is to finish what it has", *back)
    do(StopMember(host, name, order.grace_s), "it has nothing left to do", StartMember(host, name))
    for place in target.places:
        if place.pool.check is not None:
            do(_forget(place), "its checks are not its successor's")
    do(
        RenameMember(host, name, before),
        "its name is needed; it is kept until the end",
        RenameMember(host, before, name),
    )
    do(CopyContainer(host, before, name, order.image), "the name is free", RemoveMember(host, name))
    do(StartMember(host, name), "it was just created")
    do(AwaitHealthy(host, name, order.healthy_s), "as its stand-in was")
    for place in target.places:
        do(_in(place, host, name, order), "only a good check lets it in")
    for place in target.places:
        do(_ready(place), "it may have traffic")
    do(JudgeLoad(host), "what clients get is what counts")
    steps += _clean_up(target, order, group)
    steps[0] = replace(steps[0], needs=(*needs, *_image_group(observed, order, host)))
    return steps


def _clean_up(target: _Target, order: Order, group: str) -> Iterator[Step]:
    """A group of its own: what fails here must not undo what was judged."""
    host, name = target.host, target.container.name
    cause, after = "its successor was judged", f"clean up after {group}"
    for place in target.places:
        if place.by_name:
            yield Step(_drop(place, safe(f"{name}{NEXT}"), order), cause, after, needs=(group,))
    for gone in (f"{name}{NEXT}", f"{name}{BEFORE}"):
        yield Step(RemoveMember(host, gone), cause, after, needs=(group,))


def _image_group(observed: Observed, order: Order, host: str) -> tuple[str, ...]:
    return tuple(
        names.image_group(order.image, host)
        for each in observed.known()
        if each.name == host and order.image not in each.images
    )


def _in(place: _Place, host: str, member: str, order: Order) -> AwaitServer:
    pool = backend_name(place.pool.name)
    return AwaitServer(place.host, place.balancer, pool, host, member, place.network, order.healthy_s)


def _drop(place: _Place, server: str, order: Order) -> DrainServer:
    return DrainServer(place.host, place.balancer, backend_name(place.pool.name), server, order.drain_s, drop=True)


def _forget(place: _Place) -> SetServers:
    change = ServerChange(backend_name(place.pool.name), place.server, state="drain", afresh=True)
    return SetServers(place.host, place.balancer, (change,))


def _ready(place: _Place) -> SetServers:
    change = ServerChange(backend_name(place.pool.name), place.server, state="ready")
    return SetServers(place.host, place.balancer, (change,))
