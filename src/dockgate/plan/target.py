"""What one load balancer must be: the target that a VIP has on one of its hosts. Pure derivation from Desired.

Invariant: a target does not depend on the observed world, except for the places of published members.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from dockgate.haproxy.build import ResolvedServer, build
from dockgate.haproxy.render import render
from dockgate.haproxy.tree import Config
from dockgate.haproxy.waf import PROOF_HEADER
from dockgate.model.actions import HaproxyConfig
from dockgate.model.desired import ByLabel, ByName, ByService, Desired, Listen, Pool, Vip
from dockgate.model.objects import ContainerSpec, NetworkSpec, container_hash, labels_for
from dockgate.model.observed import PublishedPort
from dockgate.model.proof import ProofRequest, TlsQuestion
from dockgate.model.tls import TlsFile
from dockgate.model.waf import WafMode
from dockgate.plan import names
from dockgate.plan.waf_target import WafTarget, waf_target

BRIDGE = "bridge"
ATTACK = (
    "q=%3Cscript%3Ealert(1)%3C/script%3E&id=1%27%20OR%20%271%27=%271%27--"
    "&file=../../../../etc/passwd&c=;cat%20/etc/passwd"
)
"""Of several kinds, so that an exclusion of a rule or two does not let it through."""


@dataclass(frozen=True)
class BalancerTarget:
    """The container, the configuration and, for a VIP with an address of its own, the network that carries it."""

    vip: Vip
    host: str
    spec: ContainerSpec
    tree: Config
    config: HaproxyConfig
    address: NetworkSpec | None
    tls_files: tuple[TlsFile, ...] = ()
    waf: WafTarget | None = None

    @property
    def label(self) -> str:
        return f"{self.vip.name} on {self.host}"


def balancer_target(
    desired: Desired, vip: Vip, host: str, resolved: Mapping[str, tuple[ResolvedServer, ...]]
) -> BalancerTarget:
    """``resolved``: for each pool with published members, where they are now."""
    waf = waf_target(desired, vip)
    tree = build(desired, vip, resolved, sockets=waf.sockets) if waf else build(desired, vip, resolved)
    return BalancerTarget(
        vip=vip,
        host=host,
        spec=_container(desired, vip),
        tree=tree,
        config=render(tree),
        address=address_spec(desired.project, vip),
        tls_files=desired.tls_files(vip),
        waf=waf,
    )


def node_spec(desired: Desired) -> ContainerSpec:
    """The node container: on the host's network, sees its processes, and may do there what probes and proofs need.

    NET_RAW: frames. SYS_ADMIN with SYS_PTRACE: enter a container's or an overlay's network namespace. NET_ADMIN: read
    rules, follow the kernel's trace. NET_BIND_SERVICE: answer on a low port where a proof finds nobody listening.
    """
    return _node_spec(desired.project, desired.images.node)


@cache
def _node_spec(project: str, image: str) -> ContainerSpec:
    spec = ContainerSpec(
        name="",
        kind="node",
        image=image,
        networks=("host",),
        capabilities=("NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE"),
        memory_mb=128,
        pids=64,
    )
    return _named(spec, project, "node")


def address_spec(project: str, vip: Vip) -> NetworkSpec | None:
    """A bridge whose gateway is the VIP's address, so that Docker itself puts the address on the host, also after a
    reboot and before the first container starts. Nothing is ever attached to it."""
    if vip.address is None:
        return None
    return NetworkSpec(
        name=names.address_network(project, vip.name, vip.address),
        driver="bridge",
        kind="address",
        subnet=f"{vip.address}/32",
        gateway=vip.address,
        options=(
            ("com.docker.network.bridge.enable_ip_masquerade", "false"),
            ("com.docker.network.bridge.name", names.address_device(project, vip.name, vip.address)),
        ),
        labels=labels_for(project, "address", vip.name),
    )


def proof_requests(desired: Desired, vip: Vip, address: str) -> tuple[ProofRequest, ...]:
    """One request for every listener's default pool and for every route, but for those that chance decides. A port in
    maintenance has no pool that must answer."""
    requests: list[ProofRequest] = []
    for listen in vip.listens:
        if vip.maintenance and listen.mode == "http" and not listen.redirect:
            requests.append(ProofRequest(address, listen.port, "http", pool="", tls=tls_question(listen)))
            continue
        if listen.pool:
            path = _check_path(desired.pool(listen.pool))
            tls = tls_question(listen)
            requests.append(ProofRequest(address, listen.port, listen.mode, listen.pool, path=path, tls=tls))
        requests += [ProofRequest(address, listen.port, "tcp", route.pool) for route in listen.sni]
        if listen.redirect:
            requests.append(ProofRequest(address, listen.port, "http", pool=""))
        elif listen.mode == "http":
            requests += [
                ProofRequest(
                    address,
                    listen.port,
                    "http",
                    route.pool,
                    host_header=_asked_host(route.host),
                    path=route.path or _check_path(desired.pool(route.pool)),
                    tls=tls_question(listen, _asked_host(route.host)),
                    headers=((route.header.name, route.header.value or "dockgate-proof"),) if route.header else (),
                )
                for route in vip.routes
                if route.percent is None
            ]
    return tuple(dict.fromkeys(requests))


def attack_requests(desired: Desired, vip: Vip, address: str) -> tuple[ProofRequest, ...]:
    """One attack for every port and route that the firewall looks at, each of which it must refuse.

    Not where chance decides whether it looks, nor where only a client's certificate opens the port."""
    if vip.waf is None or vip.maintenance or any(each.percent is not None and each.waf == "off" for each in vip.routes):
        return ()
    return tuple(
        replace(
            request,
            path=f"{path.rstrip('/') or '/'}?{ATTACK}",
            headers=(*request.headers, (PROOF_HEADER, "1")),
            attack=True,
        )
        for request, path in _looked_at(proof_requests(desired, vip, address), vip, vip.waf.mode)
        if request.mode == "http" and request.pool and not (request.tls and request.tls.needs_client)
    )


def _looked_at(requests: tuple[ProofRequest, ...], vip: Vip, default: WafMode) -> Iterator[tuple[ProofRequest, str]]:
    """Requests that the firewall judges, each with a path that no closer route takes."""
    by_route = {(_asked_host(route.host), route.path, bool(route.header)): route for route in vip.routes}
    for request in requests:
        route = by_route.get((request.host_header, request.path, bool(request.headers)))
        route = route or by_route.get((request.host_header, None, bool(request.headers)))
        mode = (route.waf if route else None) or default
        if mode != "off":
            yield request, (route.path if route else None) or "/"


def tls_question(listen: Listen, name: str = "") -> TlsQuestion | None:
    """What a port that speaks TLS must show: one of the certificates that the file has for it, or any where it makes
    one by itself."""
    if listen.tls is None:
        return None
    shown = tuple(each.fingerprint for each in listen.tls.certificates if not each.self_signed)
    return TlsQuestion(name, shown, listen.tls.clients is not None and listen.tls.clients.required)


def pool_networks(desired: Desired, vip: Vip) -> tuple[str, ...]:
    """The networks on which the VIP's members are reached, sorted."""
    pools = (desired.pool(name) for name in vip.pools())
    return tuple(
        sorted(
            {
                pool.network
                for pool in pools
                if pool.network and isinstance(pool.membership, ByName | ByService | ByLabel)
            }
        )
    )


def _container(desired: Desired, vip: Vip) -> ContainerSpec:
    spec = ContainerSpec(
        name="",
        kind="lb",
        image=desired.images.haproxy,
        networks=(BRIDGE, *pool_networks(desired, vip)),
        publish=tuple(
            sorted(
                (PublishedPort(listen.port, listen.port, vip.address or "0.0.0.0") for listen in vip.listens),
                key=lambda port: port.host_port,
            )
        ),
        # Also without a firewall, so that one can come later and the load balancer stays.
        sockets_volume=names.sockets_volume(desired.project, vip.name) if _speaks_http(vip) else "",
        run_tmpfs=True,
        dns_options=("ndots:1",),
    )
    return _named(spec, desired.project, vip.name)


def _named(spec: ContainerSpec, project: str, name: str) -> ContainerSpec:
    digest = container_hash(spec)
    full_name = names.container(project, name, digest)
    kind = spec.kind
    volume = full_name if kind == "lb" else ""
    state = names.rules_volume(project) if kind == "node" else ""
    labels = labels_for(project, kind, name, digest)
    return replace(spec, name=full_name, config_volume=volume, state_volume=state, labels=labels)


def _speaks_http(vip: Vip) -> bool:
    return any(listen.mode == "http" for listen in vip.listens)


def _asked_host(host: str | None) -> str:
    if host is None:
        return ""
    return f"dockgate-proof{host[1:]}" if host.startswith("*.") else host


def _check_path(pool: Pool) -> str:
    return pool.check.path if pool.check and pool.check.kind == "http" else "/"
