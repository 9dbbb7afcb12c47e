"""What may be relied on of any plan, over generated files and worlds."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.strategies import desireds
from tests.worlds import foreign_things, with_host, worlds

from dockgate.haproxy.tree import Config
from dockgate.model import actions as a
from dockgate.model.desired import ByName, Desired, Pool, Published, Vip
from dockgate.model.observed import Observed, ObservedHost, Unknown
from dockgate.model.plan import Plan, Step
from dockgate.model.policy import Firewall
from dockgate.model.tls import ClientCertificates, Tls, TlsFile
from dockgate.plan import describe, plan, plan_down, simulate, trees_of

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))
REMOVALS = a.RemoveContainer | a.RemoveNetwork | a.RemoveVolume | a.StopContainer


FIREWALLS = (None, None, Firewall("deny"), Firewall("off"))

CERTIFICATES = [
    TlsFile(f"certificate-{name}.pem", f"{name}{number}", (f"{name}.pem",)) for name in "ab" for number in (1, 2)
]
CLIENTS = st.sampled_from([None, ClientCertificates(TlsFile("authority-1.pem", "1", ("ca.pem",), "authority"))])

TREES: dict[str, Config] = {}
"""The tree of every configuration text planned so far: what a simulated process loads."""


def think(desired: Desired, world: Observed) -> Plan:
    TREES.update(trees_of(desired, world))
    return plan(desired, world)


def carry_out(observed: Observed, steps: tuple[Step, ...]) -> Observed:
    for step in steps:
        observed = simulate(observed, step.action, TREES)
    return observed


@st.composite
def tls_here_and_there(draw: st.DrawFn, desired: Desired) -> Desired:
    """The same file with other TLS: ports that have it or not, certificates that are renewed, come and go."""
    some = st.lists(st.sampled_from(CERTIFICATES), min_size=1, max_size=2, unique_by=lambda file: file.name)
    tls = st.one_of(st.none(), st.builds(lambda files, clients: Tls(tuple(files), clients=clients), some, CLIENTS))
    vips = tuple(
        replace(vip, listens=tuple(replace(listen, tls=draw(tls)) for listen in vip.listens)) for vip in desired.vips
    )
    return replace(desired, vips=vips)


@st.composite
def files_and_worlds(draw: st.DrawFn) -> tuple[Desired, Observed]:
    desired = replace(draw(tls_here_and_there(draw(desireds()))), firewall=draw(st.sampled_from(FIREWALLS)))
    return desired, draw(worlds(desired))


@st.composite
def edits(draw: st.DrawFn, desired: Desired) -> Desired:
    """The same file after a person changed a little of it."""
    pools = tuple(draw(_edited_pool(pool)) for pool in desired.pools)
    vips = tuple(draw(_edited_vip(vip)) for vip in desired.vips)
    if vips and draw(st.integers(0, 4)) == 0:
        vips = vips[1:]
    return draw(tls_here_and_there(replace(desired, pools=pools, vips=vips)))


def _edited_pool(pool: Pool) -> st.SearchStrategy[Pool]:
    weighed = pool
    if isinstance(pool.membership, ByName | Published):
        members = tuple(replace(item, weight=(item.weight + 7) % 257) for item in pool.membership.members)
        weighed = replace(pool, membership=replace(pool.membership, members=members))
    return st.sampled_from([pool, pool, weighed, replace(pool, retry_non_idempotent=not pool.retry_non_idempotent)])


def _edited_vip(vip: Vip) -> st.SearchStrategy[Vip]:
    ports = {listen.port for listen in vip.listens}
    free = 9000 + min(ports) % 1000
    moved = replace(vip, listens=(replace(vip.listens[0], port=free), *vip.listens[1:]))
    elsewhere = replace(vip, address="10.10.10." + vip.address.rpartition(".")[2]) if vip.address else vip
    return st.sampled_from([vip, vip, vip, moved, elsewhere])


@st.composite
def drifts(draw: st.DrawFn, world: Observed) -> Observed:
    """The world after members came back with other ports, and a load balancer was stopped by hand."""
    for host in world.known():
        containers = []
        for item in host.containers:
            if item.labels.get("dockgate.project") is None and item.published and draw(st.booleans()):
                ports = tuple(replace(port, host_port=port.host_port + 1000) for port in item.published)
                item = replace(item, published=ports)
            containers.append(item)
        world = with_host(world, replace(host, containers=tuple(containers)))
    balancers = [(host.name, item.container) for host in world.known() for item in host.loadbalancers if item.running]
    if balancers and draw(st.integers(0, 3)) == 0:
        world = simulate(world, a.StopContainer(*draw(st.sampled_from(balancers))), TREES)
    return world


@st.composite
def changes_of_mind(draw: st.DrawFn) -> tuple[Desired, Desired, Observed]:
    """Two files of one project about the same hosts, and a world as the first one wanted it, perhaps half done."""
    first = replace(draw(desireds()), firewall=draw(st.sampled_from(FIREWALLS)))
    second = draw(st.one_of(edits(first), edits(first), desireds()))
    assume({host.name for host in first.hosts} == {host.name for host in second.hosts})
    world = draw(worlds(first))
    steps = think(first, world).steps
    done = draw(st.one_of(st.just(len(steps)), st.integers(0, len(steps))))
    return first, second, draw(drifts(carry_out(world, steps[:done])))


@RELAXED
@given(files_and_worlds())
def test_carrying_out_a_plan_leaves_nothing_to_do(pair: tuple[Desired, Observed]) -> None:
    desired, world = pair
    after = carry_out(world, think(desired, world).steps)
    assert think(desired, after).steps == ()


@RELAXED
@given(files_and_worlds(), st.data())
def test_stopping_after_any_step_and_planning_again_gets_there(
    pair: tuple[Desired, Observed], data: st.DataObject
) -> None:
    desired, world = pair
    steps = think(desired, world).steps
    halfway = carry_out(world, steps[: data.draw(st.integers(0, len(steps)), label="prefix")])
    after = carry_out(halfway, think(desired, halfway).steps)
    assert think(desired, after).steps == ()


@RELAXED
@given(changes_of_mind(), st.data())
def test_another_file_is_reached_from_any_half_done_world(
    case: tuple[Desired, Desired, Observed], data: st.DataObject
) -> None:
    _, second, world = case
    steps = think(second, world).steps
    halfway = carry_out(world, steps[: data.draw(st.integers(0, len(steps)), label="prefix")])
    after = carry_out(halfway, think(second, halfway).steps)
    assert think(second, after).steps == ()


@st.composite
def orders(draw: st.DrawFn, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """An order in which the executor may carry out a plan whose groups go on side by side."""
    done: list[Step] = []
    for beside, neighbours in groupby(steps, key=lambda step: step.beside):
        waiting: dict[str, list[Step]] = {}
        for step in neighbours:
            waiting.setdefault(step.group, []).append(step)
        while waiting:
            ready = [
                group
                for group, queue in waiting.items()
                if not any(need in waiting and need != group for need in queue[0].needs)
            ]
            group = draw(st.sampled_from(ready)) if beside else next(iter(waiting))
            done.append(waiting[group].pop(0))
            if not waiting[group]:
                del waiting[group]
    return tuple(done)


@RELAXED
@given(changes_of_mind(), st.data())
def test_groups_side_by_side_get_there_in_any_order_and_from_any_interruption(
    case: tuple[Desired, Desired, Observed], data: st.DataObject
) -> None:
    _, second, world = case
    steps = data.draw(orders(think(second, world).steps), label="order")
    halfway = carry_out(world, steps[: data.draw(st.integers(0, len(steps)), label="prefix")])
    after = carry_out(halfway, data.draw(orders(think(second, halfway).steps), label="again"))
    assert think(second, after).steps == ()


@RELAXED
@given(changes_of_mind())
def test_foreign_objects_are_never_touched(case: tuple[Desired, Desired, Observed]) -> None:
    _, second, world = case
    after = carry_out(world, think(second, world).steps)
    assert foreign_things(after) == foreign_things(world)


@RELAXED
@given(changes_of_mind(), st.data())
def test_nothing_is_done_to_a_host_that_could_not_be_read(
    case: tuple[Desired, Desired, Observed], data: st.DataObject
) -> None:
    _, second, world = case
    name = data.draw(st.sampled_from([host for host, _ in world.hosts]), label="unknown")
    blind = with_host(world, Unknown("connection refused"), name)
    result = think(second, blind)
    assert not [step for step in result.steps if step.action.host == name]
    swarm_wide = {network.id for host in world.known() for network in host.networks if network.scope == "swarm"}
    removed = {step.action.id for step in result.steps if isinstance(step.action, a.RemoveNetwork)}
    assert not removed & swarm_wide


@RELAXED
@given(changes_of_mind())
def test_a_load_balancer_is_not_stopped_while_its_successor_is_blocked(
    case: tuple[Desired, Desired, Observed],
) -> None:
    _, second, world = case
    result = think(second, world)
    stuck = {item.what.split()[1] for item in result.blocked if item.what.startswith("VIP ")}
    for step in result.steps:
        if isinstance(step.action, a.StopContainer | a.RemoveContainer):
            host = world.host(step.action.host)
            assert isinstance(host, ObservedHost)
            container = host.container(step.action.container)
            assert container is None or container.labels.get("dockgate.name") not in stuck


@RELAXED
@given(changes_of_mind())
def test_down_leaves_nothing_of_ours_and_all_of_the_others(case: tuple[Desired, Desired, Observed]) -> None:
    first, _, world = case
    after = carry_out(world, plan_down(first.project, world).steps)
    ours = [
        item
        for host in after.known()
        for item in (*host.containers, *host.networks, *host.volumes)
        if item.labels.get("dockgate.project") == first.project
    ]
    assert ours == []
    assert foreign_things(after) == foreign_things(world)


@RELAXED
@given(files_and_worlds())
def test_the_same_input_gives_the_same_plan(pair: tuple[Desired, Observed]) -> None:
    desired, world = pair
    first: Plan = think(desired, world)
    assert describe(first) == describe(think(desired, world))
    assert all(step.cause for step in first.steps)
