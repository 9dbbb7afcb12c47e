"""Schema base: what all models of the file share. ``schema`` and the modules beside it stand on this."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from . import rules
from .rules import fault


def milliseconds(value: int) -> str:
    """A duration as the file writes it: 300ms, 5s, 2m."""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}ms"


def optional(description: str, default: object = None) -> Any:
    """A key that may be left out. ``default`` is what then holds, for the reader; ``resolve`` fills it in."""
    extra: dict[str, Any] = {} if default is None else {"default": default}
    return Field(default=None, description=description, json_schema_extra=extra)


class Model(BaseModel):
    """Unknown keys are errors; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ShortModel(Model):
    """A model that a single value can stand for: ``web1`` instead of ``{name: web1}``."""

    short: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: object) -> object:
        return {cls.short: data} if isinstance(data, (str, int, float, bool)) else data


class SecretSpec(Model):
    """Where a secret is kept: exactly one of the two. It is never written into this file."""

    file: rules.SecretFile | None = optional("A file that holds it, relative to this file's folder.")
    env: rules.SecretEnv | None = optional("An environment variable; NAME_FILE may name a file that holds it instead.")

    @model_validator(mode="before")
    @classmethod
    def _never_inline(cls, data: object) -> object:
        if isinstance(data, dict):
            return data
        fix = "write {file: secrets/name} or {env: NAME}, and keep the secret itself there"
        raise fault("must say where the secret is kept; a secret never stands in this file", fix)
