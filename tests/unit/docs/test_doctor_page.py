"""The doctor's page lists what the doctor says."""

from __future__ import annotations

import re
from typing import get_args

from tests.unit.docs.pages import ROOT

from dockgate.doctor.model import Cause


def test_the_doctors_page_lists_every_cause_and_no_other() -> None:
    section = (ROOT / "docs/doctor.md").read_text().partition("## What it finds")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([\w-]+)`", row)) == sorted(get_args(Cause))
