"""Calls on members at a fake engine: what ``edges.member_calls`` does, kept as Docker would keep it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dockgate.edges.api import MembersApi
from dockgate.errors import EngineError, NotFound
from dockgate.model.observed import Labels

if TYPE_CHECKING:
    from tests.fakes.engine import FakeEngine


class FakeMembers(MembersApi):
    """Docker 26 cannot rename a container that runs on an overlay: neither can this."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    async def copy(self, source: str, *, name: str, image: str, stand_in: bool, aliases: bool) -> None:
        async with self._engine.called(f"copy {source} to {name} from {image}"):
            original = self._engine.find(source).seen
            if any(each.seen.name == name for each in self._engine.kept.values()):
                raise EngineError(f"{self._engine.host}: could not create container {name}: Conflict")
            if image not in self._engine.tags:
                raise NotFound(f"{self._engine.host}: could not create container {name}: No such image: {image}")
            labels = dict(original.labels.pairs) | ({"dockgate.stand-in": source} if stand_in else {})
            made = self._engine.add_container(
                name, image=image, networks=original.networks(), labels=Labels.of(labels), running=False
            )
            places = [
                replace(place, address="", aliases=old.aliases if aliases else ())
                for place, old in zip(made.attachments, original.attachments, strict=True)
            ]
            self._engine.find(name).seen = replace(made, attachments=tuple(places), state="created")

    async def start(self, container: str) -> None:
        async with self._engine.called(f"start {container}"):
            found = self._engine.find(container)
            number = self._engine.network.next_id()
            places = tuple(replace(p, address=f"10.7.0.{int(number, 16) % 250}") for p in found.seen.attachments)
            found.seen = replace(found.seen, state="running", attachments=places)
            self._engine.streams.happen("container", "start", found.seen.id, found.seen.name)

    async def stop(self, container: str, *, grace_s: int) -> None:
        async with self._engine.called(f"stop {container}"):
            self._engine.kill(container, signal=15)
            self._engine.die(container)

    async def rename(self, container: str, name: str) -> None:
        async with self._engine.called(f"rename {container} to {name}"):
            found = self._engine.find(container)
            if found.seen.state == "running":
                raise EngineError(f"{self._engine.host}: failed to rename {container}: already exists")
            found.seen = replace(found.seen, name=name)

    async def remove(self, container: str) -> None:
        async with self._engine.called(f"remove {container}"):
            for key, each in list(self._engine.kept.items()):
                if container in (each.seen.name, each.seen.id):
                    del self._engine.kept[key]
