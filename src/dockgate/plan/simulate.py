"""Each action's effect on an observed world, as a pure function: what the property tests carry plans out with.

Invariant: an action whose precondition does not hold raises ``Impossible``, as the real engine would refuse it; a plan
that only works by luck is found out. ``RestoreConfig`` needs what ``Observed`` does not hold, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dockgate.firewall.host_rules import host_rules
from dockgate.haproxy import model as haproxy
from dockgate.haproxy.tree import Config
from dockgate.model import actions as a
from dockgate.model.objects import LABEL_PROJECT, NetworkSpec, is_ours, labels_for
from dockgate.model.observed import (
    Attachment,
    Container,
    FirewallState,
    LoadBalancer,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
    RunningHaproxy,
    Unknown,
    Volume,
)
from dockgate.model.replacing import MemberAction
from dockgate.model.rules_actions import ApplyRules, KeepRules, ProveRules, RemoveRules, RevertRules, RulesAction
from dockgate.model.swarm_actions import SwarmAction
from dockgate.model.tls_actions import PutTlsFiles, RemoveTlsFiles
from dockgate.model.waf_actions import JudgeRules, ProveWaf, PutRules
from dockgate.plan.seats import overlap


class Impossible(ValueError):
    """The action cannot be done in this world."""


def simulate(observed: Observed, action: a.Action, trees: Mapping[str, Config]) -> Observed:
    """The world after one action. ``trees``: the tree of every configuration text that may be loaded (``trees_of``)."""
    host = observed.host(action.host)
    if isinstance(host, Unknown):
        raise Impossible(f"{action.host} is unknown: {action}")
    match action:
        case a.LoadImage():
            return _put(observed, replace(host, images=host.images | {action.image}))
        case a.CreateNetwork():
            return _create_network(observed, host, action.spec)
        case a.RemoveNetwork():
            return _remove_network(observed, action)
        case ApplyRules() | ProveRules() | KeepRules() | RevertRules() | RemoveRules():
            return _put(observed, _on_rules(observed, host, action))
        case a.CreateVolume():
            labels = labels_for(action.project, action.kind, action.owner)
            volumes = (*host.volumes, Volume(action.name, labels))
            return _put(observed, replace(host, volumes=tuple(sorted(volumes, key=lambda item: item.name))))
        case a.RemoveVolume():
            if host.container(action.name) is not None:
                raise Impossible(f"volume {action.name} is in use")
            return _put(observed, replace(host, volumes=tuple(v for v in host.volumes if v.name != action.name)))
        case PutRules() | JudgeRules() | ProveWaf():
            return _on_waf(observed, host, action)
        case a.Announce() | a.Prove() | a.WriteConfig() | a.ValidateConfig():
            return _proved(observed, host, action) if isinstance(action, a.Prove) else observed
        case _ if isinstance(action, MemberAction):
            raise Impossible("members are somebody else's; replacing one is tried on engines, fake and real")
        case _ if isinstance(action, SwarmAction):
            raise Impossible("a Swarm's services are no part of an observed world; tried on engines, fake and real")
        case a.RestoreConfig():
            raise Impossible("what the previous configuration was is not part of an observed world")
        case _:
            return _on_container(observed, host, action, trees)


def _on_rules(observed: Observed, host: ObservedHost, action: RulesAction) -> ObservedHost:
    state = host.firewall
    if isinstance(state, Unknown):
        raise Impossible(f"no node container runs on {host.name}: {action}")
    match action:
        case ApplyRules():
            rules = host_rules(action.desired, observed, host.name)
            if isinstance(rules, Unknown):
                raise Impossible(rules.reason)
            return replace(host, firewall=replace(state, trial=rules.hash, confirm=action.confirm, in_force=True))
        case KeepRules() if not state.trial:
            raise Impossible(f"no rules are on trial on {host.name}")
        case KeepRules():
            return replace(host, firewall=replace(state, kept=state.trial, trial="", confirm=False))
        case RevertRules():
            return replace(host, firewall=replace(state, trial="", confirm=False, in_force=bool(state.kept)))
        case RemoveRules():
            return replace(host, firewall=FirewallState())
    return host


def _on_waf(observed: Observed, host: ObservedHost, action: PutRules | JudgeRules | ProveWaf) -> Observed:
    container = host.container(action.container)
    if container is None:
        raise Impossible(f"no container {action.container} on {host.name}")
    if (container.state == "running") != isinstance(action, ProveWaf):
        raise Impossible(f"{action.container} is {container.state}: {action}")
    return observed


def _on_container(observed: Observed, host: ObservedHost, action: a.Action, trees: Mapping[str, Config]) -> Observed:
    if isinstance(action, a.CreateContainer):
        return _create_container(observed, host, action)
    assert isinstance(
        action,
        a.StartContainer
        | a.StopContainer
        | a.RemoveContainer
        | a.ConnectNetwork
        | a.DisconnectNetwork
        | a.ActivateConfig
        | a.ReloadConfig
        | a.SetServers
        | PutTlsFiles
        | RemoveTlsFiles,
    )
    container = host.container(action.container)
    if container is None:
        raise Impossible(f"no container {action.container} on {host.name}")
    match action:
        case a.StartContainer():
            return _start(observed, host, container, trees)
        case a.StopContainer():
            return _stop(observed, host, container)
        case a.RemoveContainer():
            if container.state == "running" or container.id != action.id:
                raise Impossible(f"{container.name} runs, or is another one")
            host = replace(
                host,
                containers=tuple(item for item in host.containers if item.id != container.id),
                loadbalancers=tuple(item for item in host.loadbalancers if item.container != container.name),
            )
            return _put(observed, host)
        case a.ConnectNetwork():
            return _connect(observed, host, container, action.network)
        case a.DisconnectNetwork():
            kept = tuple(item for item in container.attachments if item.network != action.network)
            host = _with_container(host, replace(container, attachments=kept))
            return _put(
                observed,
                _list_attached(host, container.name, container.networks(), attached=False, only=action.network),
            )
        case a.ActivateConfig():
            return _put(
                observed, _with_balancer(host, container.name, config=action.config.text, unproved=action.must_serve)
            )
        case a.ReloadConfig():
            return _put(observed, _reload(host, container, trees))
        case PutTlsFiles() | RemoveTlsFiles():
            return _put(observed, _with_tls_files(host, container, action))
        case a.SetServers():
            return _put(observed, _set_servers(host, container, action))


def _create_network(observed: Observed, host: ObservedHost, spec: NetworkSpec) -> Observed:
    if host.network(spec.name) is not None:
        raise Impossible(f"network {spec.name} exists on {host.name}")
    overlay = spec.driver == "overlay"
    if overlay and host.swarm != "manager":
        raise Impossible(f"{host.name} is no Swarm manager")
    network = ObservedNetwork(
        id=f"net-{spec.name}" if overlay else f"net-{spec.name}-{host.name}",
        name=spec.name,
        driver=spec.driver,
        scope="swarm" if overlay else "local",
        internal=spec.internal,
        attachable=spec.attachable,
        labels=spec.labels,
        gateway=spec.gateway,
        subnet=spec.subnet,
        mtu=next((int(value) for key, value in spec.options if key.endswith("driver.mtu")), None),
    )
    targets = [item for item in observed.known() if overlay and item.swarm == "manager"] or [host]
    for target in targets:
        observed = _put(observed, _with_network(target, network))
    return observed


def _remove_network(observed: Observed, action: a.RemoveNetwork) -> Observed:
    for host in observed.known():
        for network in host.networks:
            if network.id != action.id and (action.id or (host.name, network.name) != (action.host, action.name)):
                continue
            if network.containers:
                raise Impossible(f"network {network.name} is in use on {host.name}")
            kept = tuple(item for item in host.networks if item.id != network.id)
            observed = _put(observed, replace(host, networks=kept))
    return observed


def _create_container(observed: Observed, host: ObservedHost, action: a.CreateContainer) -> Observed:
    spec = action.spec
    if host.container(spec.name) is not None:
        raise Impossible(f"container {spec.name} exists on {host.name}")
    if spec.image not in host.images:
        raise Impossible(f"{host.name} has no image {spec.image}")
    if spec.config_volume and not any(volume.name == spec.config_volume for volume in host.volumes):
        raise Impossible(f"{host.name} has no volume {spec.config_volume}")
    container = Container(
        id=f"id-{host.name}-{spec.name}",
        name=spec.name,
        image=spec.image,
        state="created",
        labels=spec.labels,
        attachments=tuple(Attachment(network) for network in spec.networks[:1]),
        wanted_ports=spec.publish,
    )
    containers = tuple(sorted((*host.containers, container), key=lambda item: item.name))
    host = replace(host, containers=containers)
    if spec.state_volume and not any(volume.name == spec.state_volume for volume in host.volumes):
        raise Impossible(f"{host.name} has no volume {spec.state_volume}")
    if spec.sockets_volume and not any(volume.name == spec.sockets_volume for volume in host.volumes):
        raise Impossible(f"{host.name} has no volume {spec.sockets_volume}")
    if spec.kind == "lb":
        host = replace(host, loadbalancers=(*host.loadbalancers, LoadBalancer(spec.name, config="", running=None)))
    return _put(observed, host)


def _start(observed: Observed, host: ObservedHost, container: Container, trees: Mapping[str, Config]) -> Observed:
    ports = container.wanted_ports
    for other in host.containers:
        if other.state == "running" and other.name != container.name and overlap(ports, other.published):
            raise Impossible(f"a port of {container.name} is taken by {other.name}")
    _require_addresses(host, ports)
    balancer = host.loadbalancer(container.name)
    if balancer is not None:
        if not isinstance(balancer.config, str) or not balancer.config:
            raise Impossible(f"{container.name} has no configuration")
        host = _with_balancer(host, container.name, running=haproxy.fresh(trees[balancer.config], version="3.2"))
    host = _with_container(host, replace(container, state="running", published=ports))
    if is_ours(container.labels, container.labels.get(LABEL_PROJECT) or "", "node"):
        host = replace(host, firewall=FirewallState() if isinstance(host.firewall, Unknown) else host.firewall)
    return _put(observed, _list_attached(host, container.name, container.networks(), attached=True))


def _require_addresses(host: ObservedHost, ports: tuple[PublishedPort, ...]) -> None:
    held = {network.gateway for network in host.networks}
    for port in ports:
        if port.host_address != "0.0.0.0" and port.host_address not in held:
            raise Impossible(f"{host.name} does not have the address {port.host_address}")


def _stop(observed: Observed, host: ObservedHost, container: Container) -> Observed:
    if host.loadbalancer(container.name) is not None:
        host = _with_balancer(host, container.name, running=None)
    host = _with_container(host, replace(container, state="exited", published=()))
    return _put(observed, _list_attached(host, container.name, container.networks(), attached=False))


def _connect(observed: Observed, host: ObservedHost, container: Container, network: str) -> Observed:
    everywhere = any(item.network(network) for item in observed.known())
    if not everywhere or network in container.networks():
        raise Impossible(f"{container.name} cannot be connected to {network}")
    attached = replace(container, attachments=(*container.attachments, Attachment(network)))
    host = _with_container(host, attached)
    if container.state == "running":
        host = _list_attached(host, container.name, (network,), attached=True)
    return _put(observed, host)


def _reload(host: ObservedHost, container: Container, trees: Mapping[str, Config]) -> ObservedHost:
    balancer = host.loadbalancer(container.name)
    if container.state != "running" or balancer is None or not isinstance(balancer.config, str):
        raise Impossible(f"{container.name} cannot be reloaded")
    if not isinstance(balancer.running, RunningHaproxy):
        raise Impossible(f"{container.name} does not answer")
    return _with_balancer(host, container.name, running=haproxy.reload(trees[balancer.config], balancer.running))


def _proved(observed: Observed, host: ObservedHost, action: a.Prove) -> Observed:
    changed = tuple(
        replace(item, unproved=None) if item.container == action.container else item for item in host.loadbalancers
    )
    return _put(observed, replace(host, loadbalancers=changed))


def _set_servers(host: ObservedHost, container: Container, action: a.SetServers) -> ObservedHost:
    balancer = host.loadbalancer(container.name)
    if balancer is None or not isinstance(balancer.running, RunningHaproxy):
        raise Impossible(f"{container.name} does not run")
    running = balancer.running
    for change in action.changes:
        running = haproxy.apply(change, running)
    return _with_balancer(host, container.name, running=running)


def _with_tls_files(host: ObservedHost, container: Container, action: PutTlsFiles | RemoveTlsFiles) -> ObservedHost:
    balancer = host.loadbalancer(container.name)
    if balancer is None:
        raise Impossible(f"{container.name} is no load balancer")
    files = dict(balancer.tls_files)
    if isinstance(action, PutTlsFiles):
        if action.live and not isinstance(balancer.running, RunningHaproxy):
            raise Impossible(f"{container.name} does not run")
        files |= {file.name: file.digest for file in action.files}
    else:
        files = {name: digest for name, digest in files.items() if name not in action.names}
    changed = replace(balancer, tls_files=tuple(sorted(files.items())))
    return replace(host, loadbalancers=tuple(changed if item is balancer else item for item in host.loadbalancers))


def _put(observed: Observed, host: ObservedHost) -> Observed:
    return replace(
        observed, hosts=tuple((name, host if name == host.name else state) for name, state in observed.hosts)
    )


def _with_container(host: ObservedHost, container: Container) -> ObservedHost:
    return replace(
        host, containers=tuple(container if item.name == container.name else item for item in host.containers)
    )


def _with_network(host: ObservedHost, network: ObservedNetwork) -> ObservedHost:
    return replace(host, networks=tuple(sorted((*host.networks, network), key=lambda item: item.name)))


def _with_balancer(
    host: ObservedHost,
    name: str,
    *,
    config: str | None = None,
    unproved: tuple[str, ...] = (),
    running: RunningHaproxy | bool | None = False,
) -> ObservedHost:
    def change(balancer: LoadBalancer) -> LoadBalancer:
        if config is not None:
            balancer = replace(balancer, config=config, unproved=unproved)
        return balancer if isinstance(running, bool) else replace(balancer, running=running)

    return replace(
        host,
        loadbalancers=tuple(change(item) if item.container == name else item for item in host.loadbalancers),
    )


def _list_attached(
    host: ObservedHost, name: str, networks: tuple[str, ...], *, attached: bool, only: str | None = None
) -> ObservedHost:
    """What the engine lists as attached to each network: containers that run."""

    def listed(network: ObservedNetwork) -> ObservedNetwork:
        if network.name not in networks or (only is not None and network.name != only):
            return network
        others = set(network.containers) - {name}
        return replace(network, containers=tuple(sorted(others | {name} if attached else others)))

    return replace(host, networks=tuple(listed(item) for item in host.networks))
