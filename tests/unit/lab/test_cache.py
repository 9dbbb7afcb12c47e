"""The cache holds whole things only."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from dockgate.lab.cache import Cache, key, tree_key
from dockgate.lab.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_a_thing_is_made_once(cache: Cache) -> None:
    made: list[str] = []

    def build(target: Path) -> None:
        made.append("x")
        target.write_text("whole")

    with cache.held(QUIET):
        assert cache.make("a/thing", build).read_text() == "whole"
        assert cache.make("a/thing", build).read_text() == "whole"
    assert made == ["x"]


def test_a_build_that_breaks_off_leaves_nothing_under_the_name_and_is_cleared_away(cache: Cache) -> None:
    def build(target: Path) -> None:
        target.mkdir()
        (target / "half").write_text("half")
        raise InterruptedError

    with cache.held(QUIET), pytest.raises(InterruptedError):
        cache.make("thing", build)
    assert not (cache.root / "thing").exists()
    assert list((cache.root / "tmp").iterdir()) != []
    with cache.held(QUIET):
        assert list((cache.root / "tmp").iterdir()) == []


def test_a_second_process_waits_and_is_told_why(cache: Cache) -> None:
    told = io.StringIO()
    second_has_it = threading.Event()

    def second() -> None:
        with Cache(cache.root).held(Progress(stream=told)):
            second_has_it.set()

    with cache.held(QUIET):
        thread = threading.Thread(target=second)
        thread.start()
        assert not second_has_it.wait(0.1)
    assert second_has_it.wait(10)
    thread.join()


def test_keys_tell_parts_apart() -> None:
    assert key("ab", "c") != key("a", "bc")
    assert key("a") == key("a")


def test_a_trees_key_changes_with_names_contents_and_modes_but_not_with_times(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM x\n")
    first = tree_key(tmp_path)
    file.touch()
    assert tree_key(tmp_path) == first
    file.chmod(0o755)
    second = tree_key(tmp_path)
    file.write_text("FROM y\n")
    third = tree_key(tmp_path)
    file.rename(tmp_path / "Other")
    assert len({first, second, third, tree_key(tmp_path)}) == 4
