"""What lies in a firewall's volume: its settings, the order of its rules, and what the user's file asks of them.

Must not: hold anything of a secret. Invariant: the same request gives the same bytes, and every byte is covered by the
digest that is part of the container's hash: another rule set is another container.

The order of the rules: the engine's own, the rule set's settings, ours, exclusions by path; where the rule set begins
(901), the user's own, the rule set's rules; at last the exclusions that hold everywhere, which need the rules to be
there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from dockgate.model.waf import Exclusion, RulesFile, Waf

ENGINE = "/usr/local/lib/dockgate/engine.conf"
DEBIANS_SETUP = "/etc/modsecurity/crs/crs-setup.conf"
DEBIANS_RULES = "/usr/share/modsecurity-crs/rules/"
BEFORE, AFTER = "dockgate-before.conf", "dockgate-after.conf"
OURS = "(dockgate)"
SET_PREFIX = "set-"
FIRST_ID = 200_100
"""Ids 200000 to 200999 are ours."""


def files_of(waf: Waf) -> tuple[RulesFile, ...]:
    """Everything but the name of the sockets, which comes from the digest of this."""
    made = {BEFORE: _before(waf), AFTER: _after(waf), "order": _order(waf)}
    ours = tuple(RulesFile(name, OURS, text.encode()) for name, text in made.items())
    return tuple(sorted((*ours, *waf.rules, *waf.own), key=lambda file: file.name))


def digest_of(files: tuple[RulesFile, ...], waf: Waf) -> str:
    digest = hashlib.sha256(f"{waf.processes} {rule_set(waf)}".encode())
    for file in files:
        digest.update(f"\0{file.name}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()[:16]


def settings_file(waf: Waf, socket_name: str) -> RulesFile:
    text = json.dumps({"name": socket_name, "processes": waf.processes, "rules": rule_set(waf)}, sort_keys=True)
    return RulesFile("settings.json", OURS, text.encode())


def rule_set(waf: Waf) -> str:
    """What the rules are called on the screen."""
    if not waf.rules:
        return "OWASP CRS of Debian"
    for file in waf.rules:
        found = re.search(
            rb"(?:OWASP_CRS/|OWASP ModSecurity Core Rule Set ver\.|OWASP CRS ver\.)\s*([0-9.]+[0-9])", file.content
        )
        if found:
            return f"OWASP CRS {found[1].decode()} from {waf.rules_place}"
    return f"rules from {waf.rules_place}"


def _order(waf: Waf) -> str:
    rules = DEBIANS_RULES if not waf.rules else SET_PREFIX
    setup = DEBIANS_SETUP if not waf.rules else f"{SET_PREFIX}crs-setup.conf*"
    first, rest = (f"{rules}REQUEST-90[01]*.conf", [f"{rules}REQUEST-90[2-9]*.conf", f"{rules}REQUEST-9[1-9]*.conf"])
    # A response is not looked at, but the rules that add up and report a request's score stand among those for it.
    names = [ENGINE, setup, BEFORE, first, *(file.name for file in waf.own if _is_rules(file)), *rest]
    return "\n".join([*names, f"{rules}RESPONSE-980*.conf", AFTER]) + "\n"


def _is_rules(file: RulesFile) -> bool:
    return file.name.endswith(".conf")


def _before(waf: Waf) -> str:
    sets = [
        *_both("900000", "tx.paranoia_level", "tx.blocking_paranoia_level", waf.paranoia),
        f"setvar:tx.inbound_anomaly_score_threshold={waf.threshold}",
    ]
    lines = [f'SecAction "id:{FIRST_ID},phase:1,nolog,pass,t:none,{",".join(sets)}"']
    lines += _by_path(waf.exclusions)
    return "\n".join(lines) + "\n"


def _both(_: str, old: str, new: str, value: int) -> Iterator[str]:
    """Versions 3 and 4 of the rule set have other names for it."""
    yield f"setvar:{old}={value}"
    yield f"setvar:{new}={value}"


def _by_path(exclusions: tuple[Exclusion, ...]) -> Iterator[str]:
    """The path as a member sees it: decoded, without steps up, by whole segments."""
    for number, each in enumerate(exclusions, FIRST_ID + 1):
        if each.path is None:
            continue
        path = _quoted(each.path.rstrip("/"))
        steps = ",".join(_control(each))
        yield (
            f'SecRule REQUEST_FILENAME "@rx ^{path}(?:/|$)" '
            f'"id:{number},phase:1,nolog,pass,t:none,t:urlDecodeUni,t:normalizePath,{steps}"'
        )


def _control(each: Exclusion) -> Iterator[str]:
    for rule in each.rules:
        if each.argument is None:
            yield f"ctl:ruleRemoveById={rule}"
        else:
            yield f"ctl:ruleRemoveTargetById={rule};ARGS:{each.argument}"


def _after(waf: Waf) -> str:
    lines = ["# Exclusions that hold for every path."]
    for each in waf.exclusions:
        if each.path is not None:
            continue
        for rule in each.rules:
            if each.argument is None:
                lines.append(f"SecRuleRemoveById {rule}")
            else:
                lines.append(f'SecRuleUpdateTargetById {rule} "!ARGS:{each.argument}"')
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    return re.sub(r"([^A-Za-z0-9/_~-])", r"\\\1", path)
