"""What may be asked of a web application firewall, and what is wrong with its settings and its rules."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from tests.unit.spec.reading import changed, desired, problems, read

from dockgate.model.waf import Exclusion, RulesFile, Waf
from dockgate.spec import SecretUnavailable
from dockgate.spec.own_rules import faults

RULE = 'SecRule ARGS "@rx x" "id:1001,phase:2,deny,msg:\'x\'"\n'


@dataclass(frozen=True)
class Files:
    """Files beside the user's, by their path."""

    contents: dict[str, bytes] = field(default_factory=dict)
    now: float = 0.0

    def read(self, name: str, most: int = 65_536) -> bytes:
        if name not in self.contents:
            raise SecretUnavailable(f"the file '{name}' does not exist", hint="create it")
        return self.contents[name]

    def names(self, folder: str) -> tuple[str, ...]:
        inside = [name.removeprefix(f"{folder}/") for name in self.contents if name.startswith(f"{folder}/")]
        if not inside:
            raise SecretUnavailable(f"the folder '{folder}' cannot be read: no such folder", hint="check its path")
        return tuple(sorted({name.partition("/")[0] for name in inside}))


def vip(settings: str, routes: str = "") -> str:
    return changed("    pool: site\n", f"    pool: site\n    waf: {settings}\n{routes}")


def test_on_alone_is_enough_and_settings_have_their_defaults() -> None:
    assert desired(vip("on")).vip("web").waf == Waf()
    assert desired(vip("detect")).vip("web").waf == Waf(mode="detect")
    assert desired(vip("off")).vip("web").waf is None


def test_a_route_alone_may_be_looked_at() -> None:
    made = desired(changed("    pool: site\n", "    pool: site\n    routes: [{path: /a, pool: site, waf: on}]\n"))
    assert made.vip("web").waf == Waf(mode="off")
    assert made.vip("web").routes[0].waf == "on"


def test_what_is_given_is_what_is_asked_for() -> None:
    made = desired(
        vip(
            "{mode: on, paranoia: 3, threshold: 7, processes: 4, fail: open, timeout: 300ms, body_limit: 128KB,"
            ' oversize: pass, exclusions: [{rules: [942100], path: /search/, argument: q}, {rules: ["1-3"]}]}'
        )
    )
    exclusions = (Exclusion(("942100",), "/search", "q"), Exclusion(("1-3",)))
    assert made.vip("web").waf == Waf("on", 3, 7, 4, "open", 300, 131_072, "pass", exclusions)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("yes", "must be"),
        ("{paranoia: 5}", "paranoia must be a whole number between 1 and 4"),
        ("{threshold: 0}", "threshold must be a whole number between 1 and"),
        ("{body_limit: 2MB}", "body_limit must be between 1KB and 1MB"),
        ("{exclusions: [{rules: []}]}", "must name at least one rule"),
        ("{exclusions: [{rules: [x]}]}", "must be a rule's id"),
        ('{exclusions: [{rules: ["3-1"]}]}', "must begin with the smaller id"),
        ('{exclusions: [{rules: ["1-3"], argument: q}]}', "1-3 is a span of them"),
        ("{own_rules: [own.conf]}", "the file 'own.conf' does not exist"),
        ("{own_rules: [own.txt]}", "must end with .conf or .data"),
        ("{rules: crs}", "the folder 'crs' does not exist"),
        ("{rulez: crs}", "rulez"),
    ],
)
def test_wrong_settings_are_told_at_their_place(settings: str, told: str) -> None:
    found = problems(vip(settings))
    assert found
    assert told in found[0], found
    assert found[0].startswith("f:")


def test_it_needs_a_port_that_speaks_http() -> None:
    tcp = changed("{port: 80}", "{port: 80, mode: tcp}").replace("    pool: site\n", "    pool: site\n    waf: on\n", 1)
    assert any("web.waf needs a port with mode http" in each for each in problems(tcp))


def test_own_rules_are_named_so_that_they_keep_their_order() -> None:
    files = Files({"b.conf": RULE.encode(), "words.data": b"x\n"})
    waf = read(vip("{own_rules: [b.conf, words.data]}"), files).desired.vip("web").waf
    assert waf is not None
    assert waf.own == (
        RulesFile("own-01-b.conf", "b.conf", RULE.encode()),
        RulesFile("words.data", "words.data", b"x\n"),
    )


def test_a_mistake_in_a_rule_is_told_with_its_line() -> None:
    files = Files({"own.conf": (RULE + "\nSecRuul x\n").encode()})
    (found,) = problems(vip("{own_rules: [own.conf]}"), files)
    assert "own.conf:3: 'SecRuul' has no place in a file of rules" in found


def test_an_unpacked_release_is_taken_with_its_settings_and_without_its_tests() -> None:
    release = {
        "crs/crs-setup.conf.example": b"# setup",
        "crs/rules/REQUEST-901-INITIALIZATION.conf": b"# OWASP CRS ver.4.29.0",
        "crs/rules/words.data": b"x",
        "crs/rules/README.md": b"x",
        "crs/tests/t.yaml": b"x",
    }
    waf = read(vip("{rules: crs}"), Files(release)).desired.vip("web").waf
    assert waf is not None
    assert [file.name for file in waf.rules] == [
        "set-crs-setup.conf",
        "set-REQUEST-901-INITIALIZATION.conf",
        "words.data",
    ]


def test_a_folder_that_is_no_release_is_told() -> None:
    files = Files({"crs/x.conf": b"", "crs/rules/x.conf": b""})
    assert "has no crs-setup.conf" in problems(vip("{rules: crs}"), files)[0]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (RULE + RULE, 2, "the id 1001 is that of the rule in line 1"),
        ('SecRule ARGS "@rx x" "phase:2,deny"', 1, "the rule has no id"),
        ('SecRule ARGS "@rx x" "id:942100,phase:2,deny"', 1, "belongs to the rule set"),
        ('SecRule ARGS "@rx x', 1, "a quote is opened and never closed"),
        ("SecRule ARGS", 1, "SecRule needs more than this"),
        ('SecRule ARGS "@rxx x" "id:7,phase:2,deny"', 1, "there is no operator @rxx"),
        ('SecRule ARGS "@rx (x" "id:7,phase:2,deny"', 1, "the expression is broken: missing )"),
        ('SecRule ARGS "(x" "id:7,phase:2,deny"', 1, "the expression is broken: missing )"),
        ("# a comment\n\nSecRuleEngine Off", 3, "has no place in a file of rules"),
        ("Include /etc/passwd", 1, "has no place in a file of rules"),
    ],
)
def test_what_is_plainly_wrong_with_rules_is_told(text: str, line: int, told: str) -> None:
    (found,) = faults(text)
    assert found[0] == line
    assert told in found[1]


def test_rules_over_several_lines_and_chains_are_no_mistake() -> None:
    text = 'SecRule ARGS "@rx \\"x\\"" \\\n  "id:7,phase:2,deny,chain"\n  SecRule ARGS:a "@rx y" "t:none"\n'
    assert list(faults(text)) == []
