"""What a firewall is given: the same bytes for the same request, other bytes for any other."""

from __future__ import annotations

from dataclasses import replace

from dockgate.model.waf import Exclusion, RulesFile, Waf
from dockgate.waf.files import digest_of, files_of, rule_set


def text(waf: Waf, name: str) -> str:
    return next(file.content.decode() for file in files_of(waf) if file.name == name)


def digest(waf: Waf) -> str:
    return digest_of(files_of(waf), waf)


def test_the_same_request_gives_the_same_digest_and_another_another() -> None:
    own = RulesFile("own-01-a.conf", "a.conf", b"# one")
    changes = [
        Waf(),
        Waf(paranoia=2),
        Waf(threshold=6),
        Waf(processes=3),
        Waf(exclusions=(Exclusion(("1",)),)),
        Waf(own=(own,)),
        Waf(own=(replace(own, content=b"# two"),)),
    ]
    assert digest(Waf()) == digest(Waf())
    assert len({digest(each) for each in changes}) == len(changes)


def test_what_the_load_balancer_does_is_no_reason_for_another_firewall() -> None:
    assert digest(Waf()) == digest(Waf(mode="detect", fail="open", timeout_ms=5, body_limit=2048, oversize="pass"))


def test_the_users_rules_stand_behind_the_beginning_of_the_rule_set() -> None:
    own = (RulesFile("own-01-a.conf", "a.conf", b""), RulesFile("words.data", "words.data", b""))
    order = text(Waf(own=own), "order").split()
    assert [name.rpartition("/")[2] for name in order] == [
        "engine.conf",
        "crs-setup.conf",
        "dockgate-before.conf",
        "REQUEST-90[01]*.conf",
        "own-01-a.conf",
        "REQUEST-90[2-9]*.conf",
        "REQUEST-9[1-9]*.conf",
        "RESPONSE-980*.conf",
        "dockgate-after.conf",
    ]


def test_both_releases_are_told_the_paranoia_level() -> None:
    before = text(Waf(paranoia=3, threshold=9), "dockgate-before.conf")
    assert "setvar:tx.paranoia_level=3,setvar:tx.blocking_paranoia_level=3" in before
    assert "setvar:tx.inbound_anomaly_score_threshold=9" in before


def test_exclusions_hold_where_they_are_meant() -> None:
    waf = Waf(
        exclusions=(
            Exclusion(("942100", "920270-920274")),
            Exclusion(("941100",), argument="html"),
            Exclusion(("942200-942299",), path="/a.b/"),
            Exclusion(("942100",), path="/search", argument="q"),
        )
    )
    after = text(waf, "dockgate-after.conf").splitlines()[1:]
    assert after == [
        "SecRuleRemoveById 942100",
        "SecRuleRemoveById 920270-920274",
        'SecRuleUpdateTargetById 941100 "!ARGS:html"',
    ]
    before = text(waf, "dockgate-before.conf").splitlines()[1:]
    assert 'SecRule REQUEST_FILENAME "@rx ^/a\\.b(?:/|$)"' in before[0]
    assert before[0].endswith('ctl:ruleRemoveById=942200-942299"')
    assert before[1].endswith('ctl:ruleRemoveTargetById=942100;ARGS:q"')


def test_a_rule_set_of_the_users_says_its_release() -> None:
    rules = (RulesFile("set-REQUEST-901.conf", "crs/rules/REQUEST-901.conf", b"# OWASP CRS ver.4.29.0-dev"),)
    assert rule_set(Waf(rules=rules, rules_place="crs")) == "OWASP CRS 4.29.0 from crs"
    assert rule_set(Waf()) == "OWASP CRS of Debian"
