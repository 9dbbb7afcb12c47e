"""Carrying a firewall to a host: make its rules from the world as it is now, put them on trial, prove, keep, go back.

Whether any of it is done is decided in ``plan``. Invariants: rules are only loaded on trial, so that a run which ends
anywhere leaves what was kept before or what comes back to it by itself; nothing is loaded while a host is unknown.
"""

from __future__ import annotations

from functools import cache
from ipaddress import ip_address

from dockgate.controller.observe import observe
from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges import firewall, node
from dockgate.edges.firewall import Applied, LiveFlow, Trial
from dockgate.edges.node import Answer
from dockgate.errors import ActionFailed, ProofFailed
from dockgate.firewall import address_of, complete
from dockgate.firewall.host_rules import facts_of, host_rules
from dockgate.firewall.live import Tracked, is_forbidden, may_ask, tracked
from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, ObservedHost, Unknown
from dockgate.model.proof import ProofRequest
from dockgate.model.rules_actions import ApplyRules, KeepRules, ProveRules, RemoveRules, RevertRules

ASK_S = 8.0
ANSWER_S = 2.0
_HINTS = {
    True: "rules made without it would cut its containers off; make that host answer and run it again",
    False: "mend that, then run it again",
}
_BROKEN = {0, 502, 503, 504}


async def apply(world: World, action: ApplyRules) -> str:
    async with world.applying:
        return await _apply(world, action)


async def _apply(world: World, action: ApplyRules) -> str:
    observed = await observe(world.engines, world.project, rules_of=action.host)
    rules = host_rules(action.desired, observed, action.host)
    if isinstance(rules, Unknown):
        raise ActionFailed(
            f"{action.host}: the firewall was not changed: {rules.reason}",
            hint=_HINTS[bool(observed.unknown())],
        )
    engine, container = world.engine(action.host), (await world.node(action.host)).id
    before = await firewall.live(engine, container, rules)
    doomed = _forbidden(action.desired, observed, action.host, before)
    trial = Trial(action.limit_s, action.confirm, doomed)
    applied = await firewall.apply(engine, container, rules, trial)
    _must_be_everywhere(observed, action.host, applied)
    late = _forbidden(action.desired, observed, action.host, applied)
    if late:
        await firewall.cut(engine, container, late)
    count = len({*doomed, *late})
    told = [f"{count} connection{'s' * (count != 1)} cut"] if count else []
    return "; ".join([*told, *(f"gap: {gap}" for gap in rules.gaps)])


def _must_be_everywhere(observed: Observed, host: str, applied: Applied) -> None:
    """An overlay that has a running container here has a namespace here: rules that are not in it are no rules."""
    state = observed.host(host)
    there = (
        {name for item in state.containers if item.state == "running" for name in item.networks()}
        if isinstance(state, ObservedHost)
        else set()
    )
    lost = sorted(applied.missing & there)
    if lost:
        raise ActionFailed(
            f"{host}: the namespace of overlay {lost[0]} was not found, so that nothing is filtered within it",
            hint="are the engine's namespaces in /run/docker/netns, and may the node container see its processes?",
        )


def _forbidden(desired: Desired, observed: Observed, host: str, applied: Applied) -> tuple[LiveFlow, ...]:
    places = facts_of(desired, observed, host)
    assert not isinstance(places, Unknown)
    facts = {place: found for place, _, found in places}
    policy, own = complete(desired), frozenset(map(ip_address, applied.own))

    @cache
    def judged(place: str, flow: Tracked) -> bool:
        """Once for all connections of a client to a port: with thousands of rules each takes milliseconds."""
        return is_forbidden(policy, facts[place], own, flow)

    return tuple(flow for flow in applied.flows if judged(flow.place, _tracked(flow)))


def _tracked(flow: LiveFlow) -> Tracked:
    asked, server = (flow.destination, flow.dport), (flow.server, flow.server_port)
    return tracked(flow.protocol, flow.source, asked, server, flow.type)


async def prove(world: World, action: ProveRules) -> str:
    """Raises ProofFailed when the operator's way or a VIP is cut."""
    engine = world.engine(action.host)
    await engine.close()
    await engine.info()
    await _questions(world, action)
    return ""


async def _questions(world: World, action: ProveRules) -> None:
    doors = [
        ProofRequest(action.address, port, "tcp", "") for port in action.ports if action.vantage and action.address
    ]
    requests = (*doors, *action.requests)
    vantage = action.vantage or action.host
    if not requests:
        return
    container = (await world.node(vantage)).id
    seen: list[tuple[ProofRequest, Answer]] = []

    async def asked() -> bool | None:
        answers = await node.probe(world.engine(vantage), container, requests, timeout_s=ANSWER_S)
        failed = [pair for pair in zip(requests, answers, strict=True) if not _passes(action, *pair)]
        seen[:] = await _meant_to_answer(world, action, failed) if failed else []
        return None if seen else True

    if await until(asked, limit_s=ASK_S) is None:
        request, answer = seen[0]
        raise ProofFailed(
            f"{action.host}: with the new firewall {request.address}:{request.port}, asked from {vantage}, {answer}",
            hint=_hint(request),
        )


async def _meant_to_answer(
    world: World, action: ProveRules, failed: list[tuple[ProofRequest, Answer]]
) -> list[tuple[ProofRequest, Answer]]:
    """Without the VIPs that the file itself keeps from whoever asks."""
    observed = await observe(world.engines, world.project, rules_of=action.host)
    places = facts_of(action.desired, observed, action.host)
    if isinstance(places, Unknown):
        return failed
    facts, policy = places[0][2], complete(action.desired)
    client = address_of(action.desired, observed, action.vantage) if action.vantage else None
    if action.vantage and client is None:
        return failed
    return [
        (request, answer)
        for request, answer in failed
        if not request.pool or may_ask(policy, facts, client, (ip_address(request.address), request.port))
    ]


def _passes(action: ProveRules, request: ProofRequest, answer: Answer) -> bool:
    """A failsafe port may have nobody behind it; a VIP's pool that served must serve."""
    if not request.pool:
        return answer.outcome in ("open", "refused")
    if request.pool in action.must_serve:
        return answer.outcome == "open" and (request.mode == "tcp" or answer.status not in _BROKEN)
    return answer.outcome in ("open", "refused")


def _hint(request: ProofRequest) -> str:
    if request.pool:
        return "the rules were taken back; `dockgate firewall show` lists them, in the order in which they are asked"
    return "the rules were taken back; if something else closes that port, take it out of firewall.failsafe"


async def keep(world: World, action: KeepRules) -> str:
    await firewall.keep(world.engine(action.host), (await world.node(action.host)).id)
    return ""


async def revert(world: World, action: RevertRules) -> str:
    await firewall.revert(world.engine(action.host), (await world.node(action.host)).id)
    return ""


async def remove(world: World, action: RemoveRules) -> str:
    await firewall.remove(world.engine(action.host), (await world.node(action.host)).id)
    return ""
