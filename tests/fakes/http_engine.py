"""A fake engine behind the real wire: Docker's HTTP API on a unix socket, so that the real client can be used with it.

What an engine keeps and refuses is ``FakeEngine``'s business; here is only how it is said: paths, status codes, streams
that are cut into frames. ``HttpFaults`` are those of a connection.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from tests.fakes import docker_answers as answers
from tests.fakes.engine import FakeEngine

from dockgate.edges.api import ExecResult, HelperSpec
from dockgate.errors import EngineError, NotFound
from dockgate.model.objects import LABEL_PROJECT
from dockgate.model.observed import Container

STARTED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class HttpFaults:
    """``slow_s``: how long every answer takes. ``nonsense``: every answer is no JSON. ``cut``: each ends early."""

    slow_s: float = 0.0
    nonsense: bool = False
    cut: bool = False


@dataclass
class _Exec:
    container: str
    argv: list[str]
    user: str
    talks: bool
    code: int | None = None


@dataclass
class _Helper:
    spec: HelperSpec
    result: ExecResult = field(default_factory=lambda: ExecResult(0))


class HttpEngine:
    """``engine`` at ``socket`` while ``served``."""

    def __init__(self, engine: FakeEngine, socket: Path) -> None:
        self.engine = engine
        self.socket = socket
        self.faults = HttpFaults()
        self.asked = 0
        self._execs: dict[str, _Exec] = {}
        self._helpers: dict[str, _Helper] = {}

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @asynccontextmanager
    async def served(self) -> AsyncIterator[HttpEngine]:
        app = web.Application(middlewares=[self._around], client_max_size=1 << 26)
        for method, path, handler in self._routes():
            for prefix in ("", "/v{api:[0-9.]+}"):
                app.router.add_route(method, prefix + path, handler)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(self.socket)).start()
            yield self
        finally:
            await runner.cleanup()

    def _routes(self) -> list[tuple[str, str, Handler]]:
        one = "/containers/{id}"
        return [
            ("GET", "/version", self._version),
            ("GET", "/info", self._info),
            ("GET", "/events", self._events),
            ("GET", "/containers/json", self._list),
            ("POST", "/containers/create", self._create),
            ("GET", f"{one}/json", self._inspect),
            ("POST", f"{one}/start", self._start),
            ("POST", f"{one}/stop", self._stop),
            ("POST", f"{one}/update", self._update),
            ("POST", f"{one}/rename", self._rename),
            ("POST", f"{one}/wait", self._wait),
            ("GET", f"{one}/logs", self._logs),
            ("DELETE", one, self._remove),
            ("GET", f"{one}/archive", self._read),
            ("PUT", f"{one}/archive", self._write),
            ("POST", f"{one}/exec", self._exec),
            ("POST", "/exec/{id}/start", self._exec_start),
            ("GET", "/exec/{id}/json", self._exec_end),
            ("GET", "/networks", self._networks),
            ("POST", "/networks/create", self._create_network),
            ("GET", "/networks/{id}", self._network),
            ("DELETE", "/networks/{id}", self._remove_network),
            ("POST", "/networks/{id}/connect", self._connect),
            ("POST", "/networks/{id}/disconnect", self._disconnect),
            ("GET", "/volumes", self._volumes),
            ("POST", "/volumes/create", self._create_volume),
            ("GET", "/volumes/{id}", self._volume),
            ("DELETE", "/volumes/{id}", self._remove_volume),
            ("GET", "/images/json", self._images),
            ("GET", "/images/{id:.+}/get", self._save),
            ("GET", "/images/{id:.+}/json", self._image),
            ("POST", "/images/load", self._load),
            ("POST", "/images/create", self._pull),
            ("POST", "/build", self._build),
        ]

    # what is around every answer

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked += 1
        if self.engine.host in self.engine.network.faults.off:
            return _hang_up(request)
        if self.faults.slow_s:
            await asyncio.sleep(self.faults.slow_s)
        if self.faults.nonsense:
            return web.Response(text="<html>not what you are looking for</html>", content_type="application/json")
        if self.faults.cut and request.transport is not None:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
            return _hang_up(request)
        try:
            return await handler(request)
        except NotFound as error:
            return _refusal(404, error)
        except EngineError as error:
            return _refusal(409, error)

    def _seen(self, request: web.Request) -> Container:
        return self.engine.find(request.match_info["id"]).seen

    # the engine

    async def _version(self, _: web.Request) -> web.Response:
        known = await self.engine.info()
        return web.json_response({"Version": known.version, "ApiVersion": f"{known.api[0]}.{known.api[1]}"})

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response(answers.info(await self.engine.info()))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_type = "application/json"
        async with self.engine.events() as happening:
            await answer.prepare(request)
            await answer.write(b"\n")  # sends the head
            with suppress(EngineError):
                async for event in happening:
                    await answer.write(json.dumps(answers.event(event)).encode() + b"\n")
        return answer

    # containers

    async def _list(self, request: web.Request) -> web.Response:
        labels = json.loads(request.query.get("filters") or "{}").get("label", [])
        wanted = [each.partition("=") for each in labels]
        found = [
            {"Id": each.id, "Names": [f"/{each.name}"], "Image": each.image}
            for each in await self.engine.containers()
            if all(each.labels.get(key) == value for key, _, value in wanted)
        ]
        return web.json_response(found + [{"Id": key, "Names": [f"/{key}"], "Image": ""} for key in self._helpers])

    async def _inspect(self, request: web.Request) -> web.Response:
        helper = self._helpers.get(request.match_info["id"])
        if helper is None:
            return web.json_response(answers.container(await self.engine.container(request.match_info["id"])))
        stands_for = Container(
            request.match_info["id"], "helper", helper.spec.image, "exited", labels=helper.spec.labels
        )
        return web.json_response(answers.container(stands_for))

    async def _create(self, request: web.Request) -> web.Response:
        wanted, name = await request.json(), request.query.get("name", "")
        if wanted["HostConfig"].get("VolumesFrom"):
            made = self.engine.network.next_id()
            self._helpers[made] = _Helper(answers.helper_spec(wanted))
            return web.json_response({"Id": made, "Warnings": []}, status=201)
        made = await self.engine.create_container(answers.container_spec(name, wanted))
        places = wanted.get("NetworkingConfig", {}).get("EndpointsConfig", {})
        self._name(made, {network: (place or {}).get("Aliases") or [] for network, place in places.items()})
        return web.json_response({"Id": made, "Warnings": []}, status=201)

    def _name(self, container: str, aliases: dict[str, list[str]]) -> None:
        found = self.engine.find(container)
        places = [
            replace(place, aliases=tuple(sorted({*place.aliases, *aliases.get(place.network, ())})))
            for place in found.seen.attachments
        ]
        found.seen = replace(found.seen, attachments=tuple(places))

    async def _start(self, request: web.Request) -> web.Response:
        helper = self._helpers.get(request.match_info["id"])
        if helper is not None:
            helper.result = await self.engine.run_helper(helper.spec)
        else:
            await self.engine.start_container(request.match_info["id"])
        return web.Response(status=204)

    async def _stop(self, request: web.Request) -> web.Response:
        if self._seen(request).state == "exited":
            return web.Response(status=304)
        await self.engine.stop_container(request.match_info["id"], grace_s=int(request.query.get("t", 10)))
        return web.Response(status=204)

    async def _update(self, request: web.Request) -> web.Response:
        self._seen(request)
        return web.json_response({"Warnings": None})

    async def _rename(self, request: web.Request) -> web.Response:
        await self.engine.members.rename(request.match_info["id"], request.query["name"])
        return web.Response(status=204)

    async def _wait(self, request: web.Request) -> web.Response:
        return web.json_response({"StatusCode": self._helpers[request.match_info["id"]].result.code})

    async def _logs(self, request: web.Request) -> web.Response:
        helper = self._helpers.get(request.match_info["id"])
        if helper is None:
            since, most = (int(request.query.get(name, 0)) for name in ("since", "tail"))
            lines = await self.engine.last_lines(request.match_info["id"], since=since, most=most)
            return web.Response(body=_frame(1, "".join(f"{line}\n" for line in lines)))
        out = _frame(1, helper.result.stdout) if request.query.get("stdout") in ("1", "true", "True") else b""
        err = _frame(2, helper.result.stderr) if request.query.get("stderr") in ("1", "true", "True") else b""
        return web.Response(body=out + err)

    async def _remove(self, request: web.Request) -> web.Response:
        if self._helpers.pop(request.match_info["id"], None) is None:
            seen = self._seen(request)
            project = seen.labels.get(LABEL_PROJECT)
            if project:
                await self.engine.remove_container(seen.id, project=project)
            else:
                await self.engine.members.remove(seen.id)
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> web.Response:
        path = request.query["path"]
        content = await self.engine.get_file(request.match_info["id"], path)
        return web.Response(body=answers.packed(path.rpartition("/")[2], content), content_type="application/x-tar")

    async def _write(self, request: web.Request) -> web.Response:
        files = answers.unpacked(await request.read())
        await self.engine.put_files(request.match_info["id"], request.query["path"], files)
        return web.Response()

    # commands in containers

    async def _exec(self, request: web.Request) -> web.Response:
        wanted, seen = await request.json(), self._seen(request)
        if seen.state != "running":
            raise EngineError(f"container {seen.name} is not running")
        ident = self.engine.network.next_id()
        self._execs[ident] = _Exec(seen.id, wanted["Cmd"], wanted.get("User") or "", bool(wanted.get("AttachStdin")))
        return web.json_response({"Id": ident}, status=201)

    async def _exec_start(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        run, transport = self._execs[request.match_info["id"]], request.transport
        assert transport is not None
        ear = _Ear()
        request.protocol.set_parser(ear)  # type: ignore[arg-type]
        transport.write(STARTED)
        if run.talks:
            await self._converse(run, ear, transport)
        else:
            try:
                done = await self.engine.exec(run.container, run.argv, user=run.user)
            except EngineError as error:
                done = ExecResult(127, str(error).rpartition(": ")[2])
            transport.write(_frame(1, done.stdout) + _frame(2, done.stderr))
            run.code = done.code
        transport.close()
        return web.Response()

    async def _converse(self, run: _Exec, ear: _Ear, transport: asyncio.WriteTransport) -> None:
        async with self.engine.talk(run.container, run.argv) as talk:

            async def pass_on() -> None:
                while said := await ear.said.get():
                    await talk.send(said.decode())

            async def tell() -> None:
                while said := await talk.receive():
                    transport.write(_frame(1, said))

            both = [asyncio.create_task(pass_on()), asyncio.create_task(tell())]
            _, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        run.code = 0

    async def _exec_end(self, request: web.Request) -> web.Response:
        run = self._execs[request.match_info["id"]]
        return web.json_response({"Running": False, "ExitCode": run.code, "ProcessConfig": {"tty": False}})

    # networks, volumes, images

    async def _networks(self, _: web.Request) -> web.Response:
        return web.json_response([answers.network(each) for each in await self.engine.networks()])

    async def _network(self, request: web.Request) -> web.Response:
        ident = request.match_info["id"]
        for known in await self.engine.networks():
            if ident in (known.id, known.name):
                return web.json_response(answers.network(known))
        raise NotFound(f"network {ident} not found")

    async def _create_network(self, request: web.Request) -> web.Response:
        made = await self.engine.create_network(answers.network_spec(await request.json()))
        return web.json_response({"Id": made, "Warning": ""}, status=201)

    async def _remove_network(self, request: web.Request) -> web.Response:
        known = {each.id: each for each in await self.engine.networks()}.get(request.match_info["id"])
        project = (known.labels.get(LABEL_PROJECT) if known else None) or ""
        await self.engine.remove_network(request.match_info["id"], project=project)
        return web.Response(status=204)

    async def _connect(self, request: web.Request) -> web.Response:
        wanted, network = await request.json(), request.match_info["id"]
        await self.engine.connect(wanted["Container"], network)
        self._name(wanted["Container"], {network: (wanted.get("EndpointConfig") or {}).get("Aliases") or []})
        return web.Response(status=200)

    async def _disconnect(self, request: web.Request) -> web.Response:
        await self.engine.disconnect((await request.json())["Container"], request.match_info["id"])
        return web.Response(status=200)

    async def _volumes(self, _: web.Request) -> web.Response:
        return web.json_response({"Volumes": [answers.volume(each) for each in await self.engine.volumes()]})

    async def _volume(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        for known in await self.engine.volumes():
            if known.name == name:
                return web.json_response(answers.volume(known))
        raise NotFound(f"get {name}: no such volume")

    async def _create_volume(self, request: web.Request) -> web.Response:
        """One that is there is the answer, whatever its labels."""
        wanted = answers.network_spec(
            {**await request.json(), "Driver": "bridge", "Internal": True, "Attachable": True}
        )
        if wanted.name not in self.engine.volume_labels:
            await self.engine.create_volume(wanted.name, wanted.labels)
        return web.json_response({"Name": wanted.name}, status=201)

    async def _remove_volume(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        labels = self.engine.volume_labels.get(name)
        await self.engine.remove_volume(name, project=(labels.get(LABEL_PROJECT) if labels else None) or "")
        return web.Response(status=204)

    async def _images(self, _: web.Request) -> web.Response:
        return web.json_response([{"RepoTags": [tag], "RepoDigests": []} for tag in sorted(await self.engine.images())])

    async def _image(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.engine.tags:
            raise NotFound(f"No such image: {request.match_info['id']}")
        return web.json_response({"Config": {}})

    async def _save(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        async with self.engine.save_image(request.match_info["id"]) as content:
            await answer.prepare(request)
            async for chunk in content:
                await answer.write(chunk)
        return answer

    async def _load(self, request: web.Request) -> web.Response:
        await self.engine.load_image(request.content.iter_any())
        return web.json_response({"stream": "Loaded image"})

    async def _pull(self, request: web.Request) -> web.Response:
        tag = request.query.get("tag", "")
        await self.engine.pull_image(request.query["fromImage"] + (f":{tag}" if tag else ""))
        return web.json_response({"status": "done"})

    async def _build(self, request: web.Request) -> web.Response:
        await request.read()
        arguments = json.loads(request.query.get("buildargs") or "{}")
        await self.engine.build_image(request.query["t"], Path("/"), arguments)
        return web.json_response({"stream": "done"})


class _Ear:
    """What comes on a connection that has become a plain stream; b"" at its end."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.said.put_nowait(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        self.said.put_nowait(b"")

    def set_exception(self, *_: Any) -> None:
        self.said.put_nowait(b"")


def _frame(stream: int, text: str) -> bytes:
    data = text.encode()
    return struct.pack(">BxxxL", stream, len(data)) + data if data else b""


def _refusal(status: int, error: Exception) -> web.Response:
    return web.json_response({"message": str(error).partition("\n")[0]}, status=status)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()
