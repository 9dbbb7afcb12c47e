"""The running example both ways, as pictures and as text. DOCKGATE_WRITE_GOLDEN=1 writes them anew.

The pictures are those of docs/topology.md: what a reader sees there is what dockgate draws today.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.pictures import example, overlay_world, published_world

from dockgate.topology import compare, graph_of, picture, text_of, to_json

TEXTS = Path(__file__).parent / "topology"
PICTURES = Path(__file__).parents[2] / "docs/img"

OVERLAY = graph_of(*overlay_world())
PUBLISHED = graph_of(*published_world())
DOWN = graph_of(*overlay_world(down=True))


def check(golden: Path, text: str) -> None:
    if os.environ.get("DOCKGATE_WRITE_GOLDEN"):
        golden.write_text(text)
    assert golden.read_text() == text, f"{golden.name} differs; DOCKGATE_WRITE_GOLDEN=1 writes it anew: look at it then"


@pytest.mark.parametrize(("name", "graph"), [("overlay", OVERLAY), ("published", PUBLISHED)])
def test_the_running_example_looks_as_in_the_documentation(name: str, graph: object) -> None:
    check(PICTURES / f"topology-{name}.svg", picture(graph))  # type: ignore[arg-type]


def test_a_comparison_looks_as_in_the_documentation() -> None:
    check(PICTURES / "topology-diff.svg", picture(DOWN, compare(OVERLAY, DOWN)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("overlay", text_of(OVERLAY)),
        ("published", text_of(PUBLISHED)),
        ("unknown-host", text_of(graph_of(*overlay_world(blind=True)))),
        ("desired-routes", text_of(graph_of(example("05-routes"), None))),
        ("diff", text_of(DOWN, compare(OVERLAY, DOWN))),
    ],
)
def test_the_running_example_reads_as_in_its_golden_file(name: str, text: str) -> None:
    check(TEXTS / f"{name}.txt", text)


def test_the_json_form_is_as_in_its_golden_file() -> None:
    check(TEXTS / "published.json", to_json(PUBLISHED))
