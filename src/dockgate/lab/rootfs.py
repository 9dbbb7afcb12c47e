"""Root file systems made with mmdebstrap from the machine's own Debian mirror.

Role: the recipes (which suite, which packages, what is left out) and running them.
Must not: skip a signature check. The archive's keys are those of this machine's package debian-archive-keyring, which
apt has checked; where it is too old for a suite, the error says how to renew it.
Invariant: a recipe that is the same makes no second file system (see `cache`).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import cache
from dockgate.lab.apt import AptSetup, single_source
from dockgate.lab.errors import BuildFailed, NotPossibleHere
from dockgate.lab.process import bound_to_us, missing

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "bug", "i18n/locales", "zoneinfo", "bash-completion")


@dataclass(frozen=True)
class Recipe:
    """What a file system is made of; `variant` as in mmdebstrap(1), `hooks` run with the root as $1 at the end."""

    name: str
    suite: str
    packages: tuple[str, ...]
    variant: str = "essential"
    hooks: tuple[str, ...] = ()

    def key(self, setup: AptSetup) -> str:
        """The key in the cache; the mirror is part of it, since the file system names it."""
        return cache.key(repr(self), setup.mirror, *setup.options, *_LEFT_OUT)


HOST = Recipe(
    name="host",
    suite="trixie",
    packages=(
        "docker.io", "docker-cli", "iptables", "nftables", "conntrack", "iproute2", "iputils-ping", "procps",
        "openssh-server", "ca-certificates", "curl", "tini",
    ),
    variant="apt",
    hooks=(
        'chroot "$1" useradd --create-home --groups docker --shell /bin/bash --password "*" ops',
        'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id && : > "$1"/etc/machine-id',
    ),
)  # fmt: skip
"""A Docker host: the engine of Debian trixie, what it calls, sshd, and a few tools to look around with."""


def make_directory(recipe: Recipe, setup: AptSetup, target: Path) -> None:
    """Make a file system as a directory."""
    _mmdebstrap(recipe, setup, target, form="directory")


def make_archive(recipe: Recipe, setup: AptSetup, target: Path) -> None:
    """Make a file system as a tar archive."""
    _mmdebstrap(recipe, setup, target, form="tar")


def packages_of(root_archive: Path, package: str) -> str:
    """The installed version of `package` in an archive made here, '' if it is not in it."""
    done = subprocess.run(
        ["tar", "-xOf", str(root_archive), "./var/lib/dpkg/status"], capture_output=True, text=True, check=False
    )
    for stanza in done.stdout.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Package") == package:
            return fields.get("Version", "")
    return ""


def _mmdebstrap(recipe: Recipe, setup: AptSetup, target: Path, *, form: str) -> None:
    attempt = f"making the file system {recipe.name} of Debian {recipe.suite}"
    if not KEYRING.is_file():
        raise NotPossibleHere(
            f"{KEYRING} is missing", attempt=attempt, next_step="apt-get install debian-archive-keyring"
        )
    options = [*setup.options, 'APT::Install-Recommends "false";']
    argv = [
        "mmdebstrap", "--quiet", "--mode=root", f"--format={form}", f"--variant={recipe.variant}",
        f"--keyring={KEYRING}", "--skip=check/empty",
        *(f"--aptopt={option.rstrip(';')}" for option in options),
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _LEFT_OUT),
        *(f"--include={package}" for package in _with_certificates(recipe, setup)),
        *(f"--customize-hook={hook}" for hook in (*_certificate_hooks(setup), *recipe.hooks)),
        recipe.suite, str(target), single_source(setup.mirror, recipe.suite),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            bound_to_us(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise missing("setpriv", attempt=attempt) from error
    if done.returncode != 0:
        raise failure(done.stderr, attempt=attempt, setup=setup)
    if form == "directory":
        target.chmod(0o755)


def _with_certificates(recipe: Recipe, setup: AptSetup) -> tuple[str, ...]:
    if setup.mirror.startswith("https") and "ca-certificates" not in recipe.packages:
        return (*recipe.packages, "ca-certificates")
    return recipe.packages


def _certificate_hooks(setup: AptSetup) -> tuple[str, ...]:
    """With an https mirror the images built from this file system must trust what the machine trusts."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if setup.mirror.startswith("https") and Path(bundle).is_file():
        return (f'cp {bundle} "$1"{bundle}',)
    return ()


def failure(said: str, *, attempt: str, setup: AptSetup) -> BuildFailed:
    errors = [line for line in said.splitlines() if line.startswith(("E:", "W:", "Err:"))] or said.splitlines()
    if "NO_PUBKEY" in said or "not signed" in said:
        step = "The archive's keys here are too old: apt-get update && apt-get install debian-archive-keyring"
    elif "Could not resolve" in said or "Failed to fetch" in said or "Could not connect" in said:
        step = f"Check that this machine reaches its mirror ({setup.mirror}): apt-get update. Then run it again."
    else:
        step = "Run it again; what was finished is kept."
    return BuildFailed(" / ".join(errors[-4:]) or "mmdebstrap failed", attempt=attempt, next_step=step)
