"""What the documentation says is so: files load, commands exist, links lead somewhere, lists are complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal

import pytest
import typer
from tests.unit.docs.pages import PAGES, ROOT, Block, anchors, blocks, commands, links
from typer.main import get_command

from dockgate import __version__
from dockgate.cli import app
from dockgate.lab.faults import KINDS
from dockgate.spec import SecretText, load

FILES = [
    block
    for page in PAGES
    for block in blocks(page)
    if block.language == "yaml" and not all(line.startswith("#") for line in block.text.splitlines())
]
DOCKGATE = [(page.name, words) for page in PAGES for words in commands(page, "dockgate")]
MAKE = [(page.name, words) for page in PAGES for words in commands(page, "make")]


def any_secret(kind: Literal["file", "env"], name: str) -> SecretText:
    """Every secret is there."""
    return SecretText("a secret")


@pytest.mark.parametrize("block", FILES, ids=lambda block: f"{block.page.name}: {block.text.split(chr(10))[0]}")
def test_every_yaml_block_is_a_file_that_loads(block: Block) -> None:
    load(block.text, file="dockgate.yaml", project="docs", read_secret=any_secret)


def test_there_are_files_and_command_lines_to_try() -> None:
    assert len(FILES) >= 3
    assert len(DOCKGATE) >= 30
    assert len(MAKE) >= 5


@pytest.mark.parametrize(("page", "words"), DOCKGATE, ids=lambda value: value if isinstance(value, str) else None)
def test_every_dockgate_command_line_is_one_that_dockgate_understands(page: str, words: list[str]) -> None:
    command = get_command(app)
    context = command.make_context("dockgate", [], resilient_parsing=True)
    while words and isinstance(command, typer.core.TyperGroup) and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        assert found is not None, f"{page}: there is no `dockgate {name}`"
        command, context = found, found.make_context(name, [], resilient_parsing=True)
    if words:
        command.make_context("dockgate", list(words), resilient_parsing=True)
        known = {option for parameter in command.params for option in parameter.opts}
        before = words[: words.index("--")] if "--" in words else words
        assert {word for word in before if word.startswith("-")} <= known, f"{page}: {words}"


@pytest.mark.parametrize(("page", "words"), MAKE, ids=lambda value: value if isinstance(value, str) else None)
def test_every_make_target_exists(page: str, words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(words) <= targets, f"{page}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_something(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.is_relative_to(ROOT), f"{page.name} links out of the repository: {link}"
        assert not anchor or page.name == "reference.md" or anchor in anchors(target), f"{page.name}: {link}"


def test_every_verb_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    verbs = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert verbs
    assert {verb for verb in verbs if f"`dockgate {verb}" not in text} == set()


def test_every_verb_of_the_lab_stands_in_its_page() -> None:
    text = (ROOT / "docs/lab.md").read_text()
    lab = get_command(app).get_command(None, "lab")  # type: ignore[attr-defined, arg-type]
    assert {verb for verb in lab.commands if f"dockgate lab {verb}" not in text} == set()


def test_the_architecture_page_lists_the_packages_that_there_are() -> None:
    text = (ROOT / "docs/design/architecture.md").read_text()
    section = text.partition("## Packages")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    folders = sorted(path.parent.name for path in (ROOT / "src/dockgate").glob("*/__init__.py"))
    assert sorted(listed) == folders


def test_the_dependencies_page_lists_the_packages_of_pyproject() -> None:
    text = (ROOT / "docs/design/dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[><=~]", one)[0] for one in wanted}
    python = text.partition("## Not Python")[0]
    rows = re.findall(r"^\| ((?:`[\w.-]+`(?:, )?)+) \|", python, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w.-]+)`", row)} == names


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert versions[0] == __version__ == project["version"]


def test_the_lab_page_tells_every_fault() -> None:
    text = (ROOT / "docs/lab.md").read_text()
    assert tuple(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == KINDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|home|root|tmp)/", page.read_text())


def test_the_picture_tells_what_it_shows_to_those_who_cannot_see_it() -> None:
    for picture in (ROOT / "docs/img").glob("*.svg"):
        text = picture.read_text()
        assert "<title" in text, picture.name
        assert "<desc" in text, picture.name
