"""What an executor works with, and the guard in front of every change: is that container ours?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dockgate.edges.api import EngineApi
from dockgate.edges.small_load import Tally
from dockgate.errors import ActionFailed, EngineError
from dockgate.model.objects import LABEL_KIND, Kind, is_ours
from dockgate.model.observed import Container
from dockgate.model.tls import TlsFile


def _no_keys(file: TlsFile) -> bytes:
    raise ActionFailed(f"{file}: this run has no way to the user's files", hint="run `dockgate up`")


@dataclass(frozen=True)
class World:
    """``engines``: by host. ``archives``: image archives at hand, by tag. ``recipes``: the folder of image folders that
    ``LoadImage`` with origin "build" takes Dockerfiles from, None when there is none here.
    ``load``: how the load stands that runs meanwhile, None when there is none. ``applying``: held while firewall rules
    are made and loaded, so that the last ones are made from the latest look. ``key_content``: reads what a TLS file of
    the plan holds, with its key, at the moment when it is carried to its volume. ``carried``: what the controller's
    files in a Swarm hold, by their place in its container."""

    project: str
    engines: Mapping[str, EngineApi]
    archives: Mapping[str, Path] = field(default_factory=dict)
    recipes: Path | None = None
    load: Callable[[], Awaitable[Tally]] | None = None
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    key_content: Callable[[TlsFile], bytes] = _no_keys
    carried: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def engine(self, host: str) -> EngineApi:
        try:
            return self.engines[host]
        except KeyError as error:
            raise EngineError(
                f"{host} is not a host of this run", hint=f"its hosts are: {', '.join(sorted(self.engines))}"
            ) from error

    async def ours(self, host: str, name: str, kind: Kind | None = None) -> Container:
        """The container as it is now, after a look at its mark; what follows goes by its id."""
        found = await self.engine(host).container(name)
        if not is_ours(found.labels, self.project, kind):
            raise ActionFailed(
                f"{host}: container {name} does not carry the labels of project {self.project!r}"
                f"{f' and kind {kind!r}' if kind else ''}, so it was left alone",
                hint=f"look at it with `docker inspect {name}`; rename or remove it if nobody needs it",
            )
        return found

    async def node(self, host: str) -> Container:
        """The host's running node container; the newest when two are there for a moment."""
        nodes = [
            container
            for container in await self.engine(host).ours(self.project, "node")
            if container.state == "running"
        ]
        if not nodes:
            raise ActionFailed(
                f"{host}: no container with {LABEL_KIND}=node of project {self.project!r} runs there",
                hint="`dockgate up` starts one; `docker ps -a` there shows what became of it",
            )
        return max(nodes, key=lambda container: container.since)
