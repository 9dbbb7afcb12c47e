"""The JSON form of a graph, both ways. Its schema is the fields of ``graph``; ``SCHEMA`` names its version.

Invariant: what ``to_json`` writes, ``from_json`` reads back to an equal graph; unknown fields of later versions are
passed over, another major version is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from dockgate.errors import DockgateError

from .graph import SCHEMA, Graph

_GRAPH = TypeAdapter(Graph)


def to_json(graph: Graph) -> str:
    """Indented, ending in a line break; the same graph gives the same bytes."""
    head = {"schema": graph.schema}
    return json.dumps(head | asdict(graph), indent=2, ensure_ascii=True) + "\n"


def from_json(text: str, origin: str) -> Graph:
    """Raises DockgateError, naming ``origin``, when the text is not a stored graph."""
    hint = "make one with `dockgate topology --output json > FILE`"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DockgateError(f"{origin} is not JSON: {error}", hint=hint) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise DockgateError(f"{origin} is not a topology that this dockgate reads: schema {schema!r}", hint=hint)
    try:
        return _GRAPH.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DockgateError(f"{origin}: {place}: {first['msg']}", hint=hint) from error
