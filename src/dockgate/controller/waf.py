"""Bringing a firewall into service: its rules into its volume, judged by the engine, and an attack on every judge.

Invariant: rules that the engine does not understand are never started, and no firewall is taken for one that works
before each of its judges has refused an attack.
"""

from __future__ import annotations

from dockgate.controller.configs import in_volume
from dockgate.controller.wait import until
from dockgate.controller.world import World
from dockgate.edges import waf
from dockgate.edges.waf import Mistake
from dockgate.errors import ConfigRefused, EngineError, ProofFailed
from dockgate.model.objects import WAF_PROGRAM, WAF_RULES
from dockgate.model.waf import RulesFile, WafState
from dockgate.model.waf_actions import JudgeRules, ProveWaf, PutRules

READY_S = 20.0
_USER = "98:99"


async def put(world: World, action: PutRules) -> str:
    container = await world.ours(action.host, action.container, "waf")
    files = {file.name: file.content for file in action.files}
    await world.engine(action.host).put_files(container.id, WAF_RULES, files)
    return ""


async def judge(world: World, action: JudgeRules) -> str:
    container = await world.ours(action.host, action.container, "waf")
    found = waf.mistake(await in_volume(world, action.host, container, [*WAF_PROGRAM, "check"], user=_USER))
    if found is None:
        return ""
    raise ConfigRefused(
        f"{action.host}: ModSecurity refuses the rules for {action.container}; nothing was changed",
        messages=(_told(found, action.files),),
        hint="correct the rule; what ran before keeps running",
    )


async def prove(world: World, action: ProveWaf) -> str:
    engine = world.engine(action.host)
    container = await world.ours(action.host, action.container, "waf")
    seen: list[WafState | EngineError] = []

    async def works() -> WafState | None:
        try:
            state = await waf.status(engine, container)
        except EngineError as error:
            seen.append(error)
            return None
        seen.append(state)
        return state if state.works else None

    state = await until(works, limit_s=READY_S)
    if state is None:
        last = seen[-1]
        why = last.trouble if isinstance(last, WafState) else last.what
        raise ProofFailed(
            f"VIP {action.vip}: the firewall {action.container} on {action.host} does not work: {why}",
            hint=f"docker logs {action.container}; is the threshold or an exclusion so wide that every attack passes?",
        )
    return f"{state.rules} rules, {state.rule_set}, ModSecurity {state.engine}"


def _told(found: Mistake, files: tuple[RulesFile, ...]) -> str:
    """At its place in the user's file, where it is one of those."""
    name = found.file.removeprefix(f"{WAF_RULES}/")
    place = next((file.place for file in files if file.name == name), name or "its rules")
    return f"{place}{f':{found.line}' if found.line else ''}: {found.what}"
