"""The file's firewall put into the lab's hosts by the test itself: rendered as ``firewall show --as nft`` does.

The one place that knows how rules get into a host; a verb that does it can take its place. ``lift`` takes away the
tables that were loaded, by the one name that they can have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dockgate.cli.session import Session, open_session
from dockgate.firewall import HostFacts, complete, host_facts, overlay_facts
from dockgate.firewall.host_rules import table_text
from dockgate.lab import Lab
from dockgate.model.observed import Observed, ObservedHost, Unknown


@dataclass
class Enforced:
    """A file's rules, in force on the lab. ``places``: host and overlay's id (or "") of each table that was loaded."""

    lab: Lab
    file: Path
    places: list[tuple[str, str]] = field(default_factory=list)

    def load(self) -> None:
        asyncio.run(self._load())

    async def _load(self) -> None:
        async with open_session(self.file) as session:
            observed = await session.observe()
        policy = complete(session.desired)
        for host, overlay, facts in _places(session, observed):
            text = table_text(session.desired, observed, policy, facts)
            self.nft(host, "-f", "-", overlay=overlay, feed=text)
            self.places.append((host, overlay))

    def nft(self, host: str, *words: str, overlay: str = "", feed: str | None = None) -> str:
        """Run nft on a host, or in the namespace of an overlay there; it must succeed."""
        enter = ["nsenter", f"--net=/run/docker/netns/1-{overlay[:10]}"] if overlay else []
        return self.lab.exec(host, [*enter, "nft", *words], input=feed, check=True).stdout

    def overlay(self, name: str) -> str:
        """The id of an overlay network."""
        return self.lab.docker("docker1", "network", "inspect", "-f", "{{.Id}}", name).stdout.strip()

    def lift(self) -> None:
        """Also from a host on which somebody else left it: without rules means without any."""
        for host, overlay in dict.fromkeys([*self.places, *((host, "") for host in self.lab.hosts)]):
            enter = ["nsenter", f"--net=/run/docker/netns/1-{overlay[:10]}"] if overlay else []
            self.lab.exec(host, [*enter, "nft", "delete", "table", "inet", "dockgate"])
        self.places.clear()


def _places(session: Session, observed: Observed) -> Iterable[tuple[str, str, HostFacts]]:
    for host in session.desired.hosts:
        facts, state = host_facts(session.desired, observed, host.name), observed.host(host.name)
        assert not isinstance(facts, Unknown)
        assert isinstance(state, ObservedHost)
        yield host.name, "", facts
        for network in session.desired.networks:
            there = state.network(network.name)
            if network.driver == "overlay" and there is not None and there.containers:
                yield host.name, there.id, overlay_facts(session.desired, observed, network.name)
