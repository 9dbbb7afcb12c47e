"""Kinds of hosts: which engine a host runs, whether that engine writes rules of its own, and what else is there.

Role: the choices, their recipes, and the words they are given in on the command line. Makes nothing.
Invariant: the usual kind is the recipe that every lab has; the others are made when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dockgate.lab.errors import NotRight
from dockgate.lab.rootfs import HOST, Recipe

USUAL_ENGINE = "26.1"
ENGINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "20.10": ("bookworm", ("docker.io=20.10.*", "mount")),
    USUAL_ENGINE: (HOST.suite, ("docker.io", "docker-cli")),
    "28.5": ("forky", ("docker.io=28.5.*", "docker-cli=28.5.*", "passwd", "mount", "hostname")),
}
"""Versions of the engine that Debian's archives have: the suite of each, and its packages there."""

_TRUSTED = 'chroot "$1" firewall-offline-cmd --set-default-zone=trusted'


@dataclass(frozen=True)
class Kind:
    """``iptables``: whether the engine writes rules (false: it runs with ``--iptables=false --ip6tables=false``).
    ``proxy``: whether it runs its userland proxy. ``firewalld``: whether that runs beside it."""

    engine: str = USUAL_ENGINE
    iptables: bool = True
    proxy: bool = True
    firewalld: bool = False

    def __str__(self) -> str:
        words = [f"engine {self.engine}"]
        words += [] if self.iptables else ["its iptables off"]
        words += [] if self.proxy else ["no userland proxy"]
        words += ["firewalld"] if self.firewalld else []
        return ", ".join(words)

    def recipe(self) -> Recipe:
        """What its file system is made of."""
        suite, packages = ENGINES[self.engine]
        others = tuple(name for name in HOST.packages if name not in ENGINES[USUAL_ENGINE][1])
        made = replace(HOST, suite=suite, packages=(*packages, *others))
        if self.engine == USUAL_ENGINE:
            made = HOST
        if not self.firewalld:
            return made
        return replace(made, packages=(*made.packages, "firewalld", "dbus"), hooks=(*made.hooks, _TRUSTED))

    def flags(self) -> tuple[str, ...]:
        """What its engine is started with."""
        rules = () if self.iptables else ("--iptables=false", "--ip6tables=false")
        return (*rules, *(() if self.proxy else ("--userland-proxy=false",)))

    def services(self) -> str:
        """The shell commands that start what runs beside the engine, before it."""
        if not self.firewalld:
            return ""
        # Without a service manager: the bus first, and nobody waits for the daemon but whoever asks it.
        return (
            "mkdir -p /run/dbus && rm -f /run/dbus/pid && dbus-daemon --system --fork\n"
            "rm -f /run/firewalld.pid && firewalld\n"
            "for turn in $(seq 100); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done\n"
            "firewall-cmd --state\n"
        )


USUAL = Kind()


def kinds_of(hosts: Iterable[str], engines: Iterable[str], common: Kind = USUAL) -> Mapping[str, Kind]:
    """Each host's kind, out of words such as ``28.5`` (every host) and ``docker2=20.10`` (that one); NotRight if a
    word names no host or no engine."""
    names = tuple(hosts)
    kinds = dict.fromkeys(names, common)
    for word in sorted(engines, key=lambda text: "=" in text):
        host, _, engine = word.rpartition("=")
        if host and host not in names:
            raise _wrong(f"the lab has no host {host!r}", "Its hosts are: " + ", ".join(names))
        if engine not in ENGINES:
            raise _wrong(f"there is no engine {engine!r} for the lab", "Choose one of: " + ", ".join(ENGINES))
        for name in (host,) if host else names:
            kinds[name] = replace(kinds[name], engine=engine)
    return kinds


def _wrong(what: str, next_step: str) -> NotRight:
    return NotRight(what, attempt="planning the lab", next_step=next_step)
