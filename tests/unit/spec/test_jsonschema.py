"""The generated schema and reference: up to date, and of one mind with the reader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from ruamel.yaml import YAML
from tests.unit.spec.reading import VALID, changed

from dockgate.spec import jsonschema, reference

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted([*ROOT.glob("examples/*/dockgate.yaml"), Path(__file__).with_name("running_example.yaml")])
VALIDATOR = Draft202012Validator(jsonschema.json_schema())


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    remedy = "run: python -m dockgate.spec.jsonschema > schema/dockgate.schema.json"
    assert (ROOT / "schema/dockgate.schema.json").read_text() == jsonschema.render(), remedy


def test_the_reference_in_the_repository_is_up_to_date() -> None:
    remedy = "run: python -m dockgate.spec.reference > docs/reference.md"
    assert (ROOT / "docs/reference.md").read_text() == reference.render(), remedy


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(jsonschema.json_schema())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_example_fits_the_schema(example: Path) -> None:
    VALIDATOR.validate(plain(example.read_text()))


def test_the_references_own_example_fits_the_schema() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", reference.render(), re.DOTALL)
    VALIDATOR.validate(plain(blocks[1]))


ACCEPTED = {
    "short and long members": ("[web1, web2]", "[web1, {name: web2, weight: 5}]"),
    "no checks": ("port: 80, members", "port: 80, check: false, members"),
    "a short check": ("port: 80, members", "port: 80, check: tcp, members"),
    "a status as a number": ("port: 80, members", "port: 80, check: {expect: 200}, members"),
    "a network with nothing but a name": ("{driver: overlay}", ""),
}


@pytest.mark.parametrize(("old", "new"), ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts(old: str, new: str) -> None:
    VALIDATOR.validate(plain(changed(old, new)))


REFUSED = {
    "an unknown key": ("pool: site", "pol: site"),
    "a port in words": ("port: 80}]", "port: eighty}]"),
    "a name with a space": ("  web:", "  two words:"),
    "two kinds of members": ("members:", "service: a, members:"),
    "an inline secret": ("pool: site", "pool: site\n    stats: {path: /s, user: u, password: x}"),
    "an empty key": ("pool: site", "pool:"),
}


@pytest.mark.parametrize(("old", "new"), REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses(old: str, new: str) -> None:
    assert not VALIDATOR.is_valid(plain(changed(old, new)))


def test_the_schema_accepts_the_valid_file() -> None:
    VALIDATOR.validate(plain(VALID))


def test_the_schema_is_the_same_in_every_run() -> None:
    assert json.loads(jsonschema.render()) == jsonschema.json_schema()
    assert jsonschema.render() == jsonschema.render()
