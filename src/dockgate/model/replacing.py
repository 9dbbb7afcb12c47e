"""Actions on members that are somebody else's, done because a person asked for it by name: ``dockgate replace``.

Plain data like those of ``actions``, each with one effect. ``host`` is where the effect is; members are told by name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CopyContainer:
    """Create one like ``source``, from ``image``. ``stand_in``: it may run beside its original, and carries our mark
    that it is one. ``aliases``: it is known by the original's other names too."""

    host: str
    source: str
    name: str
    image: str
    stand_in: bool = False
    aliases: bool = True

    def __str__(self) -> str:
        as_what = " as its stand-in" if self.stand_in else ""
        return f"create {self.name} like {self.source} from {self.image}{as_what}"


@dataclass(frozen=True)
class StartMember:
    host: str
    container: str

    def __str__(self) -> str:
        return f"start {self.container}"


@dataclass(frozen=True)
class StopMember:
    """Its own stop signal, then at most ``grace_s`` seconds."""

    host: str
    container: str
    grace_s: int = 10

    def __str__(self) -> str:
        return f"stop {self.container}"


@dataclass(frozen=True)
class RenameMember:
    """Only done to a container that does not run: on an overlay Docker cannot rename one that does."""

    host: str
    container: str
    name: str

    def __str__(self) -> str:
        return f"rename {self.container} to {self.name}"


@dataclass(frozen=True)
class RemoveMember:
    """It runs or not. One that is not there is nothing to do."""

    host: str
    container: str

    def __str__(self) -> str:
        return f"remove {self.container}"


@dataclass(frozen=True)
class AwaitHealthy:
    """It runs, and its HEALTHCHECK, if it has one, is good."""

    host: str
    container: str
    limit_s: int

    def __str__(self) -> str:
        return f"wait until {self.container} runs and is healthy"


@dataclass(frozen=True)
class AddServer:
    """A member that no name leads to, as a server of its own in the running HAProxy; lost with its process.
    ``weight``: of the member that it stands in for. ``options``: further words of its line, as its pool's servers have
    them."""

    host: str
    balancer: str
    pool: str
    server: str
    member_host: str
    member: str
    network: str
    port: int
    weight: int
    checked: bool
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"add {self.member} to pool {self.pool}"


@dataclass(frozen=True)
class AwaitServer:
    """HAProxy has a server at the member's address, and its check is good; it may be drained still."""

    host: str
    balancer: str
    pool: str
    member_host: str
    member: str
    network: str
    limit_s: int

    def __str__(self) -> str:
        return f"wait for the first good check of {self.member} in pool {self.pool}"


@dataclass(frozen=True)
class DrainServer:
    """Nothing new for it; done when what it has is finished, or the time is over. ``drop``: then take it out of the
    running HAProxy, which only a server that was added there can be. ``sticky``: not even from who sticks to it."""

    host: str
    balancer: str
    pool: str
    server: str
    limit_s: int
    drop: bool = False
    sticky: bool = False

    def __str__(self) -> str:
        return f"drain {self.server} in pool {self.pool}{' and take it out' if self.drop else ''}"


@dataclass(frozen=True)
class JudgeLoad:
    """The small load that runs meanwhile has not seen a failure so far."""

    host: str

    def __str__(self) -> str:
        return "see whether any request failed"


MemberAction = (
    CopyContainer
    | StartMember
    | StopMember
    | RenameMember
    | RemoveMember
    | AwaitHealthy
    | AddServer
    | AwaitServer
    | DrainServer
    | JudgeLoad
)
