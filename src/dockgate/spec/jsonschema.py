"""JSON Schema of ``dockgate.yaml``, for editors: made from the models, never by hand.

``python -m dockgate.spec.jsonschema > schema/dockgate.schema.json``. What needs more than one value (does a name exist,
is a port taken) is not in it; ``dockgate check`` says that.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from .schema import FileSpec
from .schema_base import ShortModel

Schema: TypeAlias = dict[str, Any]

_SHORT_FORMS = {model.__name__: model.short for model in ShortModel.__subclasses__()}
_EXACTLY_ONE = {"PoolSpec": ("members", "service", "labels", "published", "endpoints"), "SecretSpec": ("file", "env")}


def json_schema() -> Schema:
    """The schema as plain data, the same in every run."""
    schema = FileSpec.model_json_schema(by_alias=True)
    definitions: Schema = schema.pop("$defs")
    for definition in (schema, *definitions.values()):
        _tidy(definition)
    _say_what_models_cannot(schema, definitions)
    for name, key in _SHORT_FORMS.items():
        definitions[name] = _with_short_form(definitions[name], key)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dockgate.yaml"}
    return {**head, **schema, "$defs": {name: definitions[name] for name in sorted(definitions)}}


def render() -> str:
    """The schema as the text of the file in the repository."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(definition: Schema) -> None:
    """Keys that may be left out may not be null; titles that only repeat a key say nothing."""
    definition.pop("title", None)
    definition["description"] = " ".join(definition["description"].split())
    for key, value in definition["properties"].items():
        definition["properties"][key] = _with_named_entries(_without_null(value))


def _without_null(value: Schema) -> Schema:
    value = {key: inner for key, inner in value.items() if key != "title"}
    if value.get("default", "") is None:
        del value["default"]
    options = [option for option in value.pop("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        return {**options[0], **value}
    return {**value, "anyOf": options} if options else value


def _with_named_entries(value: Schema) -> Schema:
    """A mapping whose keys its user chooses: other keys than names are refused, not passed over."""
    patterns = value.pop("patternProperties", None)
    if patterns is None:
        return value
    ((pattern, entry),) = patterns.items()
    return {**value, "propertyNames": {"pattern": pattern}, "additionalProperties": entry}


def _say_what_models_cannot(schema: Schema, definitions: Schema) -> None:
    for name, keys in _EXACTLY_ONE.items():
        definitions[name]["oneOf"] = [{"required": [key]} for key in keys]
    networks = schema["properties"]["networks"]
    networks["additionalProperties"] = {"anyOf": [networks["additionalProperties"], {"type": "null"}]}
    check = definitions["PoolSpec"]["properties"]["check"]
    options = {"anyOf": [{"$ref": "#/$defs/CheckSpec"}, {"const": False}]}
    definitions["PoolSpec"]["properties"]["check"] = {"description": check["description"], **options}
    labels = definitions["PoolSpec"]["properties"]["labels"]
    options = {"anyOf": [{"$ref": "#/$defs/LabelsSpec"}, {"type": "boolean"}]}
    definitions["PoolSpec"]["properties"]["labels"] = {"description": labels["description"], **options}


def _with_short_form(definition: Schema, key: str) -> Schema:
    own = definition["properties"][key]
    short = {name: inner for name, inner in own.items() if name not in ("description", "default")}
    return {"description": definition.pop("description"), "anyOf": [short, definition]}


if __name__ == "__main__":
    print(render(), end="")
