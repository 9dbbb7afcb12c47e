"""The way to an engine through ssh: the library's connector with three of its habits corrected.

A module of its own because the ssh library takes a quarter of a second to import.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiodocker
from aiodocker.ssh import SSHConnector

from dockgate.errors import EngineError


class _SshConnector(SSHConnector):
    """The library's way through ``docker system dial-stdio``, with three of its habits corrected."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        parts = urlsplit(url)
        # asyncssh reads ~/.ssh/config itself, but only for what is left unset, which it spells ().
        unset: Any = ()
        self._ssh_username = parts.username or unset
        self._ssh_port = parts.port or unset

    def _clean_environment(self) -> dict[str, str]:
        """The library sends our whole environment to the host; the user's secrets may be in it."""
        return {}

    async def _handle_docker_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A relay still open when we end is cancelled, which asyncio of Python 3.11 reports with a traceback."""
        with suppress(asyncio.CancelledError):
            await super()._handle_docker_connection(reader, writer)


def connector(host: str, url: str) -> SSHConnector:
    """For ``ssh://user@host[:port]``; raises ``EngineError``."""
    # What it logs is in the errors it raises; without a handler it would be on the screen twice.
    logging.getLogger("aiodocker.ssh").addHandler(logging.NullHandler())
    try:
        return _SshConnector(url)
    except (aiodocker.DockerError, ValueError) as error:
        raise EngineError(
            f"{host}: {url} cannot be used: {getattr(error, 'message', error)}",
            hint="connect once with `ssh` by hand, so that the host's key is in ~/.ssh/known_hosts",
        ) from error
