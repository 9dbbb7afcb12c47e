"""Judge: what the policy says about a packet against what became of it.

Must not excuse anything: a job without a measurement fails, a probe that failed fails, and a refusal counts only if
the kernel names the very rule that the policy names, at the place that the policy names, while the target answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dockgate.firewall.evaluate import evaluate
from dockgate.firewall.render import LONGEST_COMMENT, safe
from dockgate.firewall.tables import comment_of
from dockgate.model.policy import Policy, Rule

from .model import HOST, Cell, Decided, Expected, Hop, Job, Measured, Question, Result

_STOPPED = {"drop": ("dropped",), "reject": ("refused", "unreachable")}


def expect(policy: Policy, hops: Iterable[Hop]) -> Expected | None:
    """The first place that stops it, else the last one that has a word on it; None if no rule is about it anywhere."""
    found: Expected | None = None
    for hop in hops:
        decision = evaluate(policy, hop.place.facts, hop.flow)
        if decision.rule is None:
            continue
        found = Expected(decision.verdict, decision.rule, hop.place)
        if decision.verdict != "allow":
            return found
    return found


def judge(jobs: Sequence[Job], measured: Sequence[Measured | None]) -> tuple[Result, ...]:
    """One result for each job, in order."""
    return tuple(judge_one(job, found) for job, found in zip(jobs, measured, strict=True))


def judge_one(job: Job, measured: Measured | None) -> Result:
    if measured is None:
        return Result(job, None, "probe failed", "it was not measured")
    if measured.outcome == "probe failed":
        return Result(job, measured, "probe failed", measured.error or "the probe could not be sent")
    if isinstance(job, Question):
        return _question(job, measured)
    arrived = measured.outcome == "open" or (measured.outcome == "dropped" and _silently_there(job, measured))
    if job.expected.verdict == "allow":
        return _allowed(job, measured, arrived)
    return _stopped(job, measured, arrived)


def _silently_there(job: Cell, measured: Measured) -> bool:
    """Nobody answered, but the target saw this very packet. A host sees one before its own rules do, so there it counts
    only if nothing dropped it, and for UDP alone: TCP and ICMP would have been answered."""
    if job.shown_as not in measured.seen_as:
        return False
    dropped = any(item.verdict == "drop" for item in measured.decided)
    return job.target.namespace != HOST or (job.protocol == "udp" and not dropped)


def _question(job: Question, measured: Measured) -> Result:
    if job.betrays in measured.text:
        return Result(job, measured, "wrong", job.why, final=True)
    if job.proves and job.proves not in measured.text:
        said = measured.text.partition("\r")[0][:40] or measured.error or measured.outcome
        return Result(job, measured, "not proven", f"it did not answer {job.proves!r} but: {said}")
    return Result(job, measured, "ok")


def _allowed(job: Cell, measured: Measured, arrived: bool) -> Result:
    if not arrived:
        by = next((str(item) for item in measured.decided if item.verdict == "drop"), "")
        return Result(
            job, measured, "wrong", f"stopped by {by}" if by else f"stopped by no rule that tells: {_said(measured)}"
        )
    others = [item for item in measured.decided if item.ours and item.rule and item.verdict == "accept"]
    at_place = [item for item in others if item.place == job.expected.place.name]
    if not any(is_rule(item, job.expected.rule) for item in at_place):
        by = str(at_place[0]) if at_place else "no rule of ours"
        return Result(job, measured, "wrong", f"let through by {by} at {job.expected.place.name}")
    if job.says_whom and job.shown_as not in measured.seen_as:
        whom = ", ".join(measured.seen_as) or "nobody"
        return Result(job, measured, "wrong", f"{job.target.name} saw {whom} in the place of {job.address}")
    return Result(job, measured, "ok")


def _stopped(job: Cell, measured: Measured, arrived: bool) -> Result:
    if arrived:
        by = next((str(item) for item in reversed(measured.decided) if item.ours and item.rule), "")
        why = f"let through by {by}" if by else "let through: no rule of ours stopped it"
        return Result(job, measured, "wrong", why, final=True)
    drops = [item for item in measured.decided if item.verdict == "drop"]
    right = [item for item in drops if _is_expected(job, item)]
    if drops and not right:
        return Result(job, measured, "wrong", f"stopped by {drops[0]} at {drops[0].place}")
    if not right:
        return Result(job, measured, "not proven", f"no rule was seen to stop it: {_said(measured)}")
    if measured.outcome not in _STOPPED[job.expected.verdict]:
        return Result(job, measured, "wrong", f"the rule says {job.expected.verdict}, the client got {_said(measured)}")
    if measured.control != "open":
        return Result(job, measured, "not proven", f"{job.target.name} itself gets no answer there: {measured.control}")
    return Result(job, measured, "ok")


def _is_expected(job: Cell, item: Decided) -> bool:
    return item.ours and item.place == job.expected.place.name and is_rule(item, job.expected.rule)


def is_rule(item: Decided, rule: Rule) -> bool:
    """By the comment that the rule carries in the kernel: file, line and name. Which folder the file was read from is
    no difference."""
    wanted = safe(comment_of(rule), LONGEST_COMMENT)
    return _without_folder(item.rule) == _without_folder(wanted)


def _without_folder(comment: str) -> str:
    place, space, name = comment.partition(" ")
    return place.rpartition("/")[2] + space + name


def _said(measured: Measured) -> str:
    return f"{measured.outcome}{f' ({measured.error})' if measured.error else ''}"
