"""Key files: how the certificates and keys that the user's file names are read. The edge does it, ``spec`` asks."""

from __future__ import annotations

from typing import Protocol

from .secrets import SecretUnavailable

MOST_BYTES = 65_536


class ReadKeyFiles(Protocol):
    """Reads files by their path relative to the user's file. Raises ``SecretUnavailable``, without any content."""

    @property
    def now(self) -> float:
        """Seconds since 1970: by this clock certificates have expired or not."""
        ...

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """``most``: bytes; a larger one is refused."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of the files in a folder, sorted."""
        ...


class NoKeyFiles:
    """Where there are none."""

    now = 0.0

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        raise SecretUnavailable(f"the file '{name}' does not exist", hint="create it")

    def names(self, folder: str) -> tuple[str, ...]:
        raise SecretUnavailable(f"the folder '{folder}' does not exist", hint="create it")
