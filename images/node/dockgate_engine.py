"""What the Docker engine of this host does in its kernel: which rules it is set to write, and which stand there.

Changes nothing. Settings come from the engine's own command line and its file, as dockerd reads them; rules from nft.
An engine that is not seen, or whose file cannot be read, has no settings: ``None``, never a guess.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROC = Path("/proc")
CONFIG = "/etc/docker/daemon.json"
SETTINGS = {"iptables": True, "userland-proxy": True, "ip-masq": True}
"""What we ask about, with what dockerd takes when nobody says anything."""
_TRUE = ("", "1", "t", "T", "true", "TRUE", "True")
CHAINS = (
    ("chain", "ip", "nat", "DOCKER"),
    ("chain", "ip6", "nat", "DOCKER"),
    ("table", "ip", "docker-bridges"),
    ("table", "ip6", "docker-bridges"),
)
"""Where Docker's own publishing stands: in iptables' tables, or in nftables' own from version 29 on."""


def state(pid: int, proc: Path = PROC) -> dict[str, Any]:
    """``pid``: of the engine, 0 when none is seen."""
    found = settings(pid, proc)
    return {
        "iptables": found["iptables"] if found else None,
        "proxy": found["userland-proxy"] if found else None,
        "masquerade": found["ip-masq"] if found else None,
        "rules": [" ".join(words[1:]) for words in CHAINS if _stands(words)],
        "forwarding": _switch(proc / "sys/net/ipv4/ip_forward"),
        "forwarding6": _switch(proc / "sys/net/ipv6/conf/all/forwarding"),
    }


def settings(pid: int, proc: Path = PROC) -> dict[str, bool] | None:
    """A flag of the command line before the file; dockerd refuses to start with both."""
    try:
        words = (proc / str(pid) / "cmdline").read_text().split("\0") if pid else []
        if not words:
            return None
        text = _file(proc / str(pid) / "root", words)
        said = json.loads(text) if text else {}
    except (OSError, ValueError):
        return None
    return {name: _flag(words, name, bool(said.get(name, usual))) for name, usual in SETTINGS.items()}


def _file(root: Path, words: Sequence[str]) -> str:
    """The text of the engine's file, "" when it has none."""
    path = next((words[at + 1] for at, word in enumerate(words[:-1]) if word == "--config-file"), CONFIG)
    path = next((word.partition("=")[2] for word in words if word.startswith("--config-file=")), path)
    try:
        return (root / path.lstrip("/")).read_text()
    except FileNotFoundError:
        return ""


def _flag(words: Sequence[str], name: str, otherwise: bool) -> bool:
    """As Go's flags: ``--iptables``, ``--iptables=false``; the last one counts."""
    for word in reversed(words):
        flag, _, value = word.partition("=")
        if flag == f"--{name}":
            return value in _TRUE
    return otherwise


def _stands(words: Sequence[str]) -> bool:
    return subprocess.run(["nft", "-t", "list", *words], capture_output=True, check=False).returncode == 0


def _switch(path: Path) -> bool:
    try:
        return path.read_text().strip() != "0"
    except OSError:
        return False
