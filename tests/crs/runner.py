"""Run the Core Rule Set's regression tests through a load balancer and its firewall, byte for byte as they are written.

``python -m tests.crs.runner FOLDER HOST PORT [--json]``. The VIP watches (``waf: {mode: detect, paranoia: 4, …}``, see
``SETTINGS``) and shows what was found in the answer's header ``X-Waf-Rules``. A request that HAProxy refuses by itself
(400, before anything looks at it) counts as refused: what had to be found needs no finding any more.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.crs.stages import Stage, read

HEADER = b"x-waf-rules:"
OWN_RULES = """\
# What the regression tests expect to be set, as their own README says.
SecAction "id:1900,phase:1,pass,nolog,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,\\
setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,\\
setvar:tx.combined_file_sizes=65535,ctl:ruleRemoveById=910000"
"""
SETTINGS = "{mode: detect, paranoia: 4, timeout: 30s, body_limit: 200KB, oversize: pass, own_rules: [crs-tests.conf]}"
SNIPPET = "http-after-response set-header X-Waf-Rules %[var(txn.waf.rules)]"
TIMEOUT_S = 40.0
CLOSED = -1
BY_ITSELF = (400, 408, 413, CLOSED)
"""How HAProxy refuses what is no proper request: it says so, or (413 of HTTP/1.0) just hangs up."""
JUDGES = frozenset({949110, 949111})
"""Where one of these matched, the firewall would have answered 403 if it did more than watch."""


@dataclass(frozen=True)
class Outcome:
    """``by``: who answered: "member" when it was looked at, "haproxy" when it was refused before, "nobody" in time.
    ``why``: what is wrong."""

    name: str
    passed: bool
    by: str
    status: int
    why: str = ""


def run(stages: Iterable[Stage], host: str, port: int, *, at_once: int = 4) -> list[Outcome]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda stage: judge(stage, *ask(stage.request, host, port)), stages))


def ask(request: bytes, host: str, port: int) -> tuple[int, frozenset[int] | None]:
    """Status, and the rules that matched; None when nobody says. ``CLOSED`` when it is hung up on without a word."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer and (data := connection.recv(65_536)):
                answer += data
    except TimeoutError:
        return 0, None
    except OSError:
        return CLOSED, None
    if not answer:
        return CLOSED, None
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    status = int(head[0].split()[1]) if head[0].startswith(b"HTTP/") else 0
    said = next((line[len(HEADER) :] for line in head if line.lower().startswith(HEADER)), None)
    rules = None if said is None else frozenset(int(each) for each in said.decode().replace(" ", "").split(",") if each)
    return status, rules


def judge(stage: Stage, status: int, rules: frozenset[int] | None) -> Outcome:
    expected = stage.expected
    refused = status in BY_ITSELF and not rules
    by = "haproxy" if refused else "member" if status else "nobody"
    if refused:
        return Outcome(stage.name, True, by, status)
    if not status:
        return Outcome(stage.name, False, by, status, "no answer")
    found = rules or frozenset()
    missing, unwanted = sorted(expected.found - found), sorted(expected.absent & found)
    told = [f"not found: {missing}"] * bool(missing) + [f"found: {unwanted}"] * bool(unwanted)
    told += [f"found: {sorted(found)}"] * bool(expected.nothing and found)
    told += ["looks for a request's values in the log"] * expected.values
    statuses = {status, *((403,) if found & JUDGES else ())}
    if not expected.by_rules and expected.statuses and not statuses & expected.statuses:
        told.append(f"status {status}, not {sorted(expected.statuses)}")
    return Outcome(stage.name, not told, by, status, "; ".join(told))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    outcomes = run(read(asked.folder), asked.host, asked.port)
    if asked.json:
        print(json.dumps([asdict(each) for each in outcomes]))
        return 0
    failed = [each for each in outcomes if not each.passed]
    for each in failed:
        print(f"{each.name}: {each.why} ({each.status} by {each.by})")
    refused = sum(each.by == "haproxy" for each in outcomes)
    how = Counter(each.status for each in outcomes if each.by == "haproxy")
    share = 100 * (1 - len(failed) / len(outcomes))
    told = f"{len(outcomes)} stages, {refused} refused by HAProxy itself {dict(sorted(how.items()))}"
    print(f"{told}, {len(failed)} not passed: {share:.2f} % pass")
    return 0 if share >= 97 else 1


if __name__ == "__main__":
    sys.exit(main())
