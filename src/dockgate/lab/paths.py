"""Where the lab keeps things on the machine.

Role: name every directory and file. Pure, but for reading DOCKGATE_CACHE and the place of this file.
Run-time things are in /run/NAME, hosts' disks and everything that can be made again in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab.errors import NotRight


def cache_dir() -> Path:
    """The cache: $DOCKGATE_CACHE or /var/cache/dockgate."""
    return Path(os.environ.get("DOCKGATE_CACHE") or "/var/cache/dockgate").absolute()


def recipes_dir() -> Path:
    """The directory of the Dockerfiles: $DOCKGATE_IMAGES or images/ of the checkout."""
    chosen = os.environ.get("DOCKGATE_IMAGES")
    place = Path(chosen) if chosen else Path(__file__).resolve().parents[3] / "images"
    if not place.is_dir():
        raise NotRight(
            f"{place} is not a directory",
            attempt="looking for the Dockerfiles of our images",
            next_step="Run dockgate from a checkout, or set DOCKGATE_IMAGES to its images/ directory.",
        )
    return place


@dataclass(frozen=True)
class LabPaths:
    """The places of one lab, made by `of`."""

    run: Path
    disks: Path

    @classmethod
    def of(cls, name: str) -> LabPaths:
        """The places of the lab `name`."""
        return cls(run=Path("/run") / name, disks=cache_dir() / "labs" / name)

    @property
    def state(self) -> Path:
        """The state file."""
        return self.run / "state.json"

    @property
    def hosts_file(self) -> Path:
        """What the client sees as /etc/hosts."""
        return self.run / "hosts"

    @property
    def resolv_conf(self) -> Path:
        """What the client sees as /etc/resolv.conf."""
        return self.run / "resolv.conf"

    @property
    def ssh(self) -> Path:
        """Keys and known_hosts of the lab."""
        return self.run / "ssh"

    def host(self, name: str) -> Path:
        """A host's run directory, seen in the host as /run/dockgate."""
        return self.run / name

    def socket(self, name: str) -> Path:
        """A host's Docker socket as the machine sees it."""
        return self.host(name) / "docker.sock"

    def power_cut(self, name: str) -> Path:
        """A file whose time of change is when the host lost power."""
        return self.host(name) / "power-cut"

    def disk(self, name: str) -> Path:
        """What a host keeps over a power cut."""
        return self.disks / name
