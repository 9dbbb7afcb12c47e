"""The client host: a place on the LAN with the machine's own files and tools.

Role: the command line that runs a program there. It lives in the client's network namespace and a private mount
namespace in which the lab's names resolve and any other look-up fails at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from dockgate.lab.address import LabPlan
from dockgate.lab.paths import LabPaths

_ENTER = r"""
mount --make-rslave / || exit 125
mount --bind "$1" /etc/hosts || exit 125
mount --bind "$2" "$(readlink -f /etc/resolv.conf)" || exit 125
if [ -d /etc/ssh/ssh_config.d ]; then mount --bind "$3" /etc/ssh/ssh_config.d || exit 125; fi
shift 3
exec "$@"
"""


def in_client(plan: LabPlan, paths: LabPaths, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in the client."""
    return [
        "nsenter", f"--net=/run/netns/{plan.client}", "unshare", "--mount", "--propagation=unchanged", "--",
        "sh", "-c", _ENTER, "client",
        str(paths.hosts_file), str(paths.resolv_conf), str(paths.ssh / "client.d"),
        *argv,
    ]  # fmt: skip
