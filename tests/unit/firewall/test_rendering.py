"""What could break the text of a rule set, and the evaluation that must not pass over what it does not know."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dockgate.cli import app
from dockgate.firewall import render
from dockgate.firewall.evaluate import Flow
from dockgate.firewall.render import safe
from dockgate.firewall.ruleset import Accept, Base, Chain, Goto, InSet, Line, Ruleset, Vmap
from dockgate.firewall.ruleset_eval import UnknownRule, run_flow

FLOW = Flow("eth0", "docker0", ip_address("192.0.2.1"), ip_address("172.17.0.2"), port=80)


def with_line(line: Line) -> Ruleset:
    return Ruleset((), (), (), (Chain("c_forward", (line,), Base("forward", -10)),))


def test_no_text_of_the_file_can_leave_its_quotes() -> None:
    line = Line(action=Accept(), counter=True, comment='a" drop; } table x \\ \n # é' + "x" * 300)
    text = render(with_line(line))
    said = text.split('comment "')[1].split('"')[0]
    assert len(said) <= 120
    assert said == safe(line.comment, 120)
    assert not set(said) & set("\n\\")


UNKNOWN = {
    "a chain that is not there": Line(action=Goto("c_nowhere")),
    "a set that is not there": Line((InSet(("daddr4",), "nothing"),), Accept()),
    "a map that is not there": Line(action=Vmap(("daddr4",), "nothing")),
    "a chain without end": Line(action=Goto("c_forward")),
    "a match of another kind": Line(("tcp",), Accept()),  # type: ignore[arg-type]
    "an action of another kind": Line((), "queue"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("line", UNKNOWN.values(), ids=UNKNOWN)
def test_the_evaluation_raises_on_what_it_does_not_know(line: Line) -> None:
    with pytest.raises(UnknownRule):
        run_flow(with_line(line), FLOW)


def test_show_lists_the_default_as_the_last_rule(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text("firewall: {default: deny}\n")
    for more in ([], ["--output", "json"]):
        result = CliRunner().invoke(app, ["firewall", "show", "--file", str(file), *more])
        assert result.exit_code == 0, result.output
        assert "default deny" in result.output


def test_show_refuses_a_host_that_the_file_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "dockgate.yaml"
    file.write_text("firewall: {default: deny}\n")
    result = CliRunner().invoke(app, ["firewall", "show", "--file", str(file), "--host", "docker9"])
    assert result.exit_code == 1
