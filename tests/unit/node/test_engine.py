"""What the node container's program reads of the engine's settings, as far as it needs no kernel."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


def proc(tmp_path: Path, *flags: str, file: str = "", at: str = "etc/docker/daemon.json") -> Path:
    """An engine with process id 7."""
    home = tmp_path / "7"
    (home / "root" / at).parent.mkdir(parents=True)
    (home / "cmdline").write_text("\0".join(["dockerd", *flags, ""]))
    if file:
        (home / "root" / at).write_text(file)
    return tmp_path


def test_an_engine_writes_rules_and_runs_its_proxy_when_nobody_says_anything(
    engine: ModuleType, tmp_path: Path
) -> None:
    assert engine.settings(7, proc(tmp_path)) == {"iptables": True, "userland-proxy": True, "ip-masq": True}


@pytest.mark.parametrize("flag", ["--iptables=false", "--iptables=0", "--iptables=F"])
def test_a_flag_switches_its_rules_off(engine: ModuleType, tmp_path: Path, flag: str) -> None:
    assert engine.settings(7, proc(tmp_path, flag))["iptables"] is False


def test_the_last_flag_counts(engine: ModuleType, tmp_path: Path) -> None:
    assert engine.settings(7, proc(tmp_path, "--iptables=false", "--iptables"))["iptables"] is True


def test_its_file_switches_them_off_too(engine: ModuleType, tmp_path: Path) -> None:
    found = engine.settings(7, proc(tmp_path, file='{"iptables": false, "userland-proxy": false}'))
    assert found == {"iptables": False, "userland-proxy": False, "ip-masq": True}


@pytest.mark.parametrize("words", [("--config-file=/srv/d.json",), ("--config-file", "/srv/d.json")])
def test_another_file_is_read_where_the_engine_was_told_of_it(
    engine: ModuleType, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert engine.settings(7, proc(tmp_path, *words, file='{"iptables": false}', at="srv/d.json"))["iptables"] is False


def test_the_name_of_another_flag_is_not_taken_for_it(engine: ModuleType, tmp_path: Path) -> None:
    assert engine.settings(7, proc(tmp_path, "--ip6tables=false"))["iptables"] is True


def test_a_file_that_cannot_be_understood_tells_nothing(engine: ModuleType, tmp_path: Path) -> None:
    assert engine.settings(7, proc(tmp_path, file="{")) is None


def test_an_engine_that_is_not_seen_has_no_settings(engine: ModuleType, tmp_path: Path) -> None:
    assert engine.settings(0, tmp_path) is None
    assert engine.settings(8, tmp_path) is None
