"""Keys: which keys the schema knows at a path of the file, for the nearest one to an unknown key."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from .path import Path
from .schema import FileSpec


def keys_at(path: Path) -> tuple[str, ...]:
    """Keys that may stand in the mapping at ``path``; none where the user chooses the keys."""
    annotation: object = FileSpec
    for part in path:
        annotation = _below(annotation, part)
    model = _model(annotation)
    return tuple(field.alias or name for name, field in model.model_fields.items()) if model else ()


def _below(annotation: object, part: str | int) -> object:
    model = _model(annotation)
    if model is not None:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        return fields[part].annotation if isinstance(part, str) and part in fields else None
    container = next((kind for kind in _alternatives(annotation) if get_origin(kind) in (dict, list)), None)
    return get_args(container)[-1] if container is not None else None


def _model(annotation: object) -> type[BaseModel] | None:
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _alternatives(annotation: object) -> tuple[object, ...]:
    """The members of a union, without ``Annotated``; the annotation itself otherwise."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in _alternatives(member))
    return (annotation,)
