"""Image archives at hand where dockgate runs: a folder with ``docker save`` files and an index.json.

Reads only. A folder without an index holds no archives; an index that cannot be understood is an error, because
guessing would mean building or copying images that are there. Made by ``dockgate lab`` (and by hand, for hosts
that cannot pull): ``{"dockgate/web:1": {"file": "web.tar", …}, …}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dockgate.errors import DockgateError

INDEX = "index.json"


def read_archives(folder: Path) -> Mapping[str, Path]:
    """The archives by image tag, each only if its file is there."""
    index = folder / INDEX
    try:
        entries = json.loads(index.read_text())
        archives = {str(tag): folder / str(entry["file"]) for tag, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DockgateError(
            f"the index of image archives {index} cannot be read: {error!r}",
            hint="remove it, or bring the lab up again, which writes it anew",
        ) from error
    return {tag: path for tag, path in archives.items() if path.is_file()}
