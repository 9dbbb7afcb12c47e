"""Errors say what, while doing what, and what next; and the machine is looked at before anything is made."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from dockgate import errors as shared
from dockgate.lab import preflight, rootfs
from dockgate.lab.apt import AptSetup
from dockgate.lab.errors import LabError, NotPossibleHere, ToolMissing

SETUP = AptSetup(mirror="http://mirror.example/debian", options=())


def test_an_error_names_the_object_the_attempt_and_the_next_step() -> None:
    error = LabError("docker1 did not boot", attempt="booting it", next_step="Read its log.")
    assert str(error) == "docker1 did not boot (while booting it)\n  next: Read its log."
    assert isinstance(error, shared.DockgateError)


def test_another_system_than_linux_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotPossibleHere, match="this is darwin, not Linux"):
        preflight.check_root()


def test_somebody_who_is_not_root_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotPossibleHere, match="sudo"):
        preflight.check_root()


@pytest.mark.parametrize(
    ("tool", "package"),
    [("mmdebstrap", "mmdebstrap"), ("ip", "iproute2"), ("nsenter", "util-linux"), ("ssh-keygen", "openssh-client")],
)
def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tool: str, package: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    with pytest.raises(ToolMissing, match=f"apt-get install {package}"):
        preflight.check_tools()


def test_all_missing_tools_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"ip", "mmdebstrap"} else f"/usr/bin/{name}")
    with pytest.raises(ToolMissing, match="apt-get install iproute2 mmdebstrap"):
        preflight.check_tools()


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("W: GPG error: … NO_PUBKEY 6ED0E7B82643E131", "debian-archive-keyring"),
        ("E: Failed to fetch http://… Could not resolve 'mirror.example'", "reaches its mirror"),
        ("E: something else", "Run it again"),
    ],
)
def test_a_file_system_that_cannot_be_made_says_what_to_do(said: str, step: str) -> None:
    error = rootfs.failure(said, attempt="making it", setup=SETUP)
    assert step in error.hint
    assert said[:20] in str(error)
