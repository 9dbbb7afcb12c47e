"""One Docker engine, through its API and nothing else.

Each method is one thing Docker does, with a time limit, and every error of the library or the network becomes an
``EngineError`` that names the host, the attempt and the next step. It decides nothing and remembers nothing but the
connection. Invariant: nothing is removed before the mark on that very object (by id) has been read again.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import aiodocker
from aiodocker.containers import DockerContainer
from aiodocker.networks import DockerNetwork

from dockgate.edges import docker_json as wire
from dockgate.edges import endpoint, streams
from dockgate.edges.api import EngineEvent, EngineInfo, ExecResult, HelperSpec, MembersApi, SwarmApi, Talk
from dockgate.edges.archive_format import CHUNK, config_archive, folder_archive, only_file
from dockgate.edges.attempt import attempt, not_ours, short, too_old
from dockgate.edges.member_calls import MemberCalls
from dockgate.edges.settling import when_settled
from dockgate.edges.swarm_calls import SwarmCalls
from dockgate.errors import EngineError, NotFound
from dockgate.model.objects import LABEL_KIND, LABEL_PROJECT, ContainerSpec, Kind, NetworkSpec, is_ours
from dockgate.model.observed import Container, Labels, ObservedNetwork, Volume

OLDEST_API = (1, 41)
NEWEST_API = (1, 48)
"""Docker 20.10 and Docker 28: the range we know. A newer engine still speaks 1.48 when asked to."""

QUICK_S = 10.0
SLOW_S = 60.0
IMAGE_S = 600.0
AT_ONCE = 8
"""Calls at a time: through ssh each needs a session of its own, and sshd allows 10 on a connection."""


class Engine:
    """One engine. Made with a running event loop, ended with ``close``; it connects when it is first asked."""

    def __init__(self, host: str, url: str) -> None:
        self._host = host
        self._url = url
        self._client: endpoint.Client | None = None
        self._api: tuple[int, int] | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._opening = asyncio.Lock()
        self._starting = asyncio.Lock()

    @property
    def host(self) -> str:
        return self._host

    @property
    def members(self) -> MembersApi:
        return MemberCalls(self._host, lambda what, limit_s: self._call(what, limit_s=limit_s))

    @property
    def swarm_calls(self) -> SwarmApi:
        return SwarmCalls(self._host, self._call, lambda: self._api or OLDEST_API)

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
            self._api = None

    # what is there

    async def info(self) -> EngineInfo:
        async with self._call("read its version") as docker:
            version = await docker.version()
            system = await docker.system.info()
        assert self._api is not None
        role, address = wire.swarm_role(system), wire.node_address(system)
        return EngineInfo(str(version["Version"]), self._api, swarm=role, node_address=address,
                          vxlan_port=wire.vxlan_port(system))  # fmt: skip

    async def containers(self) -> tuple[Container, ...]:
        return await self._containers()

    async def ours(self, project: str, kind: Kind) -> tuple[Container, ...]:
        return await self._containers(label=[f"{LABEL_PROJECT}={project}", f"{LABEL_KIND}={kind}"])

    async def _containers(self, **wanted: list[str]) -> tuple[Container, ...]:
        async with self._call("list its containers") as docker:
            listed = [found.id for found in await docker.containers.list(all=True, filters=wanted)]
        found = await asyncio.gather(*map(self._if_there, listed))
        return tuple(sorted((each for each in found if each is not None), key=lambda each: each.name))

    async def _if_there(self, container_id: str) -> Container | None:
        """None when it vanished since it was listed."""
        try:
            return await self._inspect(container_id, limit_s=SLOW_S)
        except NotFound:
            return None

    async def container(self, container: str) -> Container:
        return await self._inspect(container, limit_s=QUICK_S)

    async def _inspect(self, container: str, *, limit_s: float) -> Container:
        """Docker answers nothing about a container while it starts it, which can take 20 s."""
        async with self._call(f"inspect container {short(container)}", limit_s=limit_s) as docker:
            return wire.container(await docker.containers.container(container).show())

    async def networks(self) -> tuple[ObservedNetwork, ...]:
        async with self._call("list its networks") as docker:
            found = [wire.network(each) for each in await docker.networks.list()]
        return tuple(sorted(found, key=lambda each: (each.name, each.id)))

    async def volumes(self) -> tuple[Volume, ...]:
        async with self._call("list its volumes") as docker:
            answer = await docker.volumes.list()
        found = [wire.volume(each) for each in answer.get("Volumes") or ()]
        return tuple(sorted(found, key=lambda each: each.name))

    async def images(self) -> frozenset[str]:
        async with self._call("list its images") as docker:
            answer = await docker.images.list()
        names = (name for image in answer for kind in ("RepoTags", "RepoDigests") for name in image.get(kind) or ())
        return frozenset(name for name in names if not name.startswith("<none>"))

    # networks and volumes

    async def create_network(self, spec: NetworkSpec) -> str:
        if any(network.name == spec.name for network in await self.networks()):
            raise EngineError(
                f"{self._host}: could not create network {spec.name}: there already is one of that name",
                hint="run `dockgate plan` again: the world has changed since this plan was made",
            )
        async with self._call(f"create network {spec.name}", limit_s=SLOW_S) as docker:
            return str((await docker.networks.create(wire.network_request(spec))).id)

    async def remove_network(self, network_id: str, *, project: str) -> None:
        async with self._call(f"remove network {short(network_id)}", limit_s=SLOW_S) as docker:
            network = await docker.networks.get(network_id)
            answer = await network.show()
            if answer["Id"] != network_id or not is_ours(Labels.of(answer.get("Labels")), project):
                raise not_ours(self._host, f"network {short(network_id)}", project)
            await network.delete()

    async def create_volume(self, name: str, labels: Labels) -> None:
        async with self._call(f"create volume {name}") as docker:
            await docker.volumes.create({"Name": name, "Labels": dict(labels.pairs)})
            answer = await (await docker.volumes.get(name)).show()
        # Docker answers with an existing namesake as if it had made it.
        if Labels.of(answer.get("Labels")) != labels:
            raise EngineError(
                f"{self._host}: could not create volume {name}: there already is one with other labels",
                hint=f"look at it with `docker volume inspect {name}`; rename or remove it if nobody needs it",
            )

    async def remove_volume(self, name: str, *, project: str) -> None:
        async with self._call(f"remove volume {name}") as docker:
            volume = await docker.volumes.get(name)
            if not is_ours(wire.volume(await volume.show()).labels, project):
                raise not_ours(self._host, f"volume {name}", project)
            await volume.delete()

    # containers

    async def create_container(self, spec: ContainerSpec) -> str:
        async with self._call(f"create container {spec.name}", limit_s=SLOW_S) as docker:
            request = wire.container_request(spec, self._api or OLDEST_API)
            return (await docker.containers.create(request, name=spec.name)).id

    async def start_container(self, container: str) -> None:
        await when_settled(partial(self._start_container, container))

    async def _start_container(self, container: str) -> None:
        async with self._starting, self._call(f"start container {short(container)}", limit_s=SLOW_S) as docker:
            await _come_back(docker, container, comes_back=True)
            await docker.containers.container(container).start()

    async def stop_container(self, container: str, *, grace_s: int) -> None:
        async with self._call(f"stop container {short(container)}", limit_s=SLOW_S + grace_s) as docker:
            await docker.containers.container(container).stop(t=grace_s)
            await _come_back(docker, container, comes_back=False)

    async def remove_container(self, container_id: str, *, project: str) -> None:
        async with self._call(f"remove container {short(container_id)}", limit_s=SLOW_S) as docker:
            handle = docker.containers.container(container_id)
            found = wire.container(await handle.show())
            if found.id != container_id or not is_ours(found.labels, project):
                raise not_ours(self._host, f"container {found.name}", project)
            await handle.delete(force=True)

    async def connect(self, container: str, network: str) -> None:
        # By name: a worker of a Swarm does not know an overlay's id before a container of its own is on it.
        async with self._call(f"connect {short(container)} to network {network}", limit_s=SLOW_S) as docker:
            await DockerNetwork(docker, network).connect({"Container": container})

    async def disconnect(self, container: str, network: str) -> None:
        async with self._call(f"disconnect {short(container)} from network {network}", limit_s=SLOW_S) as docker:
            await DockerNetwork(docker, network).disconnect({"Container": container})

    # inside containers

    async def exec(
        self, container: str, argv: Sequence[str], *, user: str = "", timeout_s: float = QUICK_S
    ) -> ExecResult:
        async with self._call(f"run {argv[0]} in {short(container)}", limit_s=timeout_s) as docker:
            run = await docker.containers.container(container).exec(list(argv), user=user)
            streams: dict[int, list[bytes]] = {1: [], 2: []}
            async with run.start() as stream:
                while (message := await stream.read_out()) is not None:
                    streams[message.stream].append(message.data)
            end = await run.inspect()
        if end["Running"] or end["ExitCode"] is None:
            raise EngineError(
                f"{self._host}: the connection ended while {argv[0]} ran in {short(container)}",
                hint="try again; if it happens again, look at the host's Docker log",
            )
        stdout, stderr = (b"".join(streams[number]).decode(errors="replace") for number in (1, 2))
        # Docker reports in the program's place, with a code of its own, that it could not even start it.
        if end["ExitCode"] in (126, 127) and stdout.startswith("OCI runtime exec failed"):
            raise EngineError(
                f"{self._host}: could not run {argv[0]} in {short(container)}: {stdout.strip()}",
                hint=f"see whether it runs, and what its image holds: docker inspect {short(container)}",
            )
        return ExecResult(code=int(end["ExitCode"]), stdout=stdout, stderr=stderr)

    async def last_lines(self, container: str, *, since: int, most: int) -> tuple[str, ...]:
        async with self._call(f"read the log of {short(container)}") as docker:
            log = docker.containers.container(container).log
            return tuple("".join(await log(stdout=True, stderr=True, since=since, tail=most)).splitlines())

    @asynccontextmanager
    async def talk(self, container: str, argv: Sequence[str]) -> AsyncIterator[Talk]:
        what = f"run {argv[0]} in {short(container)} and talk to it"
        async with streams.talk(self._call, self._attempt, what, container=container, argv=argv) as talk:
            yield talk

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        async with streams.events(self._call, self._attempt) as happening:
            yield happening

    async def get_file(self, container: str, path: str) -> bytes:
        async with self._call(f"read {path} of {short(container)}") as docker:
            content = only_file(await docker.containers.container(container).get_archive(path))
        if content is None:
            raise NotFound(
                f"{self._host}: {path} of {short(container)} is not a file", hint="look at it with `docker cp`"
            )
        return content

    async def put_files(self, container: str, directory: str, files: Mapping[str, bytes], *, own: bool = False) -> None:
        what = f"write {', '.join(sorted(files))} into {directory} of {short(container)}"
        archive = io.BytesIO(config_archive(files, own=own))
        async with self._call(what) as docker:
            await docker.containers.container(container).put_archive(directory, archive)

    async def run_helper(self, spec: HelperSpec, *, timeout_s: float = 30.0) -> ExecResult:
        what = f"run {spec.argv[0]} in a helper container beside {short(spec.volumes_of)}"
        async with self._call(what) as docker:
            helper = await docker.containers.create(wire.helper_request(spec))
        try:
            async with self._call(what, limit_s=timeout_s) as docker:
                return await _run_to_end(docker.containers.container(helper.id))
        finally:
            async with self._call(f"remove helper container {helper.id[:12]}", limit_s=SLOW_S) as docker:
                await docker.containers.container(helper.id).delete(force=True, v=True)

    # images

    @asynccontextmanager
    async def save_image(self, image: str) -> AsyncIterator[AsyncIterable[bytes]]:
        async with (
            self._call(f"save image {image}", limit_s=IMAGE_S) as docker,
            docker.images.export_image(image) as content,
        ):
            yield content.iter_chunked(CHUNK)

    async def load_image(self, archive: AsyncIterable[bytes]) -> None:
        async with self._call("load an image", limit_s=IMAGE_S) as docker:
            await docker.images.import_image(archive)

    async def build_image(self, image: str, folder: Path, arguments: Mapping[str, str]) -> None:
        context = await asyncio.to_thread(folder_archive, folder)
        async with self._call(f"build image {image} from {folder}", limit_s=IMAGE_S) as docker:
            await docker.images.build(
                fileobj=io.BytesIO(context), encoding="identity", tag=image, rm=True, buildargs=arguments
            )

    async def pull_image(self, image: str) -> None:
        async with self._call(f"pull image {image}", limit_s=IMAGE_S) as docker:
            await docker.images.pull(image)

    # the call around every call

    def _attempt(self, what: str, limit_s: float) -> AbstractAsyncContextManager[None]:
        """For what lasts: a time limit and our errors, without a place among the calls."""
        return attempt(self._host, self._url, what, limit_s=limit_s)

    @asynccontextmanager
    async def _call(self, what: str, *, limit_s: float = QUICK_S) -> AsyncIterator[aiodocker.Docker]:
        async with self._slots, attempt(self._host, self._url, what, limit_s=limit_s):
            yield await self._open()

    async def _open(self) -> aiodocker.Docker:
        """The client; the first call agrees on an API version with the engine."""
        async with self._opening:
            if self._client is None:
                self._client = endpoint.connect(self._host, endpoint.find(self._host, self._url))
            if self._api is None:
                major, _, minor = str((await self._client.docker.version())["ApiVersion"]).partition(".")
                offered = (int(major), int(minor))
                if offered < OLDEST_API:
                    raise too_old(self._host, offered, OLDEST_API)
                self._api = min(offered, NEWEST_API)
                self._client.docker.api_version = f"v{self._api[0]}.{self._api[1]}"
            return self._client.docker


async def _come_back(docker: aiodocker.Docker, container: str, *, comes_back: bool) -> None:
    """The library has no call for a container's update."""
    request = wire.restart_request(comes_back=comes_back)
    await docker._query_json(f"containers/{container}/update", method="POST", data=request)


async def _run_to_end(helper: DockerContainer) -> ExecResult:
    await helper.start()
    end = await helper.wait()
    stdout = "".join(await helper.log(stdout=True))
    stderr = "".join(await helper.log(stderr=True))
    return ExecResult(code=int(end["StatusCode"]), stdout=stdout, stderr=stderr)
