"""What scenarios about HTTP say: one VIP on docker1 with a plain member, asked for heads and for what arrived."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.scenarios.stage import Stage, eventually

HEAD = """\
project: webs
hosts:
  docker1: {engine: "unix:///run/dockgate-lab/docker1/docker.sock", address: 192.168.50.11}
networks:
  back: {driver: bridge}
"""
CLIENT = "192.168.50.100"
URL = "http://docker1.lab.lab:8090"
PLAIN = "vips:\n  web: {listen: [{port: 8090}], pool: site}\n"
POOLS = "pools:\n  site: {network: back, port: 80, members: [site1, site2]}\n"


def up(stage: Stage, vips: str = PLAIN, pools: str = POOLS) -> Path:
    """The file in force, with both members up."""
    file = stage.write(f"{HEAD}{vips}{pools}")
    stage.up(file)
    for name in ("site1", "site2"):
        stage.start("docker1", name, network="back")
    stage.members_up(file, "site1", "site2")
    stage.up(file)
    eventually(lambda: stage.get(f"{URL}/")[0] > 0, "the VIP answers")
    return file


def head(stage: Stage, url: str, *words: str) -> tuple[int, dict[str, str]]:
    """Status and headers of one answer, names in lower case."""
    lines = stage.curl("-D", "-", "-o", "/dev/null", *words, url).stdout.splitlines()
    assert lines, f"no answer from {url}"
    pairs = [line.partition(":") for line in lines[1:] if ":" in line]
    return int(lines[0].split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def arrived(stage: Stage, url: str, *words: str) -> dict[str, Any]:
    """How a request looked when it arrived at a member; the path must end in /info there."""
    status, body = stage.get(url, *words)
    assert status == 200, f"{url} was answered with {status}: {body}"
    found: dict[str, Any] = json.loads(body)
    found["headers"] = {name.lower(): value for name, value in found["headers"]}
    return found
