"""A picture as a document: readable by everybody, whatever is written in it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from xml.etree import ElementTree

import pytest
from tests.pictures import example, large_world, overlay_world, published_world

from dockgate.edges.png import png_of
from dockgate.topology import graph_of, picture, text_of
from dockgate.topology.measure import clean, cut, width, wrap
from dockgate.topology.style import FONT, GROUNDS, LINES, STATES, STRIP, TONES

SVG = "{http://www.w3.org/2000/svg}"


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


FILLS = sorted({ground.fill for ground in GROUNDS.values() if ground.fill != "none"} | {"#ffffff"})
COLORS = sorted({tone.color for tone in TONES.values()} | set(STATES.values()))


@pytest.mark.parametrize(("color", "fill"), list(product(COLORS, FILLS)))
def test_every_text_has_enough_contrast_on_every_ground(color: str, fill: str) -> None:
    assert contrast(color, fill) >= 4.5


def test_strips_and_lines_have_enough_contrast() -> None:
    assert contrast(STRIP.color, "#fdf0d0") >= 4.5
    for color, fill in product(LINES.values(), FILLS):
        assert contrast(color, fill) >= 3


def test_a_picture_and_every_thing_in_it_has_a_name_and_a_role() -> None:
    root = ElementTree.fromstring(picture(graph_of(*published_world())))
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    things = [element for element in root.iter(f"{SVG}g") if element.get("id") and element.get("role")]
    assert {"host:docker1", "vip:old@docker1", "member:old_web/pub1"} <= {thing.get("id") for thing in things}
    for thing in things:
        assert thing.get("role") == "img"
        assert thing.get("aria-label")
        assert thing.find(f"{SVG}title") is not None


def test_a_picture_has_a_ground_of_its_own_for_dark_viewers() -> None:
    root = ElementTree.fromstring(picture(graph_of(*overlay_world())))
    first = root.find(f"{SVG}rect")
    assert first is not None
    assert (first.get("width"), first.get("fill")) == (root.get("width"), "#ffffff")


def test_a_member_that_is_down_has_a_dashed_border_and_the_word() -> None:
    root = ElementTree.fromstring(picture(graph_of(*overlay_world(down=True))))
    thing = next(element for element in root.iter(f"{SVG}g") if element.get("id") == "member:pres_containers/web2")
    outline = thing.find(f"{SVG}rect")
    assert outline is not None
    assert outline.get("stroke-dasharray") == "6 4"
    assert "DOWN" in ["".join(text.itertext()) for text in thing.iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a&b",
        "\"'><x y='",
        "שלום \u202eevil",
        "容器" * 80,
        "w" * 300,
        "\x00\x1b[31m\ud800",
        "]]>",
    ],
)
def test_any_name_is_escaped_and_cut(name: str) -> None:
    graph = graph_of(*overlay_world())
    graph = replace(
        graph,
        project=name,
        hosts=tuple(replace(node, name=f"{name}{index}") for index, node in enumerate(graph.hosts)),
        members=tuple(replace(node, name=name) for node in graph.members),
        networks=tuple(replace(node, name=name, subnet=name) for node in graph.networks),
        balancers=tuple(replace(node, vip=name, container=name) for node in graph.balancers),
    )
    svg = picture(graph)
    root = ElementTree.fromstring(svg.encode())
    assert not [element for element in root.iter() if not element.tag.startswith(SVG)]
    assert not list(root.iter(f"{SVG}script"))
    titles = ["".join(element.itertext()) for element in root.iter(f"{SVG}title")]
    assert any(clean(name) in title for title in titles)
    assert "\u202e" not in svg
    assert "\x1b" not in text_of(graph)


def test_numbers_have_at_most_two_decimals() -> None:
    assert not re.findall(r'"[\d.,\s]*\d\.\d{3,}', picture(graph_of(*large_world())))


def test_three_hosts_fit_a_landscape_page() -> None:
    for way in (overlay_world, published_world):
        root = ElementTree.fromstring(picture(graph_of(*way())))
        across, down = float(root.get("width", 0)), float(root.get("height", 0))
        assert across <= 1150
        assert across / down >= 1.4


def test_a_picture_becomes_a_png_of_twice_its_size() -> None:
    data = png_of(picture(graph_of(example("03-one-host"), None)), fonts=FONT)
    root = ElementTree.fromstring(picture(graph_of(example("03-one-host"), None)))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20]) == round(2 * float(root.get("width", 0)))


def test_a_text_is_cut_to_the_room_it_has() -> None:
    assert cut("presentation_backend", 12, 1000) == "presentation_backend"
    shorter = cut("presentation_backend", 12, 60)
    assert shorter.endswith("…")
    assert width(shorter, 12) <= 60
    assert cut("abc", 12, 2) == ""


def test_a_sentence_wraps_at_blanks_and_ends_in_an_ellipsis() -> None:
    lines = wrap("one two three four five six seven eight nine ten", 12, 60, lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(width(line, 12) <= 60 for line in lines)
