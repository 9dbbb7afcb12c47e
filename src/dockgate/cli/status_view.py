"""Status as values: what is true of every VIP and member, before it becomes a table or JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dockgate.cli.certificate_view import CertificateRow, certificate_rows
from dockgate.cli.firewall_view import firewall_problems
from dockgate.model.desired import ByLabel, ByService, Desired, Vip
from dockgate.model.objects import balancer_of
from dockgate.model.observed import Observed, ObservedHost, RunningHaproxy, ServerState, Unknown
from dockgate.plan.labelled import refusals
from dockgate.waf.view import WafRow, waf_rows


@dataclass(frozen=True)
class VipRow:
    """One load balancer: a VIP on one host. ``listens``: address and ports. ``why``: what ``state`` leaves out."""

    vip: str
    host: str
    listens: str
    state: str
    well: bool
    runs: bool
    members: int = 0
    members_up: int = 0
    sessions: int | None = None
    requests: int | None = None
    why: str = ""


@dataclass(frozen=True)
class MemberRow:
    """One server of a pool in one load balancer. ``health``: HAProxy's status and the check's word for it; ``why``: the
    reason in words, for a member that is not up."""

    pool: str
    member: str
    vip: str
    host: str
    address: str
    port: int
    health: str
    up: bool
    since: str
    since_s: int
    sessions: int
    requests: int
    weight: int
    several_balancers: bool
    why: str


@dataclass(frozen=True)
class StatusView:
    vips: tuple[VipRow, ...]
    members: tuple[MemberRow, ...]
    hosts: tuple[str, ...]
    refused: tuple[str, ...] = ()
    certificates: tuple[CertificateRow, ...] = ()
    firewalls: tuple[WafRow, ...] = ()

    @property
    def well(self) -> bool:
        return all(row.well for row in self.vips) and all(row.works for row in self.firewalls) and not self.hosts

    def as_json(self) -> dict[str, object]:
        return {
            "well": self.well,
            "vips": [asdict(row) for row in self.vips],
            "members": [asdict(row) for row in self.members],
            "problems": list(self.hosts),
            "refused": list(self.refused),
            "certificates": [asdict(row) for row in self.certificates],
            "firewalls": [asdict(row) for row in self.firewalls],
        }


def status_view(desired: Desired, observed: Observed) -> StatusView:
    """The rows in the file's order: VIPs with their hosts, then the members of each load balancer."""
    places = [(vip, host) for vip in desired.vips for host in vip.hosts]
    vips = tuple(_vip_row(desired, vip, host, observed) for vip, host in places)
    members = tuple(
        row for vip, host in places for row in _member_rows(desired, vip, host, observed, several=len(places) > 1)
    )
    hosts = tuple(f"host {name}: {state.reason.removeprefix(f'{name}: ')}" for name, state in observed.unknown())
    certificates = certificate_rows(desired, observed)
    expired = tuple(f"{row}; renew it" for row in certificates if row.expired)
    problems = (*hosts, *firewall_problems(desired, observed), *expired)
    return StatusView(
        vips, members, problems, tuple(refusals(desired, observed)), certificates, waf_rows(desired, observed)
    )


def _vip_row(desired: Desired, vip: Vip, host_name: str, observed: Observed) -> VipRow:
    where = vip.address or desired.host(host_name).address or "*"
    listens = f"{where}:{','.join(str(listen.port) for listen in vip.listens)}"
    host = observed.host(host_name)
    if isinstance(host, Unknown):
        return VipRow(vip.name, host_name, listens, "host not readable", well=False, runs=False)
    container = balancer_of(host.containers, desired.project, vip.name)
    if container is None:
        return VipRow(vip.name, host_name, listens, "not there", well=False, runs=False)
    balancer = host.loadbalancer(container.name)
    running = balancer.running if balancer else None
    if not isinstance(running, RunningHaproxy):
        state, why = ("no answer", running.reason) if isinstance(running, Unknown) else (container.state, "")
        return VipRow(vip.name, host_name, listens, state, well=False, runs=False, why=why)
    down = [name for name in vip.pools() if not any(s.up for s in running.servers if s.pool == name)]
    why = f"no member is up in pool {', '.join(down)}" if down else ""
    return VipRow(
        vip=vip.name,
        host=host_name,
        listens=listens,
        state="no member up" if down else "answers",
        well=not down,
        runs=True,
        members=sum(_occupied(desired, server) for server in running.servers),
        members_up=sum(server.up for server in running.servers),
        sessions=running.sessions,
        requests=running.requests,
        why=why,
    )


def _member_rows(desired: Desired, vip: Vip, host_name: str, observed: Observed, *, several: bool) -> list[MemberRow]:
    host = observed.host(host_name)
    container = balancer_of(host.containers, desired.project, vip.name) if isinstance(host, ObservedHost) else None
    if not isinstance(host, ObservedHost) or container is None:
        return []
    balancer = host.loadbalancer(container.name)
    if balancer is None or not isinstance(balancer.running, RunningHaproxy):
        return []
    return [
        MemberRow(
            pool=server.pool,
            member=_called(desired, observed, server),
            vip=vip.name,
            host=host_name,
            address=server.address,
            port=server.port,
            health=health(server),
            up=server.up,
            since=duration(server.since_s),
            since_s=server.since_s,
            sessions=server.sessions,
            requests=server.requests,
            weight=server.weight,
            several_balancers=several,
            why=why(server),
        )
        for server in balancer.running.servers
        if _occupied(desired, server)
    ]


def _called(desired: Desired, observed: Observed, server: ServerState) -> str:
    """A slot is called by who is in it; everybody else by the name in the file."""
    pool = next((each for each in desired.pools if each.name == server.pool), None)
    if pool is None or not isinstance(pool.membership, ByLabel):
        return server.name
    there = (
        container.name
        for host in observed.known()
        for container in host.containers
        for place in container.attachments
        if place.network == pool.network and place.address == server.address
    )
    return next(there, server.name)


def _occupied(desired: Desired, server: ServerState) -> bool:
    """A spare place of a service's template, which no address has taken yet, is nobody's member."""
    spare = (pool.name == server.pool and isinstance(pool.membership, ByService | ByLabel) for pool in desired.pools)
    return bool(server.address) or not any(spare)


def health(server: ServerState) -> str:
    """Status and the check's word: ``UP L7OK/200``, ``DOWN L4CON``, ``absent``."""
    if _is_absent(server):
        return "absent"
    check = server.check + (f"/{server.check_code}" if server.check_code else "")
    return " ".join(part for part in (server.status, check) if part)


def why(server: ServerState) -> str:
    """Why a member is not up, in words; "" for one that is, and where HAProxy gives no reason."""
    if _is_absent(server):
        return "absent (Docker's DNS does not know the name)"
    return "" if server.up or not server.check_text else f"down ({server.check_text})"


def _is_absent(server: ServerState) -> bool:
    return server.status.startswith("MAINT (resolution)")


def duration(seconds: int) -> str:
    """At most two units: 45s, 3m10s, 2h05m, 4d3h."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"
