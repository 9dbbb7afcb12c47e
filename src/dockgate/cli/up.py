"""`dockgate up`: make the hosts as the file says, and end by asking every VIP for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dockgate.cli.plan import plan_json, say_notes
from dockgate.cli.progress import Late, StepPrinter
from dockgate.cli.session import DEFAULT_FILE, FileOption, Output, OutputOption, Session, open_session, run
from dockgate.controller.execute import execute
from dockgate.controller.report import Report, StepReport
from dockgate.controller.verify import verify
from dockgate.model.actions import Prove
from dockgate.model.plan import Plan
from dockgate.model.rules_actions import ApplyRules
from dockgate.plan import describe, proofs
from dockgate.plan import plan as make_plan
from dockgate.verify import Proof
from dockgate.verify.report import as_json, summary, wrong_lines

MOST_WRONG = 10


def up(
    file: FileOption = DEFAULT_FILE,
    output: OutputOption = Output.table,
    confirm: Annotated[
        str,
        typer.Option("--confirm", help="New firewall rules come back after so long (60s, 5m) unless you confirm them."),
    ] = "",
) -> None:
    """Make the hosts as the file says; ends by asking every VIP from outside.

    Can be interrupted at any point and run again.

    Exit code: 0 done and every VIP answers; 1 something failed or is blocked.
    Then what could be done was done, and what failed its proof was undone.
    """
    raise typer.Exit(run(_up(file, output, seconds(confirm))))


def seconds(text: str) -> int:
    """``60s``, ``5m`` or plain seconds; 0 for ""."""
    if not text:
        return 0
    number, factor = (text[:-1], 60 if text[-1] == "m" else 1) if text[-1] in "sm" else (text, 1)
    if not number.isdecimal() or not 10 <= int(number) * factor <= 86_400:
        raise typer.BadParameter(f"{text!r} is not a time like 60s or 5m, from 10 seconds to a day")
    return int(number) * factor


async def _up(file: Path, output: Output, confirm_s: int) -> int:
    say: Callable[[str], None] = (lambda _: None) if output is Output.json else typer.echo
    async with open_session(file, to_change=True) as session:
        say_notes(session)
        observed = await session.observe()
        plan = make_plan(session.desired, observed, confirm_s=confirm_s)
        _announce(plan, say)
        report = await execute(plan, session.world, on_event=StepPrinter(say))
        asked = await _ask_the_rest(session, report, say)
        proof = await _prove_new_rules(session, report, say)
    if output is Output.json:
        told = {"plan": plan_json(plan), "steps": [step_json(s) for s in (*report.steps, *asked.steps)]}
        typer.echo(json.dumps(told | ({"proof": as_json(proof)} if proof else {}), indent=2, ensure_ascii=False))
    _conclude(plan, report, asked, say)
    if proof is not None:
        _say_proof(proof, say)
    if report.ok and any(isinstance(step.action, ApplyRules) and step.action.confirm for step in plan.steps):
        say(
            f"the new firewall rules are taken back {confirm_s} s after they came unless you run:"
            " dockgate firewall confirm"
        )
    return 0 if report.ok and asked.ok and not plan.blocked and (proof is None or proof.ok) else 1


def _announce(plan: Plan, say: Callable[[str], None]) -> None:
    if not plan.steps and not plan.blocked:
        say("nothing to do: the hosts are as the file says")
    for line in describe(Plan(blocked=plan.blocked, notes=plan.notes)).splitlines():
        if line != "nothing to do":
            say(line)


async def _ask_the_rest(session: Session, report: Report, say: Callable[[str], None]) -> Report:
    """Ask every VIP that the plan's own proofs did not ask."""
    proved = {
        (item.step.action.host, item.step.action.vip)
        for item in report.steps
        if isinstance(item.step.action, Prove) and item.status in ("done", "failed")
    }
    failed = {item.step.group for item in report.steps if item.status != "done"}
    questions = tuple(
        step
        for step in proofs(session.desired, await session.observe())
        if isinstance(step.action, Prove)
        and (step.action.host, step.action.vip) not in proved
        and step.group not in failed
    )
    if not questions:
        return Report()
    return await execute(Plan(steps=questions), session.world, on_event=StepPrinter(say))


async def _prove_new_rules(session: Session, report: Report, say: Callable[[str], None]) -> Proof | None:
    """Real packets over all that this run's new rules decide; None when there are none, or nothing is theirs."""
    changed = {s.step.action.host for s in report.steps if isinstance(s.step.action, ApplyRules) and s.status == "done"}
    if not changed:
        return None
    late = Late(say)
    try:
        late.phase("proving the new rules with real packets")
        proof = await verify(session.desired, await session.observe(), session.world, changed=changed)
    finally:
        late.end()
    return proof if proof.results or proof.missing else None


def _say_proof(proof: Proof, say: Callable[[str], None]) -> None:
    for line in wrong_lines(proof, MOST_WRONG):
        say(line)
    for sentence in proof.missing:
        say(f"NOT ASKED  {sentence}")
    say(f"firewall {summary(proof)}")
    if not proof.ok:
        say("  next: dockgate verify asks everything again, dockgate firewall show tells each rule and its line")


def _conclude(plan: Plan, report: Report, asked: Report, say: Callable[[str], None]) -> None:
    everything = (*report.steps, *asked.steps)
    failed = [item for item in everything if item.status == "failed"]
    undone = sum(len(item.undoing) for item in everything)
    skipped = sum(item.status == "skipped" for item in everything)
    done = sum(item.status == "done" and not isinstance(item.step.action, Prove) for item in everything)
    answering = sum(item.status == "done" and isinstance(item.step.action, Prove) for item in everything)
    if failed or plan.blocked:
        say(f"failed: {len(failed)}, undone: {undone}, skipped: {skipped}, blocked: {len(plan.blocked)}, done: {done}")
    else:
        changes = f"{done} {'change' if done == 1 else 'changes'}"
        waiting = sum(
            isinstance(item.step.action, Prove) and item.remark.startswith("answers 503") for item in everything
        )
        answers = f"{waiting} with 503 until a member is up" if waiting else "all answer"
        say(f"done: {changes}; {answering} load balancer{'s' * (answering != 1)} asked, {answers}")


def step_json(report: StepReport) -> dict[str, object]:
    """What became of a step, for a script."""
    return {
        "host": report.step.action.host,
        "action": type(report.step.action).__name__,
        "text": str(report.step.action),
        "cause": report.step.cause,
        "group": report.step.group,
        "status": report.status,
        "seconds": round(report.seconds, 3),
        "remark": report.remark,
        "why": report.why,
        "error": str(report.error) if report.error else "",
        "undone": [str(item.action) for item in report.undoing],
    }
