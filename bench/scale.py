"""The controller's own arithmetic in a world that no machine here can hold: python -m bench.scale

100 hosts, 1,000 VIPs, 20,000 members by name, all of it values: what a plan of that world takes, what one event takes,
and whether 100,000 events leave anything behind. Nothing is asked of an engine; that part is the network's.
"""

from __future__ import annotations

import argparse
import resource
import time
import tracemalloc

from dockgate.controller.members import Members
from dockgate.model.desired import ByName, Desired, Host, Listen, Member, Network, Pool, Vip
from dockgate.model.observed import Attachment, Container, Observed, ObservedHost, ObservedNetwork
from dockgate.plan import plan
from dockgate.plan.membership import Sighting

MOST_PLAN_S, MOST_EVENT_MS, MOST_MB, MOST_GROWTH_KB = 2.0, 10.0, 300.0, 256.0


def desired(hosts: int, vips: int, members: int) -> Desired:
    each = members // vips
    names = tuple(f"host{number:03}" for number in range(hosts))
    return Desired(
        project="scale",
        hosts=tuple(Host(name, f"tcp://{name}:2376", f"10.1.{n // 250}.{n % 250 + 1}") for n, name in enumerate(names)),
        networks=(Network("back", "overlay", internal=True),),
        pools=tuple(
            Pool(f"pool{v:04}", ByName(tuple(Member(f"m{v:04}-{m}") for m in range(each))), 80, network="back")
            for v in range(vips)
        ),
        vips=tuple(
            Vip(f"vip{v:04}", (names[v % hosts],), (Listen(1000 + v // hosts, pool=f"pool{v:04}"),))
            for v in range(vips)
        ),
    )


def observed(wanted: Desired) -> Observed:
    """Every member runs, spread over the hosts; nothing of ours is there yet: the most work that a plan can be."""
    names = [member.name for pool in wanted.pools for member in pool.membership.members]  # type: ignore[union-attr]
    by_host: dict[str, list[Container]] = {host.name: [] for host in wanted.hosts}
    hosts = sorted(by_host)
    for number, name in enumerate(names):
        place = Attachment("back", f"10.{8 + number // 65536}.{number // 256 % 256}.{number % 256}")
        container = Container(f"{number:064x}", name, "web:1", "running", attachments=(place,))
        by_host[hosts[number % len(hosts)]].append(container)
    images = frozenset({wanted.images.haproxy, wanted.images.node})
    network = ObservedNetwork("n" * 64, "back", "overlay", "swarm", internal=True, attachable=True)
    return Observed(
        tuple(
            (
                host,
                ObservedHost(host, "26.1", "manager", "10.1.0.1", tuple(containers), (network,), images=images),
            )
            for host, containers in sorted(by_host.items())
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("hosts", 100), ("vips", 1000), ("members", 20_000), ("events", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    wanted = desired(options.hosts, options.vips, options.members)
    world = observed(wanted)
    began = time.process_time()
    steps = len(plan(wanted, world).steps)
    plan_s = time.process_time() - began
    register = Members(wanted)
    for host in world.known():
        register.replace_host(host.name, host.containers)
    event_ms = _events(register, world, 1000)
    tracemalloc.start()
    _events(register, world, 2 * options.members)  # after that, every member has been through it once
    before = tracemalloc.get_traced_memory()[0]
    _events(register, world, options.events)
    growth_kb = (tracemalloc.get_traced_memory()[0] - before) / 1024
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.hosts} hosts, {options.vips} VIPs, {options.members} members")
    return table(
        (f"plan of all of it, {steps} steps", plan_s, "s", MOST_PLAN_S),
        ("one event, processor time", event_ms, "ms", MOST_EVENT_MS),
        (f"growth over {options.events} events", growth_kb, "kB", MOST_GROWTH_KB),
        ("memory at most", mb, "MB", MOST_MB),
    )


def table(*rows: tuple[str, float, str, float]) -> int:
    """What was measured, its value, unit and limit; the exit status."""
    for what, value, unit, most in rows:
        print(f"  {what:<40} {value:9.2f} {unit:<3} {'ok' if value <= most else f'MORE than {most:g}'}")
    return 0 if all(value <= most for _, value, _, most in rows) else 1


def _events(register: Members, world: Observed, count: int) -> float:
    """Members told to stop, dead and back, one after the other; milliseconds of processor time each."""
    everybody = [(host.name, container) for host in world.known() for container in host.containers]
    began = time.process_time()
    for number in range(count // 2):
        host, container = everybody[number * 7919 % len(everybody)]
        register.tell_to_stop(host, container.id, signal=15, now=1.0)
        register.end(host, container.id)
        register.see(Sighting(host, container))
    return (time.process_time() - began) * 1000 / count


if __name__ == "__main__":
    raise SystemExit(main())
