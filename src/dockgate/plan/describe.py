"""A plan as text: one line per action with its cause, by group. Golden file, dry run and log are this one text."""

from __future__ import annotations

from dockgate.model.plan import Plan, Step


def describe(plan: Plan) -> str:
    """The plan: for each group its steps, one a line; then what is blocked and what a person should know."""
    lines = ["nothing to do"] if plan.empty else []
    group = ""
    for step in plan.steps:
        if step.group != group:
            lines.append(step.group)
            group = step.group
        lines.append(describe_step(step))
    for item in plan.blocked:
        where = f" ({item.source})" if item.source else ""
        lines += [f"blocked: {item.what}{where}: {item.why}", f"  next: {item.hint}"]
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join(lines) + "\n"


def describe_step(step: Step) -> str:
    """One line: host, action, cause."""
    return f"  {step.action.host}: {step.action} - {step.cause}"
