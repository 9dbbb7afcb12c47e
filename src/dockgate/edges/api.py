"""What dockgate asks of one Docker engine: the seam between the controller and the outside.

The real ``Engine`` and the fake of the tests implement it. It must not decide anything, and no answer of it carries
a raw Docker structure. Invariant: every method either does all it says within its time limit or raises
``EngineError`` (``NotFound`` when the object it is about does not exist), naming the host, the attempt and the next
step. A container, a network or an image may be given by id or by name, except where something is removed: there it is
the id, and the mark on the object is read again first.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dockgate.model.objects import ContainerSpec, Kind, NetworkSpec
from dockgate.model.observed import Container, Labels, ObservedNetwork, SwarmRole, Volume
from dockgate.model.swarm import FileKind, ServiceSpec, SwarmFile, SwarmState

ROOT = "0"
"""The user for work on a configuration volume: its files belong to root, and HAProxy may only read them."""


@dataclass(frozen=True)
class EngineInfo:
    """Who answered: its version ("26.1.5"), the API version we speak with it, its part in a Swarm.

    ``node_address``: the IPv4 address by which the Swarm's other nodes know it, "" outside a Swarm. ``vxlan_port``: the
    UDP port of the Swarm's overlay networks; None on a worker, which does not tell.
    """

    version: str
    api: tuple[int, int]
    swarm: SwarmRole = "none"
    node_address: str = ""
    vxlan_port: int | None = None


@dataclass(frozen=True)
class ExecResult:
    """How a command in a container ended, and what it wrote."""

    code: int
    stdout: str = ""
    stderr: str = ""

    @property
    def output(self) -> str:
        """Both streams, for a person."""
        return "\n".join(part for part in (self.stdout.strip(), self.stderr.strip()) if part)


@dataclass(frozen=True)
class HelperSpec:
    """A short-lived container without a network that works on another's volumes, without capabilities.

    ``volumes_of``: the container whose volumes it gets; that one need not run. ``argv[0]`` is the program; the image's
    own entry point is not used. ``labels`` are of kind "helper".
    """

    image: str
    volumes_of: str
    argv: tuple[str, ...]
    labels: Labels
    user: str = ROOT


@dataclass(frozen=True)
class EngineEvent:
    """Something that happened on an engine. ``kind``: "container", "network", "volume", …; ``action``: Docker's word,
    e.g. "start", "kill", "die", "health_status: healthy". ``name``: the object's. ``signal``: the number of a "kill".
    """

    kind: str
    action: str
    id: str
    name: str = ""
    signal: int = 0


class Talk(Protocol):
    """A command that goes on running in a container, with its standard input and output in our hands."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str:
        """What it wrote, as it comes; "" once it has ended."""
        ...


class MembersApi(Protocol):
    """Calls on containers that are somebody else's, by name, for ``dockgate replace`` and nothing else."""

    async def copy(self, source: str, *, name: str, image: str, stand_in: bool, aliases: bool) -> None:
        """Create one like it, from another image. See ``edges.copying``."""
        ...

    async def start(self, container: str) -> None: ...

    async def stop(self, container: str, *, grace_s: int) -> None: ...

    async def rename(self, container: str, name: str) -> None: ...

    async def remove(self, container: str) -> None:
        """One that is not there is nothing to do."""
        ...


class SwarmApi(Protocol):
    """Calls on a Swarm through a manager, on objects with our mark, for ``dockgate run --swarm`` and nothing else."""

    async def state(self, project: str) -> SwarmState: ...

    async def put_file(self, file: SwarmFile, content: bytes, *, project: str) -> None:
        """Create a config or a secret; Swarm never changes one. A name that is taken is an error."""
        ...

    async def remove_file(self, kind: FileKind, name_or_id: str, *, project: str) -> None: ...

    async def create_service(self, spec: ServiceSpec) -> None: ...

    async def update_service(self, spec: ServiceSpec) -> None:
        """Its tasks are made anew, also where the specification is the same."""
        ...

    async def roll_back_service(self, name: str, *, project: str) -> None: ...

    async def remove_service(self, name_or_id: str, *, project: str) -> None: ...


class EngineApi(Protocol):
    """One Docker engine."""

    @property
    def host(self) -> str:
        """The host's name in the user's file."""
        ...

    @property
    def members(self) -> MembersApi: ...

    @property
    def swarm_calls(self) -> SwarmApi: ...

    async def info(self) -> EngineInfo: ...

    async def containers(self) -> tuple[Container, ...]:
        """All containers, running or not, sorted by name."""
        ...

    async def ours(self, project: str, kind: Kind) -> tuple[Container, ...]:
        """The project's containers of one kind, running or not, sorted by name; no other container is asked about."""
        ...

    async def container(self, container: str) -> Container: ...

    async def networks(self) -> tuple[ObservedNetwork, ...]:
        """All networks sorted by name, without their ``containers`` (the list of containers tells those)."""
        ...

    async def volumes(self) -> tuple[Volume, ...]: ...

    async def images(self) -> frozenset[str]:
        """Every repository:tag, and every repository@digest."""
        ...

    async def create_network(self, spec: NetworkSpec) -> str:
        """Answers with the id. A name that is taken is an error, although Docker would allow a namesake."""
        ...

    async def remove_network(self, network_id: str, *, project: str) -> None: ...

    async def create_volume(self, name: str, labels: Labels) -> None: ...

    async def remove_volume(self, name: str, *, project: str) -> None: ...

    async def create_container(self, spec: ContainerSpec) -> str:
        """Created, not started, on the first of its networks. Answers with the id."""
        ...

    async def start_container(self, container: str) -> None:
        """From now on it comes back with Docker and with the host. Nothing else happens to one that runs."""
        ...

    async def stop_container(self, container: str, *, grace_s: int) -> None:
        """Its stop signal, at most ``grace_s`` seconds, then SIGKILL; it does not come back with Docker any more."""
        ...

    async def remove_container(self, container_id: str, *, project: str) -> None:
        """Ended if it still runs. Its named volumes stay."""
        ...

    async def connect(self, container: str, network: str) -> None: ...

    async def disconnect(self, container: str, network: str) -> None: ...

    async def exec(self, container: str, argv: Sequence[str], *, user: str = "", timeout_s: float = 10.0) -> ExecResult:
        """Run a command in a running container, without a shell; "" is the container's own user.

        There is no standard input: ending it does not survive TLS, nor the library's way through ssh. Hand data over
        in ``argv`` (at most 128 KiB an argument).
        """
        ...

    async def last_lines(self, container: str, *, since: int, most: int) -> tuple[str, ...]:
        """The last ``most`` lines that a container wrote from this second on (since 1970), oldest first. Not every log
        driver can be read."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """What happens from now on: whoever has entered misses nothing. Ends when the engine ends the stream."""
        ...

    def talk(self, container: str, argv: Sequence[str]) -> AbstractAsyncContextManager[Talk]:
        """Run a command that lasts. When we leave, or die, its standard input ends."""
        ...

    async def get_file(self, container: str, path: str) -> bytes:
        """Works on stopped containers, and in volumes; not in a tmpfs. NotFound when there is no such file."""
        ...

    async def put_files(self, container: str, directory: str, files: Mapping[str, bytes], *, own: bool = False) -> None:
        """Write files into a directory that exists: owner root, group HAProxy's, mode 0640. Also when stopped.
        ``own``: they are HAProxy's user's own and nobody else's, mode 0600."""
        ...

    async def run_helper(self, spec: HelperSpec, *, timeout_s: float = 30.0) -> ExecResult:
        """Run it to its end and remove it, whatever happened."""
        ...

    def save_image(self, image: str) -> AbstractAsyncContextManager[AsyncIterable[bytes]]:
        """The image as the chunks of a ``docker save`` archive."""
        ...

    async def load_image(self, archive: AsyncIterable[bytes]) -> None: ...

    async def build_image(self, image: str, folder: Path, arguments: Mapping[str, str]) -> None:
        """Build the folder's Dockerfile, with the folder as context and values for its ARGs."""
        ...

    async def pull_image(self, image: str) -> None:
        """Let the engine fetch it from its registry."""
        ...

    async def close(self) -> None:
        """End the connection; the next call makes a new one."""
        ...
