"""Key files: reading the certificates and keys that the user's file names, and making of them what HAProxy gets.

Sizes are capped, nothing but regular files is opened, and no message holds any content. Invariant: what is handed out
for a file of a plan is exactly what the plan was made of.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from dockgate.edges.regular import read_regular, reason
from dockgate.errors import ActionFailed
from dockgate.model.tls import TlsFile
from dockgate.spec import SecretUnavailable
from dockgate.spec.key_files import MOST_BYTES
from dockgate.spec.pem import BadPem, authority, bundle, self_signed

MOST_FILES = 500


@dataclass(frozen=True)
class KeyFiles:
    """Files relative to ``folder``."""

    folder: Path
    now: float = field(default_factory=time.time)

    @classmethod
    def beside(cls, file: Path) -> KeyFiles:
        return cls(file.resolve().parent)

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        path = self.folder / name
        try:
            content = read_regular(path, most + 1)
        except FileNotFoundError as error:
            raise SecretUnavailable(
                f"the file '{name}' does not exist", hint="create it, or correct the path"
            ) from error
        except (OSError, ValueError) as error:
            what = f"the file '{name}' cannot be read: {reason(error)}"
            raise SecretUnavailable(what, hint="check its path and its rights") from error
        if len(content) > most:
            raise SecretUnavailable(f"the file '{name}' has more than {most} bytes", hint="is this the right file?")
        return content

    def names(self, folder: str) -> tuple[str, ...]:
        try:
            found = sorted(path.name for path in (self.folder / folder).iterdir())
        except (OSError, ValueError) as error:
            what = f"the folder '{folder}' cannot be read: {reason(error)}"
            raise SecretUnavailable(what, hint="check its path and its rights") from error
        return tuple(found[:MOST_FILES])

    def content(self, file: TlsFile) -> bytes:
        """What goes into the volume under ``file.name``; ``ActionFailed`` when it is no longer what was planned."""
        if file.self_signed:
            return self_signed(file.names)
        try:
            contents = [self.read(place) for place in file.places]
            made = bundle(contents) if file.kind == "certificate" else authority(contents[0])
        except (SecretUnavailable, BadPem) as error:
            raise ActionFailed(f"{file}: {error.what}", hint=error.hint) from error
        if hashlib.sha256(made.content).hexdigest() != file.digest:
            raise ActionFailed(f"{file} is another one than when this plan was made", hint="run `dockgate plan` again")
        return made.content
