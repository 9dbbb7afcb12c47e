"""The firewall in force: real packets, live connections, our own death, somebody's flush, and a host's reboot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest
from tests.scenarios.firewalled import (
    PUBLISHED,
    TO_PUBLISHED,
    URL,
    Walled,
)
from tests.scenarios.flows import all_flows, change_of_rules, still_flowing
from tests.scenarios.killed import steps_of, up_killed_after
from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab

pytestmark = pytest.mark.lab

REPLACE = """
import sys; sys.path.insert(0, "/usr/local/lib/dockgate")
import dockgate_firewall as f
text = f.Store().read("kept.json")["places"][0]["text"]
for _ in range(200):
    f.nft("-f", "-", feed=text)
"""


@pytest.fixture(scope="module")
def walled(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    stage = Stage(lab, tmp_path_factory.mktemp("walled"))
    walled = Walled(stage, stage.folder / "dockgate.yaml")
    try:
        walled.open()
        yield walled
    finally:
        stage.clear()


def test_default_deny_closes_all_but_the_vip_and_a_second_up_has_nothing_to_do(walled: Walled) -> None:
    assert walled.serves()
    assert not walled.client_reaches(PUBLISHED)
    assert "nothing to do" in walled.stage.plan(walled.file)


def test_up_ends_by_proving_what_its_new_rules_decide_and_nothing_when_none_are_new(walled: Walled) -> None:
    assert "firewall proved: " in walled.up(TO_PUBLISHED)
    assert "proved" not in walled.up(TO_PUBLISHED)
    assert "firewall proved: " in walled.up()


def test_up_fails_and_names_the_foreign_rule_that_stops_what_the_file_allows(walled: Walled) -> None:
    walled.up()
    hook, loner = "type filter hook forward priority -50;", walled.address("docker1", "loner")
    foreign = f"table inet foreign {{ chain forward {{ {hook} ip daddr {loner} drop; }}; }}"
    walled.lab.exec("docker1", ["nft", foreign], check=True)
    try:
        walled.stage.write(walled.text(TO_PUBLISHED), walled.file)
        said = walled.stage.up(walled.file, code=1)
        assert "inet foreign forward" in said
        assert "firewall NOT proved: " in said
    finally:
        walled.lab.exec("docker1", ["nft", "delete", "table", "inet", "foreign"], check=True)


def test_within_an_overlay_only_the_load_balancer_reaches_members(walled: Walled) -> None:
    member = walled.address("docker1", "walled1", "walled_net")
    near = walled.address("docker2", "walled2", "walled_net")
    assert walled.serves()
    assert not walled.reaches("docker2", "stranger", member, 80)
    assert not walled.reaches("docker2", "stranger", near, 80)


def test_an_overlay_frame_from_a_stranger_is_dropped_by_the_rule_that_says_so(walled: Walled) -> None:
    before = walled.counted("docker1", "no overlay traffic (VXLAN) from strangers")
    walled.client_sends(b"x" * 50, port=4789)
    assert walled.counted("docker1", "no overlay traffic (VXLAN) from strangers") == before + 1
    assert {body for _, body in (walled.stage.get(URL) for _ in range(4))} == {"walled1", "walled2"}


def test_ping_each_direction_is_a_decision_of_its_own(walled: Walled) -> None:
    assert walled.pings() == [(False, False), (True, False), (True, True)]


def test_a_connection_that_a_new_policy_forbids_dies_and_the_allowed_one_lives(walled: Walled) -> None:
    walled.up(TO_PUBLISHED)
    with walled.talk(PUBLISHED) as forbidden, walled.talk(8400) as allowed:
        walled.up()
        ended = time.time()
        assert not forbidden.goes_on()
        assert forbidden.answers[-1] < ended, "it answered after the policy had changed"
        assert allowed.goes_on()
    assert not walled.client_reaches(PUBLISHED)


def test_a_forbidden_live_flow_dies_within_a_second_of_the_change(walled: Walled) -> None:
    """TCP and UDP, begun outside and begun by the container, at both ends. Where more processes want to run than there
    are cores, the host's own commands wait for their turn, and three seconds must do."""
    with all_flows(walled) as ends:
        with change_of_rules(walled) as changed:
            walled.up()
        going_on = still_flowing(ends)
        lived = {name: one.seen[-1] - changed[0] for name, one in ends.items()}
    print("\n" + "\n".join(f"{name}: {seconds:+.3f} s" for name, seconds in lived.items()))
    assert going_on == []
    room = os.getloadavg()[0] <= (os.cpu_count() or 1)
    assert max(lived.values()) < (1.0 if room else 3.0), lived
    assert min(lived.values()) > -1.0, "the precondition is missing: it had died before the change"


def test_200_replaces_under_load_lose_no_request(walled: Walled) -> None:
    with walled.stage.load(URL, rate=300, connections=16) as load:
        done = walled.lab.docker("docker1", "exec", walled.node("docker1"), "python3", "-c", REPLACE)
        assert done.returncode == 0
        report = load.stop()
    assert report.failed == 0, report
    assert report.sent > 300


def test_rules_that_cut_the_vip_from_its_members_are_undone(walled: Walled) -> None:
    walled.up()
    before = {host: walled.table(host) for host in ("docker1", "docker2")}
    oops = "  drop: [{name: oops, from: walled_net, to: walled_net}]\n"
    walled.stage.write(walled.text() + oops, walled.file)
    said = walled.stage.up(walled.file, code=1)
    assert "with the new firewall" in said
    assert {host: walled.table(host) for host in before} == before
    eventually(walled.serves, "the VIP serves again")


def test_rules_that_nobody_confirms_are_taken_back_by_the_host_itself(walled: Walled) -> None:
    walled.up()
    before = walled.table("docker1")
    said = walled.up(TO_PUBLISHED, more=("--confirm", "15s"))
    assert "dockgate firewall confirm" in said
    assert walled.client_reaches(PUBLISHED)
    walled.loaded_again("docker1", before, within_s=25)
    assert not walled.client_reaches(PUBLISHED)


def test_rules_that_are_confirmed_stay(walled: Walled) -> None:
    walled.up(TO_PUBLISHED, more=("--confirm", "60s"))
    confirm(walled)
    assert states(walled) == {"docker1": "in force", "docker2": "in force"}
    assert walled.client_reaches(PUBLISHED)


def test_dockgate_killed_at_any_step_leaves_what_was_or_what_comes(walled: Walled) -> None:
    walled.up(TO_PUBLISHED)
    old = {host: walled.table(host) for host in ("docker1", "docker2")}
    walled.up()
    new = {host: walled.table(host) for host in ("docker1", "docker2")}
    for killed_after in (1, 3):
        walled.up(TO_PUBLISHED)
        walled.stage.write(walled.text(), walled.file)
        assert len(steps_of(walled.stage, walled.file)) > killed_after
        up_killed_after(walled.file, killed_after)
        for host in old:
            assert walled.table(host) in (old[host], new[host]), f"{host} after step {killed_after}"
        assert walled.serves()
    walled.up()
    assert {host: walled.table(host) for host in new} == new


def test_what_somebody_flushed_comes_back_and_the_absence_is_told(walled: Walled) -> None:
    walled.up()
    before = walled.table("docker2")
    walled.lab.exec("docker2", ["nft", "flush", "ruleset"], check=True)
    walled.loaded_again("docker2", before, within_s=10)
    told = eventually(lambda: [line for line in status(walled)["docker2"]["told"] if "not in force" in line], "told")
    assert "somebody removed or changed them" in told[-1]


def test_after_a_reboot_the_rules_are_there_without_dockgate(walled: Walled) -> None:
    walled.up()
    before = walled.table("docker2")
    walled.lab.power_off("docker2")
    walled.lab.power_on("docker2")
    walled.loaded_again("docker2", before, within_s=20)
    eventually(walled.serves, "the VIP serves")


def test_down_takes_our_tables_away(walled: Walled) -> None:
    walled.stage.dockgate("down", walled.file)
    for host in ("docker1", "docker2"):
        assert walled.table(host) == ""
    assert walled.client_reaches(PUBLISHED)


def confirm(walled: Walled) -> None:
    firewall(walled, "confirm")


def status(walled: Walled) -> dict[str, dict[str, list[str]]]:
    rows = json.loads(firewall(walled, "status", "-o", "json", code=None))
    return {row["host"]: row for row in rows}


def states(walled: Walled) -> dict[str, object]:
    return {host: row["state"] for host, row in status(walled).items()}


def firewall(walled: Walled, verb: str, *more: str, code: int | None = 0) -> str:
    return walled.stage.dockgate(f"firewall {verb}", walled.file, *more, code=code).stdout
