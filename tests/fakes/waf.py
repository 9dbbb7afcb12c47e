"""A firewall's container that answers as its program does: what it makes of its rules, and how it stands.

The rules are really there (in the volume's folder); a file that holds ``SecMistake`` is what the engine does not
understand. ``lets_pass``: attacks that it does not refuse, as when its threshold is too high.
"""

from __future__ import annotations

import json
from pathlib import Path

from dockgate.edges.api import ExecResult
from dockgate.model.objects import WAF_RULES


def answer(folder: Path, verb: str, *, lets_pass: bool) -> ExecResult:
    if not (folder / "settings.json").is_file():
        return ExecResult(2, stdout=json.dumps({"error": "FileNotFoundError: settings.json"}))
    settings = json.loads((folder / "settings.json").read_text())
    if verb == "check":
        return _checked(folder)
    wanted = settings["processes"]
    said = {
        "engine": "3.0.14",
        "set": settings["rules"],
        "rules": 800,
        "judges": wanted,
        "wanted": wanted,
        "restarts": 0,
        "counts": {"passed": 7, "refused": 1, "would refuse": 0},
        "last": [],
        "canaries": ["let it pass" if lets_pass else "refused"] * wanted,
    }
    return ExecResult(0, stdout=json.dumps(said))


def _checked(folder: Path) -> ExecResult:
    for file in sorted(folder.iterdir()):
        lines = file.read_bytes().splitlines()
        for number, line in enumerate(lines, 1):
            if line.startswith(b"SecMistake"):
                mistake = {"file": f"{WAF_RULES}/{file.name}", "line": number, "error": "Invalid input: SecMistake"}
                return ExecResult(1, stdout=json.dumps(mistake))
    return ExecResult(0, stdout=json.dumps({"rules": 800}))
