"""Journal: what the controller last did and why, kept beside the configuration of every load balancer it looks after.

State lives on the objects: ``dockgate status`` reads it from there, whether or not the controller still lives. It is
a note for people; no decision is ever based on it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from dockgate.edges.api import EngineApi
from dockgate.errors import EngineError
from dockgate.model.objects import CONFIG_DIR

JOURNAL = "controller.json"


@dataclass(frozen=True)
class Entry:
    """``who``: host name and process id. Times are Unix seconds. ``said``: the last cycle in one sentence; ``changed``:
    the last one that changed something, or failed to, with ``changed_at`` 0 when there was none yet; ``steps``: what it
    did, each with its cause."""

    who: str
    at: float
    said: str
    changed_at: float = 0.0
    changed: str = ""
    steps: tuple[str, ...] = ()


async def write_entry(engine: EngineApi, container: str, entry: Entry) -> None:
    text = json.dumps(asdict(entry), indent=1, sort_keys=True)
    await engine.put_files(container, CONFIG_DIR, {JOURNAL: text.encode()})


async def read_entry(engine: EngineApi, container: str) -> Entry | None:
    """None when no controller has left one, or when it cannot be read."""
    try:
        fields = json.loads(await engine.get_file(container, f"{CONFIG_DIR}/{JOURNAL}"))
        return Entry(**{**fields, "steps": tuple(fields["steps"])})
    except (EngineError, ValueError, TypeError, KeyError):
        return None
