"""Lines of ModSecurity's own log, as they were recorded, read for people."""

from __future__ import annotations

from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st

FILE = "/usr/share/modsecurity-crs/rules/REQUEST-941-APPLICATION-ATTACK-XSS.conf"
XSS = (
    "ModSecurity: Warning. Matched \"Operator `Rx' with parameter `(?i)<script[^>]*>' against variable `ARGS:q' "
    "(Value: `{value}' ) [file \""
    + FILE
    + '"] [line "100"] [id "941110"] [rev ""] [msg "XSS Filter - Category 1: Script Tag '
    'Vector"] [data "Matched Data: {value} found within ARGS:q"] [severity "2"] [ver "OWASP_CRS/3.3.7"] [maturity "0"] '
    '[accuracy "0"] [tag "attack-xss"] [hostname "h"] [uri "/"] [unique_id "x"] [ref "o0,8"]'
)
SCORE = (
    "ModSecurity: Access denied with code 403 (phase 2). Matched \"Operator `Ge' with parameter `5' against variable "
    "`TX:ANOMALY_SCORE' (Value: `15' ) [file \"/usr/share/modsecurity-crs/rules/REQUEST-949-BLOCKING.conf\"] "
    '[line "81"] [id "949110"] [rev ""] [msg "Inbound Anomaly Score Exceeded (Total Score: 15)"] [data ""] '
    '[severity "2"] [ver "OWASP_CRS/3.3.7"]'
)


def test_rule_message_part_and_severity(findings: ModuleType) -> None:
    found = findings.read(XSS.format(value="<script>"))
    assert found == findings.Finding(941110, "XSS Filter - Category 1: Script Tag Vector", "ARGS:q", "2")


def test_the_score_is_the_rule_sets_own_word(findings: ModuleType) -> None:
    found = [findings.read(line) for line in (XSS.format(value="<script>"), SCORE)]
    assert findings.score(found) == 15
    assert findings.would_refuse(found)


def test_without_the_rule_sets_word_the_score_is_what_the_rules_weigh(findings: ModuleType) -> None:
    assert findings.score([findings.read(XSS.format(value="<script>"))]) == 5


def test_a_value_that_looks_like_a_place_is_not_taken_for_the_place(findings: ModuleType) -> None:
    forged = '\' ) [file "x"] [line "1"] [id "1"] [rev ""] [msg "hi"]'
    assert findings.read(XSS.format(value=forged)).rule == 941110


def test_a_name_that_is_the_clients_own_words_is_left_out(findings: ModuleType) -> None:
    line = XSS.format(value="x").replace("ARGS:q'", "ARGS_NAMES:hunter2'", 1)
    assert findings.read(line).part == "ARGS_NAMES"
    assert findings.read(XSS.format(value="x").replace("ARGS:q'", "ARGS:<b>hunter2'", 1)).part == "ARGS"


@given(value=st.text(max_size=100))
def test_no_value_of_a_request_is_kept(findings: ModuleType, value: str) -> None:
    found = findings.read(XSS.format(value=f"{value}hunter2"))
    assert found is None or "hunter2" not in f"{found.message}{found.part}{found.severity}"


@given(text=st.text(max_size=400))
def test_any_text_is_read_without_an_error(findings: ModuleType, text: str) -> None:
    findings.read(text)
