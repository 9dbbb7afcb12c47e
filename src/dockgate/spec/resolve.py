"""Resolve: the schema's models → Desired, with every default filled in and every reference checked. Pure.

All cross checks are collected; none is raised. A reference to a part that was left out because it is wrong by itself
(``tree.whole`` is false for it) is no problem of its own.
"""

from __future__ import annotations

from dockgate.model.desired import Desired, Host, Images, Network

from .conflicts import check_conflicts
from .job import Job
from .resolve_firewall import resolve_firewall
from .resolve_pools import resolve_pools
from .resolve_vips import resolve_vips
from .schema import LOCAL_ENGINE, HostSpec, NetworkSpec

__all__ = ["Job", "resolve"]

_RESERVED_NETWORKS = ("bridge", "host", "none", "ingress", "default", "docker_gwbridge")


def resolve(job: Job) -> Desired:
    """What the file asks for. Only to be used when ``job.findings`` has no problem afterwards."""
    _check_reserved(job)
    hosts = _hosts(job)
    networks = _networks(job)
    vips = resolve_vips(job, hosts)
    pools = resolve_pools(job, hosts=hosts, networks=networks, vips=vips)
    check_conflicts(job, hosts=hosts, networks=networks, pools=pools, vips=vips)
    firewall = resolve_firewall(job, networks=networks, vips=vips)
    return Desired(job.project, hosts, networks, pools, vips, _images(job), firewall)


def _hosts(job: Job) -> tuple[Host, ...]:
    specs = job.spec.hosts
    if specs is None:
        return (Host("local", LOCAL_ENGINE),) if job.tree.whole("hosts") else ()
    if not specs and job.tree.whole("hosts"):
        job.problem(("hosts",), "hosts must not be empty", "add one, or leave 'hosts' out for the local engine")
    hosts = tuple(_host(job, name, spec) for name, spec in sorted(specs.items()))
    first: dict[str, Host] = {}
    for host in sorted(hosts, key=lambda host: host.source):
        if same := first.get(host.engine):
            what = f"hosts.{host.name} has the same engine as hosts.{same.name} (line {same.source.line})"
            job.problem(("hosts", host.name, "engine"), what, "name each engine once")
        first.setdefault(host.engine, host)
    return hosts


def _host(job: Job, name: str, spec: HostSpec) -> Host:
    return Host(name, spec.engine, spec.address or _address_of(spec.engine), job.tree.key("hosts", name))


def _address_of(engine: str) -> str | None:
    """The host in an ``ssh://`` or ``tcp://`` engine."""
    scheme, _, rest = engine.partition("://")
    if scheme not in ("ssh", "tcp"):
        return None
    return rest.rpartition("@")[2].partition(":")[0].lower()


def _networks(job: Job) -> tuple[Network, ...]:
    return tuple(_network(job, name, spec) for name, spec in sorted(job.spec.networks.items()))


def _network(job: Job, name: str, spec: NetworkSpec) -> Network:
    return Network(name, spec.driver, spec.internal, spec.subnet, spec.mtu, job.tree.key("networks", name))


def _check_reserved(job: Job) -> None:
    for name in job.spec.networks:
        if name in _RESERVED_NETWORKS:
            what = f"networks.{name} is the name of a network of Docker's own"
            job.problem(("networks", name), what, "choose another name", at_key=True)


def _images(job: Job) -> Images:
    haproxy, node, default = job.spec.haproxy, job.spec.node, Images()
    version = haproxy.version or default.haproxy_version
    image = haproxy.image or default.haproxy.replace(default.haproxy_version, version)
    waf = job.spec.waf.image or default.waf
    return Images(_full(image), version, _full(node.image or default.node), _full(waf))


def _full(reference: str) -> str:
    """A reference as an engine lists it: without the default registry, with a tag unless it has a digest."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    named = "@" in short or ":" in short.rpartition("/")[2]
    return short if named else f"{short}:latest"
