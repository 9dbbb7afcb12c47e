"""A Docker engine in memory that keeps what it is told: containers, networks, volumes, images, and HAProxy in them.

Volumes are real directories, and what dockgate runs in a shell there is run by the real shell. It refuses what Docker
refuses (names taken, ports taken, missing images); see ``network.Faults`` for how to make it fail.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.certificates import fingerprint
from tests.fakes.firewall import FakeFirewall
from tests.fakes.haproxy import FakeHaproxy
from tests.fakes.members import FakeMembers
from tests.fakes.network import FakeNetwork, Killed
from tests.fakes.node import node
from tests.fakes.streams import FakeStreams
from tests.fakes.swarm import FakeSwarm
from tests.fakes.waf import answer as waf_answer

from dockgate.edges.api import EngineApi, EngineEvent, EngineInfo, ExecResult, HelperSpec, Talk
from dockgate.edges.firewall import PROGRAM
from dockgate.errors import EngineError, NotFound
from dockgate.model.objects import (
    ACTIVE_CONFIG,
    ADMIN_SOCKET,
    CONFIG_DIR,
    LABEL_KIND,
    MASTER_SOCKET,
    NODE_DIR,
    STATE_FILE,
    WAF_PROGRAM,
    WAF_RULES,
    ContainerSpec,
    Kind,
    NetworkSpec,
    is_ours,
)
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    ObservedNetwork,
    PublishedPort,
    SwarmRole,
    Volume,
)

START_TIME = "2026-01-02T03:04:05Z"


@dataclass
class FakeContainer:
    """What the engine keeps of a container. ``volume``, ``sockets``: the names of its volumes, or ""."""

    seen: Container
    volume: str = ""
    user: str = "99"
    haproxy: FakeHaproxy = field(default_factory=FakeHaproxy)
    sockets: str = ""

    @property
    def is_waf(self) -> bool:
        return self.seen.labels.get(LABEL_KIND) == "waf"


class FakeEngine(EngineApi):
    """One engine on a network of fakes."""

    def __init__(self, network: FakeNetwork, host: str, *, address: str, swarm: SwarmRole = "none") -> None:
        self.network = network
        self._host = host
        self.address = address
        self.swarm: SwarmRole = swarm
        self.kept: dict[str, FakeContainer] = {}
        self.local: dict[str, ObservedNetwork] = {}
        self.volume_labels: dict[str, Labels] = {}
        self.tags: set[str] = set()
        self.streams = FakeStreams(host)
        self.firewall = FakeFirewall()
        network.engines[host] = self
        for name in ("bridge", "host", "none"):
            self._add_network(NetworkSpec(name=name, driver="bridge"))

    @property
    def host(self) -> str:
        return self._host

    @property
    def members(self) -> FakeMembers:
        return FakeMembers(self)

    @property
    def swarm_calls(self) -> FakeSwarm:
        return FakeSwarm(self)

    # what a test puts there

    def add_container(
        self,
        name: str,
        *,
        image: str = "dockgate/web:1",
        networks: tuple[str, ...] = (),
        published: tuple[PublishedPort, ...] = (),
        labels: Labels | None = None,
        running: bool = True,
    ) -> Container:
        """A container of somebody else's."""
        number = len(self.kept) + 2
        places = tuple(Attachment(each, f"10.0.{len(self.network.engines)}.{number}") for each in networks)
        seen = Container(
            id=self.network.next_id(),
            name=name,
            image=image,
            state="running" if running else "exited",
            labels=labels or Labels(),
            attachments=places,
            published=published if running else (),
            wanted_ports=published,
            since=START_TIME,
        )
        self.kept[seen.id] = FakeContainer(seen)
        if running:
            self.streams.happen("container", "start", seen.id, name)
        return seen

    def kill(self, container: str, *, signal: int = 9) -> None:
        """``docker kill``: by SIGKILL it dies, by any other signal it lives until a test says otherwise."""
        found = self.find(container)
        self.streams.happen("container", "kill", found.seen.id, found.seen.name, signal=signal)
        if signal == 9:
            self.die(container)

    def die(self, container: str) -> None:
        found = self.find(container)
        places = tuple(replace(each, address="") for each in found.seen.attachments)
        found.seen = replace(found.seen, state="exited", published=(), attachments=places)
        self.streams.happen("container", "die", found.seen.id, found.seen.name)
        self.streams.hang_up(found.seen.id)

    def change(self, container: str, happening: str, **fields: Any) -> None:
        """It is so now, and Docker says so."""
        found = self.find(container)
        found.seen = replace(found.seen, **fields)
        self.streams.happen("container", happening, found.seen.id, found.seen.name)

    # what is there

    async def info(self) -> EngineInfo:
        async with self.called("info"):
            address = self.address if self.swarm != "none" else ""
            return EngineInfo("26.1.5", (1, 45), swarm=self.swarm, node_address=address)

    async def containers(self) -> tuple[Container, ...]:
        async with self.called("containers"):
            return tuple(sorted((each.seen for each in self.kept.values()), key=lambda each: each.name))

    async def ours(self, project: str, kind: Kind) -> tuple[Container, ...]:
        async with self.called(f"ours {kind}"):
            found = (each.seen for each in self.kept.values() if is_ours(each.seen.labels, project, kind))
            return tuple(sorted(found, key=lambda each: each.name))

    async def container(self, container: str) -> Container:
        async with self.called(f"container {container}"):
            return self.find(container).seen

    async def networks(self) -> tuple[ObservedNetwork, ...]:
        async with self.called("networks"):
            return tuple(sorted(self._networks().values(), key=lambda each: (each.name, each.id)))

    async def volumes(self) -> tuple[Volume, ...]:
        async with self.called("volumes"):
            return tuple(Volume(name, labels) for name, labels in sorted(self.volume_labels.items()))

    async def images(self) -> frozenset[str]:
        async with self.called("images"):
            return frozenset(self.tags)

    # networks and volumes

    async def create_network(self, spec: NetworkSpec) -> str:
        async with self.called(f"create_network {spec.name}"):
            if spec.name in self._networks():
                raise EngineError(f"{self._host}: could not create network {spec.name}: there already is one")
            if spec.driver == "overlay" and self.swarm != "manager":
                raise EngineError(f"{self._host}: could not create network {spec.name}: not a Swarm manager")
            return self._add_network(spec)

    async def remove_network(self, network_id: str, *, project: str) -> None:
        async with self.called(f"remove_network {network_id}"):
            found = next((each for each in self._networks().values() if each.id == network_id), None)
            if found is None:
                raise NotFound(f"{self._host}: could not remove network {network_id}: no such network")
            self._must_be_ours(found.labels, project, found.name)
            if any(found.name in each.seen.networks() for each in self.kept.values() if each.seen.state == "running"):
                raise EngineError(f"{self._host}: could not remove network {found.name}: it has active endpoints")
            (self.network.overlays if found.scope == "swarm" else self.local).pop(found.name)

    async def create_volume(self, name: str, labels: Labels) -> None:
        async with self.called(f"create_volume {name}"):
            if self.volume_labels.setdefault(name, labels) != labels:
                raise EngineError(f"{self._host}: could not create volume {name}: it is somebody else's")
            self._folder(name).mkdir(parents=True, exist_ok=True)

    async def remove_volume(self, name: str, *, project: str) -> None:
        async with self.called(f"remove_volume {name}"):
            if name not in self.volume_labels:
                raise NotFound(f"{self._host}: could not remove volume {name}: no such volume")
            self._must_be_ours(self.volume_labels[name], project, name)
            if any(name in (each.volume, each.sockets) for each in self.kept.values()):
                raise EngineError(f"{self._host}: could not remove volume {name}: volume is in use")
            del self.volume_labels[name]
            shutil.rmtree(self._folder(name))

    # containers

    async def create_container(self, spec: ContainerSpec) -> str:
        async with self.called(f"create_container {spec.name}"):
            if any(each.seen.name == spec.name for each in self.kept.values()):
                raise EngineError(f"{self._host}: could not create container {spec.name}: Conflict")
            if spec.image not in self.tags:
                raise NotFound(f"{self._host}: could not create container {spec.name}: No such image: {spec.image}")
            seen = Container(
                id=self.network.next_id(),
                name=spec.name,
                image=spec.image,
                state="created",
                labels=spec.labels,
                attachments=tuple(Attachment(name) for name in spec.networks[:1]),
                wanted_ports=spec.publish,
            )
            self.kept[seen.id] = FakeContainer(seen, volume=spec.config_volume, sockets=spec.sockets_volume)
            return seen.id

    async def start_container(self, container: str) -> None:
        async with self.called(f"start_container {container}"):
            found = self.find(container)
            if found.seen.state == "running":
                return
            self._need_ports(found.seen)
            runs = not found.volume or found.is_waf or found.haproxy.load(self._config(found))
            found.seen = replace(
                found.seen,
                state="running" if runs else "restarting",
                published=found.seen.wanted_ports if runs else (),
                attachments=tuple(self._placed(each) for each in found.seen.attachments),
                since=START_TIME,
            )
            self.streams.happen("container", "start", found.seen.id, found.seen.name)

    async def stop_container(self, container: str, *, grace_s: int) -> None:
        async with self.called(f"stop_container {container}"):
            found = self.find(container)
            if found.seen.state != "created":
                self.kill(container, signal=found.seen.stop_signal)
                self.die(container)

    async def remove_container(self, container_id: str, *, project: str) -> None:
        async with self.called(f"remove_container {container_id}"):
            found = self.find(container_id)
            if found.seen.id != container_id:
                raise EngineError(f"{self._host}: {container_id} is a name, not the id of what was seen")
            self._must_be_ours(found.seen.labels, project, found.seen.name)
            if found.seen.state == "running":
                self.kill(container_id)
            self.streams.happen("container", "destroy", found.seen.id, found.seen.name)
            del self.kept[found.seen.id]

    async def connect(self, container: str, network: str) -> None:
        async with self.called(f"connect {container} {network}"):
            found = self.find(container)
            if network not in {*self.local, *self.network.overlays}:
                raise NotFound(f"{self._host}: could not connect {found.seen.name}: network {network} not found")
            if network in found.seen.networks():
                raise EngineError(f"{self._host}: could not connect {found.seen.name}: already there")
            place = Attachment(network)
            if found.seen.state == "running":
                place = self._placed(place)
            attachments = sorted((*found.seen.attachments, place), key=lambda each: each.network)
            found.seen = replace(found.seen, attachments=tuple(attachments))

    async def disconnect(self, container: str, network: str) -> None:
        async with self.called(f"disconnect {container} {network}"):
            found = self.find(container)
            kept = tuple(each for each in found.seen.attachments if each.network != network)
            if kept == found.seen.attachments:
                raise EngineError(f"{self._host}: could not disconnect {found.seen.name}: not on {network}")
            found.seen = replace(found.seen, attachments=kept)

    # inside containers

    async def exec(self, container: str, argv: Sequence[str], *, user: str = "", timeout_s: float = 10.0) -> ExecResult:
        async with self.called(f"exec {_told(argv)}"):
            found = self.find(container)
            if found.seen.state != "running":
                raise EngineError(f"{self._host}: could not run {argv[0]}: container is not running")
            if argv[:2] == list(WAF_PROGRAM):
                lets_pass = self.network.faults.lets_attacks_pass
                return waf_answer(self._folder(found.volume), argv[2], lets_pass=lets_pass)
            if argv[:2] == list(PROGRAM):
                said = self.firewall.verb(argv[2], json.loads(argv[3]))
                return ExecResult(int("error" in said), stdout=json.dumps(said))
            if argv[:2] == ["python3", "-c"]:
                return ExecResult(0, stdout=json.dumps(node(self.network, "probe", json.loads(argv[3]))))
            if argv[0] == "python3":
                return ExecResult(0, stdout=json.dumps(node(self.network, argv[2], json.loads(argv[3]))))
            if argv[0] == "sh" and argv[4:5] == [CONFIG_DIR] and argv[-1] == ADMIN_SOCKET:
                return self._commit(found, argv[5])
            if argv[0] == "sh" and len(argv) > 6 and str(argv[6]).endswith(".sock"):
                return ExecResult(0, stdout=self._socket(found, line=argv[4], socket=argv[6]))
            if argv[0] == "sh" and STATE_FILE in argv:
                return ExecResult(0)  # the server state, on a tmpfs that nobody else reads
            return await self._run(found.volume, argv)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        async with self.called("events"):
            pass
        async with self.streams.events() as happening:
            yield happening

    async def last_lines(self, container: str, *, since: int, most: int) -> tuple[str, ...]:
        async with self.called(f"read the log of {container}"):
            self.find(container)
            return ()

    @asynccontextmanager
    async def talk(self, container: str, argv: Sequence[str]) -> AsyncIterator[Talk]:
        async with self.called(f"talk {argv[0]}"):
            found = self.find(container)
            if found.seen.state != "running":
                raise EngineError(f"{self._host}: could not run {argv[0]}: container is not running")
        if argv[0] == "bash":
            async with self.streams.lock(found.seen.id) as talk:
                yield talk
            return
        async with self.streams.socket(
            found.seen.id, lambda line: self._socket(found, line=line, socket=argv[4])
        ) as talk:
            yield talk

    async def get_file(self, container: str, path: str) -> bytes:
        async with self.called(f"get_file {path}"):
            if not self.find(container).volume:
                raise NotFound(f"{self._host}: could not read {path}: Could not find the file")
            self.streams.happen("container", "archive-path", self.find(container).seen.id)
            file = self._folder(self.find(container).volume) / path.removeprefix(f"{CONFIG_DIR}/")
            if not file.is_file():
                raise NotFound(f"{self._host}: could not read {path}: Could not find the file")
            return file.read_bytes()

    async def put_files(self, container: str, directory: str, files: Mapping[str, bytes], *, own: bool = False) -> None:
        async with self.called(f"put_files {' '.join(files)}"):
            if directory == NODE_DIR:
                self.firewall.candidates |= {name: json.loads(content) for name, content in files.items()}
                return
            assert directory == (WAF_RULES if self.find(container).is_waf else CONFIG_DIR)
            for name, content in files.items():
                (self._folder(self.find(container).volume) / name).write_bytes(content)

    async def run_helper(self, spec: HelperSpec, *, timeout_s: float = 30.0) -> ExecResult:
        async with self.called(f"run_helper {_told(spec.argv)}"):
            assert is_ours(spec.labels, spec.labels.get("dockgate.project") or "", "helper")
            volume = self.find(spec.volumes_of).volume
            if list(spec.argv[:2]) == list(WAF_PROGRAM):
                return waf_answer(self._folder(volume), spec.argv[2], lets_pass=False)
            return await self._run(volume, spec.argv)

    # images

    @asynccontextmanager
    async def save_image(self, image: str) -> AsyncIterator[AsyncIterable[bytes]]:
        async with self.called(f"save_image {image}"):
            if image not in self.tags:
                raise NotFound(f"{self._host}: could not save image {image}: No such image")
            yield _one(image.encode())

    async def load_image(self, archive: AsyncIterable[bytes]) -> None:
        async with self.called("load_image"):
            self.tags.add(b"".join([chunk async for chunk in archive]).decode())

    async def build_image(self, image: str, folder: Path, arguments: Mapping[str, str]) -> None:
        async with self.called(f"build_image {image} {dict(arguments)}"):
            self.tags.add(image)

    async def pull_image(self, image: str) -> None:
        async with self.called(f"pull_image {image}"):
            self.tags.add(image)

    async def close(self) -> None:
        """Nothing is open."""

    # how it all works

    @asynccontextmanager
    async def called(self, what: str) -> AsyncIterator[None]:
        faults, calls = self.network.faults, self.network.calls
        calls.append(f"{self._host}: {what}")
        number = len(calls)
        if self._host in faults.silent:
            await asyncio.Event().wait()
        if number == faults.kill_before:
            raise Killed(calls[-1])
        if self._host in faults.off or number == faults.fail_at or faults.fail(calls[-1]):
            raise EngineError(f"{self._host}: could not {what}: cannot reach its Docker engine")
        try:
            yield
        finally:
            if number == faults.kill_after:
                raise Killed(calls[-1])

    def find(self, container: str) -> FakeContainer:
        for found in self.kept.values():
            if container in (found.seen.id, found.seen.name):
                return found
        raise NotFound(f"{self._host}: No such container: {container}")

    def _must_be_ours(self, labels: Labels, project: str, name: str) -> None:
        if not is_ours(labels, project):
            raise EngineError(f"{self._host}: {name} does not carry the labels of project {project!r}")

    def _add_network(self, spec: NetworkSpec) -> str:
        network = ObservedNetwork(
            id=self.network.next_id(),
            name=spec.name,
            driver=spec.driver,
            scope="swarm" if spec.driver == "overlay" else "local",
            internal=spec.internal,
            attachable=spec.attachable,
            labels=spec.labels,
            gateway=spec.gateway,
            subnet=spec.subnet,
        )
        (self.network.overlays if spec.driver == "overlay" else self.local)[spec.name] = network
        return network.id

    def _networks(self) -> dict[str, ObservedNetwork]:
        """A worker lists an overlay only while a container of its own is on it."""
        here = {name for each in self.kept.values() if each.seen.state == "running" for name in each.seen.networks()}
        shared = {n: net for n, net in self.network.overlays.items() if self.swarm == "manager" or n in here}
        return {**self.local, **shared}

    def _placed(self, place: Attachment) -> Attachment:
        return place if place.address else replace(place, address=f"10.0.9.{self.network.made % 250 + 2}")

    def _need_ports(self, container: Container) -> None:
        addresses = {"0.0.0.0", self.address, *(each.gateway for each in self.local.values())}
        for port in container.wanted_ports:
            if port.host_address not in addresses:
                raise EngineError(f"{self._host}: could not start {container.name}: cannot assign requested address")
            for other in (each.seen for each in self.kept.values()):
                if any(_collide(port, taken) for taken in other.published):
                    raise EngineError(f"{self._host}: could not start {container.name}: port is already allocated")

    def _folder(self, volume: str) -> Path:
        return self.network.folder / self._host / volume

    def _config(self, container: FakeContainer) -> str:
        file = self._folder(container.volume) / ACTIVE_CONFIG
        return file.read_text() if file.is_file() else ""

    def _socket(self, container: FakeContainer, *, line: str, socket: str) -> str:
        if socket == MASTER_SOCKET:
            return container.haproxy.master(line, self._config(container))
        return container.haproxy.admin(line, lambda name: self.network.lookup(container.seen, name))

    def _commit(self, container: FakeContainer, name: str) -> ExecResult:
        """A certificate that was staged, over the runtime socket."""
        if f"/{name}" not in container.haproxy.text:
            return ExecResult(1, stdout="Can't replace a certificate which is not referenced by the configuration!")
        if self.network.faults.refuse_certificate:
            return ExecResult(1, stdout=self.network.faults.refuse_certificate)
        container.haproxy.certificates[name] = (self._folder(container.volume) / f"{name}.new").read_bytes()
        return ExecResult(0)

    def shown(self, container: FakeContainer, port: int) -> str:
        """The fingerprint of the first certificate of a port: what it took over its socket, else what it loaded."""
        found = re.search(rf"bind :{port} ssl crt {CONFIG_DIR}/(\S+)", container.haproxy.text)
        if not found:
            return ""
        file = self._folder(container.volume) / found[1]
        return fingerprint(container.haproxy.certificates.get(found[1]) or file.read_bytes())

    async def _run(self, volume: str, argv: Sequence[str]) -> ExecResult:
        """The real thing, in the directory that stands for the volume; HAProxy's judgement comes from the knob."""
        if argv[0] == "haproxy":
            return ExecResult(1, stderr=self.network.faults.refuse) if self.network.faults.refuse else ExecResult(0)
        here = [word.replace(CONFIG_DIR, str(self._folder(volume))) for word in argv]
        try:
            # In a thread, so that who is killed meanwhile leaves no process behind.
            done = await asyncio.to_thread(subprocess.run, here, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise EngineError(f"{self._host}: could not run {argv[0]}: OCI runtime exec failed") from error
        return ExecResult(done.returncode, done.stdout, done.stderr)


def _collide(one: PublishedPort, other: PublishedPort) -> bool:
    same = one.host_address == other.host_address or "0.0.0.0" in (one.host_address, other.host_address)
    return same and one.host_port == other.host_port


def _told(argv: Sequence[str]) -> str:
    """A command as it stands in the list of calls: what is said to a socket rather than the shell around it."""
    return argv[4] if argv[0] == "sh" and len(argv) > 6 else " ".join(argv[:3])


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk
