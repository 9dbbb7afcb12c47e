"""What is done to the TLS files of a load balancer; see actions.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .tls import TlsFile


@dataclass(frozen=True)
class PutTlsFiles:
    """Put TLS files into the volume of a load balancer, each replaced whole. ``live``: those that its HAProxy has
    loaded are replaced there first, over the runtime socket; what it refuses is not put. Keys are read only then.
    """

    host: str
    container: str
    files: tuple[TlsFile, ...]
    live: tuple[TlsFile, ...] = ()

    def __str__(self) -> str:
        which = "" if self.live == self.files else f": {', '.join(map(str, self.live))}"
        how = f", live over the runtime socket{which}" if self.live else ""
        return f"put {', '.join(map(str, self.files))} into the volume of {self.container}{how}"


@dataclass(frozen=True)
class RemoveTlsFiles:
    """Take TLS files out of the volume of a load balancer."""

    host: str
    container: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"remove {', '.join(self.names)} from the volume of {self.container}"


TlsAction: TypeAlias = PutTlsFiles | RemoveTlsFiles
