"""Each load balancer: is it there, does it run, does its HAProxy answer, and who has taken its port."""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.doctor.case import Case, Trouble, balancer_root, host_root
from dockgate.doctor.model import Asked, Finding
from dockgate.model.desired import Vip
from dockgate.model.objects import balancer_of, is_ours
from dockgate.model.observed import Container, ObservedHost, RunningHaproxy, Unknown

ALIVE = frozenset({"running", "paused", "restarting"})
ANY = ("0.0.0.0", "::", "")


def check_balancers(case: Case) -> Iterator[Trouble]:
    for vip in case.desired.vips:
        for host in vip.hosts:
            yield from _balancer(case, vip, host)


def running_of(case: Case, vip: Vip, host: str) -> tuple[Container, RunningHaproxy] | None:
    """The load balancer of a VIP and its HAProxy, when that answers."""
    state = case.host(host)
    container = balancer_of(state.containers, case.desired.project, vip.name) if state else None
    held = state.loadbalancer(container.name) if state and container else None
    if container is None or held is None or not isinstance(held.running, RunningHaproxy):
        return None
    return container, held.running


def _balancer(case: Case, vip: Vip, host: str) -> Iterator[Trouble]:
    where, root = f"VIP {vip.name} on {host}", balancer_root(host, vip.name)
    state = case.host(host)
    if state is None:
        told = Finding("unknown", "balancer-unknown", where, "it could not be looked at", "", "")
        yield Trouble(told, root=root, because=(host_root(host),))
        return
    container = balancer_of(state.containers, case.desired.project, vip.name)
    if container is None or container.state != "running":
        yield Trouble(_away(case, vip, state, container), root=root)
        return
    held = state.loadbalancer(container.name)
    running = held.running if held else None
    if not isinstance(running, RunningHaproxy):
        said = running.reason if isinstance(running, Unknown) else "it was not asked"
        yield Trouble(
            Finding(
                "error", "haproxy-silent", where, "HAProxy does not answer",
                said.removeprefix(f"{host}: "), f"docker logs {container.name}, on {host}",
            ),
            root=root,
        )  # fmt: skip
        return
    asked = case.facts.asked.get((host, vip.name))
    if vip.pools() and not isinstance(asked, Asked):
        said = asked.reason if asked else "nobody asked"
        yield Trouble(
            Finding(
                "unknown", "balancer-not-examined", where, "DNS and members could not be asked from its network",
                said.removeprefix(f"{host}: "), "dockgate up, then run doctor again",
            ),
            because=(host_root(host),),
        )  # fmt: skip


def _away(case: Case, vip: Vip, state: ObservedHost, container: Container | None) -> Finding:
    """Not running: because somebody paused it, because its port is taken, or it is simply not there."""
    where = f"VIP {vip.name} on {state.name}"
    if container is not None and container.state == "paused":
        return Finding(
            "error", "balancer-paused", where, "its load balancer is paused",
            f"container {container.name} is paused", f"docker unpause {container.name}, on {state.name}",
        )  # fmt: skip
    for listen in vip.listens:
        taker = _taker(case, vip, state, listen.port)
        if taker:
            return Finding(
                "error", "port-taken", where, f"port {listen.port} is taken by somebody else",
                taker, "stop that, or give the VIP another port or an address of its own; then dockgate up",
            )  # fmt: skip
    if container is None:
        return Finding(
            "error", "balancer-missing", where, "its load balancer is not there",
            f"no container of VIP {vip.name} on {state.name}", "dockgate up",
        )  # fmt: skip
    return Finding(
        "error", "balancer-stopped", where, "its load balancer does not run",
        f"container {container.name} is {container.state}", "dockgate up; docker logs tells why it ended",
    )  # fmt: skip


def _taker(case: Case, vip: Vip, state: ObservedHost, port: int) -> str:
    for container in state.containers:
        mine = is_ours(container.labels, case.desired.project, "lb")
        if container.state in ALIVE and not mine:
            for published in container.published:
                if published.host_port == port and _meets(published.host_address, vip.address):
                    return f"container {container.name} publishes {published.host_address}:{port}"
    looked = case.looked(state.name)
    for address, taken in looked.listening if looked else ():
        if taken == port and _meets(address, vip.address):
            return f"a process of {state.name} itself listens on {address}:{port}"
    return ""


def _meets(address: str, wanted: str | None) -> bool:
    """Whether who listens there keeps the VIP from listening. Loopback alone does so only for all addresses."""
    return wanted is None or address in ANY or address == wanted
