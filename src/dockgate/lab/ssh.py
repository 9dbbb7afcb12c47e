"""ssh into the lab's hosts: `ops@dockerN.lab.lab`, a user that may use Docker.

Role: make the lab's keys and the client's files (in /run/NAME/ssh), start sshd on a host.
Must not: touch anybody's ~/.ssh. In the client, OpenSSH finds the lab's files by itself; a program with an ssh of its
own finds them with HOME=/run/NAME/ssh.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from dockgate.lab.address import DOMAIN, HostPlan, LabPlan
from dockgate.lab.process import run

USER = "ops"


def make_keys(plan: LabPlan, directory: Path) -> None:
    """Make one key for the hosts and one for `ops`, and the client's files that name them."""
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name in ("id_ed25519", "host_key"):
        if not (directory / name).exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{plan.name}", "-f", str(directory / name)]
            run(argv, attempt="making the lab's ssh keys")
    kind, public, *_ = (directory / "host_key.pub").read_text().split()
    known = [f"{host.name}.{DOMAIN},{host.name},{host.address} {kind} {public}" for host in plan.hosts]
    (directory / "known_hosts").write_text("\n".join(known) + "\n")
    (directory / "config").write_text(_config(directory))
    client = directory / "client.d"
    client.mkdir(exist_ok=True)
    (client / "lab.conf").write_text(_config(directory))
    with suppress(FileExistsError):
        (directory / ".ssh").symlink_to(".")


def install(directory: Path, run_directory: Path) -> None:
    """Put a host's key and the key of `ops` into the host's run directory."""
    target = run_directory / "ssh"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(directory / "host_key", target / "host_key")
    shutil.copy(directory / "id_ed25519.pub", target / "authorized_keys")
    (target / "host_key").chmod(0o600)
    (target / "authorized_keys").chmod(0o644)


def sshd(host: HostPlan) -> str:
    """The shell command that starts sshd on a host's LAN address."""
    options = {
        "ListenAddress": host.address,
        "HostKey": "/run/dockgate/ssh/host_key",
        "AuthorizedKeysFile": "/run/dockgate/ssh/authorized_keys",
        "PasswordAuthentication": "no",
        "AllowUsers": USER,
        "UsePAM": "no",
        "UseDNS": "no",
        "PidFile": "/run/sshd.pid",
        # `docker -H ssh://` opens a connection for each request; the defaults refuse a burst of them.
        "MaxStartups": "100",
        "MaxSessions": "100",
    }
    flags = " ".join(f"-o {name}={value}" for name, value in options.items())
    return f"env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin /usr/sbin/sshd {flags}\n"


def _config(directory: Path) -> str:
    return (
        f"Host *.{DOMAIN}\n"
        f"  User {USER}\n"
        f"  IdentityFile {directory}/id_ed25519\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {directory}/known_hosts\n"
        "  StrictHostKeyChecking yes\n"
    )
