"""Two states compared, and the JSON form that the earlier one is kept in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.pictures import example, large_world, overlay_world, published_world

from dockgate.errors import DockgateError
from dockgate.topology import compare, from_json, graph_of, picture, text_of, to_json

LIVE = graph_of(*overlay_world())
DOWN = graph_of(*overlay_world(down=True))


@pytest.mark.parametrize("way", [overlay_world, published_world, large_world])
def test_a_stored_graph_reads_back_as_it_was(way: object) -> None:
    graph = graph_of(*way())  # type: ignore[operator]
    assert from_json(to_json(graph), "state.json") == graph


def test_a_graph_is_not_different_from_itself() -> None:
    assert compare(LIVE, LIVE).marks == ()
    assert compare(LIVE, LIVE).summary() == "nothing changed"


def test_a_member_that_went_down_is_changed_and_nothing_else_is() -> None:
    found = compare(LIVE, DOWN)
    assert [(key, mark.kind, mark.text) for key, mark in found.marks] == [
        ("member:pres_containers/web2", "changed", "condition UP → DOWN")
    ]


def test_what_came_and_what_went_are_told_apart() -> None:
    less = replace(LIVE, members=LIVE.members[:1])
    gone, came = compare(LIVE, less), compare(less, LIVE)
    assert [(mark.kind) for _, mark in gone.marks] == ["removed"]
    assert [(mark.kind) for _, mark in came.marks] == ["added"]


def test_what_is_gone_is_still_in_the_picture_and_in_the_text() -> None:
    found = compare(LIVE, replace(LIVE, members=LIVE.members[:1]))
    assert "− REMOVED" in picture(LIVE, found)
    assert "web2" in picture(LIVE, found)
    assert "− REMOVED member web2" in text_of(LIVE, found)


def test_the_file_can_be_compared_with_what_is() -> None:
    planned = graph_of(example("01-overlay"), None)
    assert compare(planned, LIVE).mark("vip:web@docker1") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "dockgate.topology/2"}', "[" * 100_000])
def test_what_is_no_stored_graph_is_refused_by_name(text: str) -> None:
    with pytest.raises(DockgateError, match=r"state\.json"):
        from_json(text, "state.json")


def test_a_broken_field_is_named() -> None:
    document = json.loads(to_json(LIVE))
    document["hosts"][0]["name"] = 7
    with pytest.raises(DockgateError, match=r"hosts\.0\.name"):
        from_json(json.dumps(document), "state.json")


def test_fields_of_a_later_version_are_passed_over() -> None:
    document = json.loads(to_json(LIVE))
    document["hosts"][0]["rack"] = "B7"
    assert from_json(json.dumps(document), "state.json") == LIVE
