"""Calls on members, which are somebody else's: only what ``dockgate replace`` was told to do by name.

Apart from ``Engine``, so that nothing else can come to them by accident. Restart policies stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import aiodocker
from aiodocker.networks import DockerNetwork

from dockgate.edges.attempt import short
from dockgate.edges.copying import copy_request, obstacle
from dockgate.errors import EngineError, NotFound

Call: TypeAlias = Callable[[str, float], AbstractAsyncContextManager[aiodocker.Docker]]

SLOW_S = 60.0


class MemberCalls:
    """``call``: what the engine puts around each of its calls."""

    def __init__(self, host: str, call: Call) -> None:
        self._host = host
        self._call = call

    async def copy(self, source: str, *, name: str, image: str, stand_in: bool, aliases: bool) -> None:
        async with self._call(f"create container {name} like {source}", SLOW_S) as docker:
            original = await docker.containers.container(source).show()
            why = obstacle(original)
            if why:
                raise EngineError(f"{self._host}: {source} cannot be replaced: {why}")
            try:
                old = (await docker.images.inspect(original["Image"])).get("Config") or {}
            except aiodocker.DockerError as error:
                if error.status != 404:
                    raise
                old = {}
            request, others = copy_request(original, old, image=image, stand_in=stand_in, aliases=aliases)
            made = await docker.containers.create(request, name=name)
            for network, place in others.items():
                await DockerNetwork(docker, network).connect({"Container": made.id, "EndpointConfig": place})

    async def start(self, container: str) -> None:
        async with self._call(f"start container {short(container)}", SLOW_S) as docker:
            await docker.containers.container(container).start()

    async def stop(self, container: str, *, grace_s: int) -> None:
        async with self._call(f"stop container {short(container)}", SLOW_S + grace_s) as docker:
            await docker.containers.container(container).stop(t=grace_s)

    async def rename(self, container: str, name: str) -> None:
        async with self._call(f"rename container {short(container)} to {name}", SLOW_S) as docker:
            await docker.containers.container(container).rename(name)

    async def remove(self, container: str) -> None:
        """Its anonymous volumes stay, in case they hold something."""
        try:
            async with self._call(f"remove container {short(container)}", SLOW_S) as docker:
                await docker.containers.container(container).delete(force=True)
        except NotFound:
            return
