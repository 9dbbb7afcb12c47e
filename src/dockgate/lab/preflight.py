"""Can this machine run a lab? Asked before anything is made.

Role: one clear error for each thing that is missing, naming the Debian package where there is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dockgate.lab.errors import NotPossibleHere, ToolMissing
from dockgate.lab.process import PACKAGES

_ATTEMPT = "checking whether this machine can run a lab"
_RUN_TOOLS = ("ip", "nsenter", "unshare", "mount", "cp", "setpriv", "ssh-keygen")
_BUILD_TOOLS = ("mmdebstrap", "apt-get", "apt-config", "gpgv", "tar")
_MODULES = (
    "overlay", "bridge", "br_netfilter", "veth", "vxlan", "nf_tables", "nft_chain_nat", "nft_compat", "nf_conntrack",
    "xt_addrtype", "xt_conntrack", "xt_MASQUERADE", "xt_nat", "xt_mark", "xt_u32", "xt_bpf",
)  # fmt: skip


def check_root() -> None:
    """NotPossibleHere unless this is Linux and we are root."""
    if not sys.platform.startswith("linux"):
        raise NotPossibleHere(
            f"this is {sys.platform}, not Linux", attempt=_ATTEMPT, next_step="Use a Linux machine or a virtual one."
        )
    if os.geteuid() != 0:
        raise NotPossibleHere(
            "the lab needs root: it makes namespaces and mounts",
            attempt=_ATTEMPT,
            next_step="Run the same command with sudo.",
        )


def check_tools() -> None:
    """ToolMissing if programs are not installed; it names all of them and their packages."""
    lacking = [tool for tool in (*_RUN_TOOLS, *_BUILD_TOOLS) if not shutil.which(tool)]
    if lacking:
        wanted = sorted({PACKAGES[tool] for tool in lacking})
        raise ToolMissing(", ".join(lacking), package=" ".join(wanted), attempt=_ATTEMPT)


def check_disk(place: Path) -> None:
    """NotPossibleHere if hosts cannot have their disks below `place`: overlayfs and Docker want a local file system."""
    kind = file_system_of(place, Path("/proc/self/mountinfo").read_text())
    if kind in {"overlay", "aufs", "nfs", "nfs4", "cifs", "9p", "vfat", "squashfs"} or kind.startswith("fuse"):
        raise NotPossibleHere(
            f"{place} is on a file system of type {kind}, which cannot hold a Docker host's disk",
            attempt=_ATTEMPT,
            next_step="Set DOCKGATE_CACHE to a directory on ext4, xfs, btrfs or tmpfs.",
        )


def file_system_of(place: Path, mountinfo: str) -> str:
    """The type of the file system that holds a path (which need not exist yet), by the text of mountinfo; '' if it
    names none."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount = Path(left.split()[4])
        if (mount == place or mount in place.parents) and len(mount.parts) >= best:
            best, found = len(mount.parts), right.split()[0]
    return found


def load_modules() -> None:
    """Ask for the kernel modules hosts need: they cannot load them from inside. What is built in needs none."""
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "--all", "--quiet", *_MODULES], capture_output=True, check=False)


def packages() -> tuple[str, ...]:
    """The Debian packages a machine must have for the lab."""
    wanted = {PACKAGES[tool] for tool in (*_RUN_TOOLS, *_BUILD_TOOLS)}
    return tuple(sorted(wanted | {"debian-archive-keyring", "ca-certificates"}))
