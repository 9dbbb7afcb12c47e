"""The configurations of ``cases``, byte for byte. ``DOCKGATE_WRITE_GOLDEN=1`` writes them anew, for a diff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest
from tests.golden.haproxy.cases import CASES

from dockgate.haproxy.render import render
from dockgate.model.desired import HaproxyVersion

HERE = Path(__file__).parent


@pytest.mark.parametrize("version", get_args(HaproxyVersion))
@pytest.mark.parametrize("name", CASES)
def test_the_configuration_is_the_kept_one(name: str, version: HaproxyVersion) -> None:
    kept = HERE / f"{name}.{version}.cfg"
    text = render(CASES[name].tree(version)).text
    if os.environ.get("DOCKGATE_WRITE_GOLDEN"):
        kept.write_text(text)
    assert text == kept.read_text()
