"""The way of an echo (ICMP) between a client, hosts and containers, and what the policy says of it at each. Pure.

Invariant: where the engines know no way, that is told as the reason; where the policy has no rule about it, nothing is
told of the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from dockgate.firewall import Flow, HostFacts, complete, evaluate, host_facts, overlay_facts
from dockgate.firewall.facts import OVERLAY_BRIDGE
from dockgate.firewall.tables import comment_of
from dockgate.model.desired import Desired
from dockgate.model.observed import Attachment, Container, Observed, ObservedHost, Unknown
from dockgate.model.policy import Policy

from .model import Ends, Hop, Place, Prediction, Request, Stop
from .ways import asker, bridge_of, host_at, host_place, within

_LAN = "lan"
"""Stands for any device that is no bridge of Docker's."""
_DOES = {"allow": "lets it through", "drop": "drops it", "reject": "refuses it"}


@dataclass(frozen=True)
class _Spot:
    """A container's place in a network, or a host where ``container`` is None."""

    host: ObservedHost
    container: Container | None = None
    at: Attachment | None = None

    @property
    def place(self) -> Place:
        if self.container is None:
            return host_place(self.host)
        return Place(self.host.name, f"pid:{self.container.pid}", "container", self.container.name)


def address_of(observed: Observed, request: Request, name: str) -> str:
    """The address of a running container of this name, as the asker would best reach it; "" when there is none."""
    mine = observed.host(request.vantage)
    asking = mine.container(request.container) if isinstance(mine, ObservedHost) else None
    shared = asking.networks() if asking else ()
    found = [
        (item.network in shared, host.name == request.vantage and _driver(host, item) == "bridge", item.address)
        for host in observed.known()
        if (container := host.container(name)) and container.pid
        for item in container.attachments
        if item.address
    ]
    return max(found, key=lambda each: each[:2])[2] if found else ""


def predict(desired: Desired, observed: Observed, request: Request) -> Prediction:
    target = _target(desired, observed, request)
    start = _start(observed, request)
    found = tuple(_hops(request, start, target, asker(observed, request)))
    stop = _no_way(request, start, target)
    said = tuple(_policy(desired, observed, found if stop is None else (), request))
    forbidden = next(((where, words) for where, words, allowed in said if not allowed), None)
    if stop is None and forbidden is not None:
        hint = "allow it in the file's `firewall`, then `dockgate up`"
        stop = Stop(forbidden[0], f"the policy {forbidden[1]}", hint)
    return Prediction(request, hops=found, stop=stop, policy=tuple(f"{where}: {words}" for where, words, _ in said))


def _start(observed: Observed, request: Request) -> _Spot | None:
    """None: from outside the hosts of the file."""
    host = observed.host(request.vantage)
    if not isinstance(host, ObservedHost):
        return None
    container = host.container(request.container) if request.container else None
    return _Spot(host, container, bridge_of(host, container) if container else None)


def _target(desired: Desired, observed: Observed, request: Request) -> _Spot | None:
    """Who has the address; None: nobody that we know."""
    name = request.home or host_at(desired, observed, request.address)
    if name:
        host = observed.host(name)
        return _Spot(host) if isinstance(host, ObservedHost) else None
    near = sorted(observed.known(), key=lambda host: host.name != request.vantage)
    for host in near:
        for container in host.containers:
            for item in container.attachments:
                if container.pid and request.address in (item.address, item.address6):
                    return _Spot(host, container, item)
    for host in near:
        if any(request.address == network.gateway for network in host.networks if network.driver == "bridge"):
            return _Spot(host)
    return None


def _driver(host: ObservedHost, item: Attachment | None) -> str:
    network = host.network(item.network) if item else None
    return network.driver if network else ""


# --- which way


def _shared(start: _Spot, target: _Spot) -> Attachment | None:
    """The asker's place in the network on which the address is."""
    if start.container is None or target.at is None:
        return None
    return next(
        (
            item
            for item in start.container.attachments
            if item.network == target.at.network
            and (_driver(start.host, item) == "overlay" or start.host.name == target.host.name)
        ),
        None,
    )


def _no_way(request: Request, start: _Spot | None, target: _Spot | None) -> Stop | None:
    if target is None:
        return None
    where = target.at.network if target.at else ""
    if start is None or start.host.name != target.host.name:
        if target.container is not None and (start is None or _shared(start, target) is None):
            why = f"{request.address} is on {where} of {target.host.name}, and no way leads there from outside"
            return Stop(request.asker, why, f"ask from {target.host.name} or from a container on {where}")
    elif start.container is None and target.container is not None and _driver(target.host, target.at) == "overlay":
        why = f"{request.address} is on overlay network {where}, which a host is no part of"
        return Stop(request.asker, why, f"ask from a container on {where}")
    elif start.container is not None and target.container is not None and _shared(start, target) is None:
        why = f"{request.asker} is not on {where}, and Docker keeps networks apart"
        return Stop(f"host {start.host.name}", why, f"docker network connect {where} {request.asker}")
    if start is not None and start.container is not None and target.container is None and _inside_only(start):
        why = f"{request.asker} is on internal networks only, which lead nowhere else"
        return Stop(request.asker, why, f"docker network connect bridge {request.asker}")
    return None


def _inside_only(start: _Spot) -> bool:
    networks = {network.name: network for network in start.host.networks}
    on = [networks[name] for name in (start.container.networks() if start.container else ()) if name in networks]
    return bool(on) and all(network.internal for network in on)


def _hops(request: Request, start: _Spot | None, target: _Spot | None, asks: Place) -> Iterator[Hop]:
    ends = Ends(_source(request, start, target), 0, request.address, 0)
    own = start is not None and target is not None and start.host.name == target.host.name
    shared = _shared(start, target) if start and target else None
    if start and target and start.place == target.place:
        yield Hop(1, start.place, ends, ends)
        return
    if start and target and shared:
        sent = replace(ends, source=shared.address)
        way = within(start.host, start.place, target.host, target.place, network=shared.network, ends=sent)
        yield from (replace(hop, session=1) for hop in way)
        return
    yield Hop(1, asks, ends, ends)
    if start and start.container:
        left = ends if own else replace(ends, source=start.host.node_address if _four(request) else "")
        yield Hop(1, host_place(start.host), ends, left)
        ends = left
    if target and not own and target.container is None:
        yield Hop(1, host_place(target.host), ends, ends)
    if target and own and target.container is not None:
        yield Hop(1, target.place, ends, ends)


def _source(request: Request, start: _Spot | None, target: _Spot | None) -> str:
    """The address that it leaves with; "" when that is not known."""
    if start is None or not _four(request):
        return request.source
    if start.container is not None:
        return start.at.address if start.at else ""
    if target is None or target.host.name != start.host.name:
        return start.host.node_address
    if target.container is None:
        return request.address
    network = start.host.network(target.at.network) if target.at else None
    return network.gateway if network else ""


def _four(request: Request) -> bool:
    return ":" not in request.address


# --- what the policy says


def _policy(
    desired: Desired, observed: Observed, hops: tuple[Hop, ...], request: Request
) -> Iterator[tuple[str, str, bool]]:
    """Where, in words, and whether it may pass; of the namespaces that have a word on it."""
    if desired.firewall is None:
        return
    policy, told = complete(desired, vxlan_port=observed.vxlan_port), set()
    for number, hop in enumerate(hops):
        facts = _facts(desired, observed, hop.place)
        source = hop.before.source
        if hop.outer or facts is None or not source:
            continue
        before, after = (hops[at].place if 0 <= at < len(hops) else None for at in (number - 1, number + 1))
        iif, oif = (_device(observed, facts, each, end) for each, end in ((before, source), (after, request.address)))
        flow = Flow(iif, oif, ip_address(source), ip_address(request.address), "icmp")
        found = _said(policy, facts, flow)
        if found is not None and (hop.place.name, found[0]) not in told:
            told.add((hop.place.name, found[0]))
            yield hop.place.name if hop.place.kind == "overlay" else f"host {hop.place.name}", *found


def _said(policy: Policy, facts: HostFacts, flow: Flow) -> tuple[str, bool] | None:
    decision = evaluate(policy, facts, flow)
    if decision.rule is None:
        return None
    return f"{_DOES[decision.verdict]} by {comment_of(decision.rule)}", decision.verdict == "allow"


def _facts(desired: Desired, observed: Observed, place: Place) -> HostFacts | None:
    if place.kind == "overlay":
        return overlay_facts(desired, observed, place.name.removeprefix("overlay "))
    found = host_facts(desired, observed, place.seat) if place.kind == "host" else Unknown("not ours")
    return None if isinstance(found, Unknown) else found


def _device(observed: Observed, facts: HostFacts, neighbour: Place | None, address: str) -> str:
    """Through which device it comes from, or goes to, the namespace before or behind; "" for the host itself."""
    if facts.kind == "overlay":
        return OVERLAY_BRIDGE
    if neighbour is None:
        return ""
    if neighbour.kind != "container":
        return _LAN
    wanted = ip_address(address)
    here = (bridge for bridge in facts.bridges if any(wanted in subnet for subnet in bridge.subnets))
    bridge = next(here, None)
    if bridge is not None:
        return bridge.interface
    host = observed.host(facts.name)
    container = host.container(neighbour.name) if isinstance(host, ObservedHost) else None
    at = bridge_of(host, container) if isinstance(host, ObservedHost) and container else None
    return (facts.interface(at.network) if at else None) or _LAN
