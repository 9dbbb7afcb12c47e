"""What a person sees while the lab works."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dockgate.lab import preflight, progress
from dockgate.lab.errors import NotPossibleHere
from dockgate.lab.process import wait_until
from dockgate.lab.progress import Progress


def test_quick_steps_say_nothing_on_a_plain_stream() -> None:
    stream = io.StringIO()
    with Progress(stream=stream).step("blinking"):
        pass
    assert stream.getvalue() == ""


def test_a_slow_step_is_named_while_it_runs_and_timed_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SLOW", 0.01)
    stream = io.StringIO()
    with Progress(stream=stream).step("making [this]"):
        wait_until(lambda: "making [this] …" in stream.getvalue(), seconds=5, what="the step was not named")
    assert "making [this]: done in 0 s" in stream.getvalue()


def test_a_step_that_fails_is_not_called_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SLOW", 0.0)
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Progress(stream=stream).step("dividing"):
        raise ZeroDivisionError
    assert "done" not in stream.getvalue()


MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /var/cache rw - overlay overlay rw
31 30 0:27 / /var/cache/dockgate rw - tmpfs tmpfs rw
32 22 0:28 / /home rw - fuse.sshfs x rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/var/cache/other", "overlay"),
        ("/var/cache/dockgate/labs", "tmpfs"),
        ("/homework", "ext4"),
        ("/home", "fuse.sshfs"),
    ],
)
def test_the_file_system_that_holds_a_path_is_found(place: str, kind: str) -> None:
    assert preflight.file_system_of(Path(place), MOUNTINFO) == kind


def test_a_disk_that_cannot_hold_a_host_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "file_system_of", lambda place, mountinfo: "overlay")
    with pytest.raises(NotPossibleHere, match="DOCKGATE_CACHE"):
        preflight.check_disk(Path("/x"))
