"""A pool as one load balancer sees it: what DNS says in its network, what its HAProxy says, how it looks from there.

A server that is down names what would explain it; only when nothing does is it told on its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.doctor.case import Case, Trouble, conntrack_root, host_root, neighbour_root, pair_root
from dockgate.doctor.model import Asked, Cause, Finding, InsideFacts
from dockgate.model.desired import ByName, Endpoint, Endpoints, Member, Membership, Pool, Published, Vip
from dockgate.model.observed import Container, RunningHaproxy, ServerState, Unknown


class View:
    """``host`` and ``running``: where the load balancer is, and its HAProxy."""

    def __init__(self, case: Case, pool: Pool, vip: Vip, host: str, running: RunningHaproxy) -> None:
        self._case, self._pool, self._host = case, pool, host
        self._servers = {server.name: server for server in running.servers if server.pool == pool.name}
        asked = case.facts.asked.get((host, vip.name))
        self._asked = asked if isinstance(asked, Asked) else Asked()
        several = sum(len(each.hosts) for each in case.desired.vips if pool.name in each.pools()) > 1
        self._from = f" (from VIP {vip.name} on {host})" if several else ""

    def member(self, name: str) -> Iterator[Trouble]:
        there, container = self._case.named(name)[0]
        server = self._servers.get(name)
        docker = next((p.address for p in container.attachments if p.network == self._pool.network and p.address), "")
        if isinstance(self._pool.membership, ByName):
            trouble = self._dns(name, docker, there)
            if trouble is not None:
                yield trouble
                return
        if server is None:
            yield Trouble(
                self._finding(
                    name,
                    "haproxy-outdated",
                    "HAProxy does not have it",
                    "Docker runs it, and no server of the pool is called so",
                    "dockgate up",
                )
            )
        elif docker and server.address and server.address != docker:
            yield Trouble(
                self._finding(
                    name,
                    "haproxy-stale",
                    "HAProxy has another address than Docker",
                    f"HAProxy: {server.address}; Docker and DNS: {docker}",
                    "run doctor again in some seconds; if it stays, dockgate up",
                )
            )
        elif not server.up and not self._idle(name, server):
            yield self._down(name, server, there, container)

    def _idle(self, name: str, server: ServerState) -> bool:
        """The file itself gives it no traffic: HAProxy calls a server of weight 0 draining."""
        membership = self._pool.membership
        idle = {each.name for each in _weighed(membership) if each.weight == 0}
        return server.status.startswith("DRAIN") and name in idle

    def _dns(self, name: str, docker: str, there: str) -> Trouble | None:
        said = self._asked.names.get(name)
        because = (host_root(self._host), host_root(there), pair_root(self._host, there))
        if said is None:
            return None
        if isinstance(said, Unknown):
            found = Finding(
                "unknown",
                "dns-silent",
                f"{self._pool.name}/{name}",
                "Docker's DNS did not answer",
                f"{name}: {said.reason}{self._from}",
                f"restart Docker on {self._host} if it stays so",
            )
            return Trouble(found, because=because)
        if not said:
            found = self._finding(
                name,
                "dns-missing",
                "Docker's DNS does not have its name",
                f"Docker on {there} has it at {docker}; DNS on {self._host} has nothing",
                f"docker network disconnect and connect it, on {there}",
            )
            return Trouble(found, because=because)
        if docker and docker not in said:
            found = self._finding(
                name,
                "dns-stale",
                "Docker's DNS has another address than Docker",
                f"DNS: {', '.join(said)}; Docker on {there}: {docker}",
                f"docker network disconnect and connect it, on {there}",
            )
            return Trouble(found, because=because)
        return None

    def service(self, name: str) -> Iterator[Trouble]:
        said = self._asked.names.get(name)
        if isinstance(said, Unknown):
            yield Trouble(
                Finding(
                    "unknown",
                    "dns-silent",
                    f"{self._pool.name}/{name}",
                    "Docker's DNS did not answer",
                    f"{name}: {said.reason}{self._from}",
                    f"restart Docker on {self._host} if it stays so",
                )
            )
        elif said == ():
            yield Trouble(
                self._finding(
                    name,
                    "dns-missing",
                    "Docker's DNS has no address for it",
                    f"nobody on {self._pool.network} has that service name or alias",
                    "start one, or correct the name in the file",
                )
            )
        yield from self.occupied()

    def endpoint(self, name: str) -> Iterator[Trouble]:
        server = self._servers.get(name)
        if server is None:
            yield Trouble(
                self._finding(
                    name,
                    "haproxy-outdated",
                    "HAProxy does not have it",
                    "no server of the pool is called so",
                    "dockgate up",
                )
            )
        elif not server.up and not self._idle(name, server):
            yield self._down(name, server, "", None)

    def occupied(self) -> Iterator[Trouble]:
        """Servers that somebody's address is in, by who has that address."""
        for server in self._servers.values():
            if server.address and not server.up:
                there, container = self._at(server.address)
                yield self._down(container.name if container else server.name, server, there, container)

    def _at(self, address: str) -> tuple[str, Container | None]:
        for host in self._case.observed.known():
            for container in host.containers:
                if any(p.network == self._pool.network and p.address == address for p in container.attachments):
                    return host.name, container
        return "", None

    def _down(self, name: str, server: ServerState, there: str, container: Container | None) -> Trouble:
        """HAProxy does not use it: what could explain that, and if nothing does, what it looks like from there."""
        ends = (host_root(there), conntrack_root(there)) if there else ()
        between = (pair_root(self._host, there),) if there and there != self._host else ()
        near = (neighbour_root(self._host, server.address), neighbour_root(there, server.address))
        because = (host_root(self._host), *ends, *between, *near, conntrack_root(self._host))
        return Trouble(self._why_down(name, server, there, container), because=because)

    def _why_down(self, name: str, server: ServerState, there: str, container: Container | None) -> Finding:
        place = f"{server.address}:{server.port}"
        health = f"HAProxy: {server.status}{f', {server.check_text}' if server.check_text else ''}"
        if server.status.startswith("MAINT (resolution)"):
            return self._finding(
                name,
                "haproxy-stale",
                "HAProxy has no address for it, and DNS has one",
                health,
                "run doctor again in some seconds; if it stays, dockgate up",
            )
        if server.status.startswith(("MAINT", "DRAIN")):
            return Finding(
                "warning",
                "member-taken-out",
                f"{self._pool.name}/{name}",
                "it was taken out of the pool",
                health + self._from,
                "let it in again over HAProxy's socket, where somebody took it out",
            )
        door = self._asked.doors.get((server.address, server.port))
        if door == "refused":
            inside = self._listening(there, container)
            hint = f"it listens on {inside}" if inside else "nothing listens there"
            return self._finding(
                name,
                "wrong-port",
                f"nothing listens on its port {server.port}",
                f"{place} refuses; {hint}",
                "correct the pool's port, or start what should listen",
            )
        if door == "open" and server.check.endswith("TOUT"):
            return self._finding(
                name,
                "member-hung",
                "it takes connections and does not answer",
                f"{place} is open; {health}",
                f"docker restart {name}; docker logs tells why it hangs",
            )
        if door == "open":
            return self._finding(
                name,
                "check-fails",
                "it answers, and not as the check wants",
                f"{place} is open; {health}",
                "correct the pool's check, or the application",
            )
        if door is None:
            return Finding(
                "unknown",
                "member-not-tried",
                f"{self._pool.name}/{name}",
                "HAProxy has it down",
                f"{health}; {place} could not be tried{self._from}",
                "dockgate up, then again",
            )
        return self._finding(
            name,
            "member-unreachable",
            "it is not reached from the load balancer",
            f"{place}: {door}; {health}",
            "dockgate firewall diff; dockgate verify tells what drops it",
        )

    def _listening(self, there: str, container: Container | None) -> str:
        looked = self._case.looked(there) if there else None
        inside = looked.containers.get(container.name) if looked and container else None
        ports = inside.listening if isinstance(inside, InsideFacts) else ()
        open_ = sorted({port for address, port in ports if address != "127.0.0.11"})
        alone = all(address == "127.0.0.1" for address, _ in ports if address != "127.0.0.11")
        return ", ".join(map(str, open_)) + (" of its loopback only" if open_ and alone else "")

    def _finding(self, name: str, cause: Cause, what: str, evidence: str, advice: str) -> Finding:
        return Finding("error", cause, f"{self._pool.name}/{name}", what, evidence + self._from, advice)


def _weighed(membership: Membership) -> tuple[Member | Endpoint, ...]:
    if isinstance(membership, Endpoints):
        return membership.endpoints
    return membership.members if isinstance(membership, ByName | Published) else ()
