"""Each member as Docker, DNS and HAProxy see it. What Docker alone can tell is told once; the rest for each load
balancer, and a member that HAProxy has up and that DNS and Docker agree on is well.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.doctor.balancers import running_of
from dockgate.doctor.case import Case, Trouble, balancer_root, host_root
from dockgate.doctor.model import Finding
from dockgate.doctor.views import View
from dockgate.model.desired import ByName, ByService, Endpoints, Pool, Published, Vip
from dockgate.model.observed import Container


def check_members(case: Case) -> Iterator[Trouble]:
    for pool in case.desired.pools:
        sound = []
        for name in _names(pool):
            trouble = _by_docker(case, pool, name)
            if trouble is None:
                sound.append(name)
            else:
                yield trouble
        for vip in case.desired.vips:
            for host in vip.hosts if pool.name in vip.pools() else ():
                yield from _by_balancer(case, pool, vip, host, sound)


def _names(pool: Pool) -> tuple[str, ...]:
    named = pool.membership.members if isinstance(pool.membership, ByName | Published) else ()
    return tuple(member.name for member in named)


# --- what Docker tells


def _by_docker(case: Case, pool: Pool, name: str) -> Trouble | None:
    where, found = f"{pool.name}/{name}", case.named(name)
    if not found:
        blind = tuple(host_root(host) for host, _ in case.observed.unknown())
        there = _others(case, pool)
        hint = f"; on {pool.network} there are: {', '.join(there)}" if there else ""
        return Trouble(
            Finding(
                "unknown" if blind else "error",
                "member-missing",
                where,
                "there is no container of that name",
                f"no engine knows {name}{hint}",
                "start it, or correct its name in the file",
            ),
            because=blind,
        )
    host, container = found[0]
    if container.state != "running":
        return Trouble(_not_running(where, host, container))
    if isinstance(pool.membership, ByName) and pool.network not in container.networks():
        on = ", ".join(container.networks()) or "none"
        return Trouble(
            Finding(
                "error",
                "member-off-network",
                where,
                f"it is not on network {pool.network}, so DNS has no name for it",
                f"{host} has {container.name} on: {on}",
                f"docker network connect {pool.network} {name}, on {host}",
            )
        )
    if isinstance(pool.membership, Published) and not any(p.container_port == pool.port for p in container.published):
        return Trouble(
            Finding(
                "error",
                "port-not-published",
                where,
                f"its port {pool.port} is not published",
                f"{host} has {container.name} without it",
                f"make it anew with --publish {pool.port}",
            )
        )
    return None


def _others(case: Case, pool: Pool) -> tuple[str, ...]:
    """Who is on the pool's network and is neither a member nor ours: the name that was meant may be among them."""
    names = {
        item.name
        for host in case.observed.known()
        for item in host.containers
        if pool.network in item.networks() and item.labels.get("dockgate.project") is None
    }
    return tuple(sorted(names - set(_names(pool))))


def _not_running(where: str, host: str, container: Container) -> Finding:
    if container.state == "paused":
        return Finding(
            "error",
            "member-paused",
            where,
            "its container is paused, so it answers nothing",
            f"{host} says: {container.name} is paused",
            f"docker unpause {container.name}, on {host}",
        )
    return Finding(
        "error",
        "member-stopped",
        where,
        "its container does not run",
        f"{host} says: {container.name} is {container.state}",
        f"docker start {container.name}, on {host}",
    )


# --- what DNS and HAProxy tell


def _by_balancer(case: Case, pool: Pool, vip: Vip, host: str, sound: list[str]) -> Iterator[Trouble]:
    running = running_of(case, vip, host)
    if running is None:
        for name in sound:
            told = Finding("unknown", "member-not-served", f"{pool.name}/{name}", "HAProxy could not be asked", "", "")
            yield Trouble(told, because=(balancer_root(host, vip.name), host_root(host)))
        return
    view = View(case, pool, vip, host, running[1])
    if isinstance(pool.membership, ByName | Published):
        for name in sound:
            yield from view.member(name)
    elif isinstance(pool.membership, ByService):
        yield from view.service(pool.membership.service)
    elif isinstance(pool.membership, Endpoints):
        for endpoint in pool.membership.endpoints:
            yield from view.endpoint(endpoint.name)
    else:
        yield from view.occupied()
