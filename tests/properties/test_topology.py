"""Any file and any world can be drawn: well-formed, inside the page, nothing over anything else, everybody named."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pictures import large_world, overlay_world, published_world
from tests.strategies import desireds
from tests.worlds import with_host, worlds

from dockgate.model.desired import Desired
from dockgate.model.observed import Observed, Unknown
from dockgate.plan import plan, simulate, trees_of
from dockgate.topology import compare, from_json, graph_of, picture, text_of, to_json
from dockgate.topology.graph import Graph
from dockgate.topology.layout import Placed, lay_out
from dockgate.topology.lines import lines_of
from dockgate.topology.scene import scene_of
from dockgate.topology.style import TONES, row_height, text_width

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))
NEAR = 0.02


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Desired, Graph]:
    """The file alone, or a world before, during or after ``up``, perhaps with a host that cannot be read."""
    desired: Desired = draw(desireds())
    if draw(st.integers(0, 3)) == 0:
        return desired, graph_of(desired, None)
    world: Observed = draw(worlds(desired))
    trees = trees_of(desired, world)
    steps = plan(desired, world).steps
    for step in steps[: draw(st.integers(0, len(steps)))]:
        world = simulate(world, step.action, trees)
    if draw(st.booleans()):
        name = draw(st.sampled_from([host.name for host in desired.hosts]))
        world = with_host(world, Unknown("connection refused <&> \u202e"), name)
    return desired, graph_of(desired, world)


def boxes(graph: Graph) -> list[Placed]:
    return list(lay_out(scene_of(graph)).placed.values())


def overlap(one: Placed, other: Placed) -> bool:
    across = min(one.right, other.right) - max(one.x, other.x)
    down = min(one.bottom, other.bottom) - max(one.y, other.y)
    return across > NEAR and down > NEAR


def assert_tidy(graph: Graph) -> None:
    scene = scene_of(graph)
    layout = lay_out(scene)
    placed = layout.placed
    for place in placed.values():
        assert place.x >= 0
        assert place.y >= 0
        assert place.right <= layout.width + NEAR
        assert place.bottom <= layout.legend + NEAR
        assert place.w > 0
        assert place.h > 0
        for child in place.box.children:
            inner = placed[child.id]
            assert place.x <= inner.x + NEAR
            assert inner.right <= place.right + NEAR
            assert place.y <= inner.y + NEAR
            assert inner.bottom <= place.bottom + NEAR
    for level in sorted({place.level for place in placed.values()}):
        same = [place for place in placed.values() if place.level == level and place.box.kind != "band"]
        for one, other in combinations(same, 2):
            assert not overlap(one, other), f"{one.box.id} lies over {other.box.id}"
    bands = [place for place in placed.values() if place.box.kind == "band"]
    assert not [pair for pair in combinations(bands, 2) if overlap(*pair)]
    for line in lines_of(scene, layout):
        for x, y in line.points:
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.legend


def labels(place: Placed) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of every text of a box."""
    found = []
    y = place.text_y
    for row in place.rows:
        middle, tone, other = y + row_height(row) / 2, TONES[row.tone], TONES[row.right_tone]
        end = place.text_x + place.room
        used = min(text_width(row.left, tone), place.room)
        if row.right:
            begin = end - min(text_width(row.right, other), place.room * 0.6) - (18 if row.right_tone == "state" else 0)
            found.append((begin, middle - 5, end, middle + 5))
            used = min(used, begin - 8 - place.text_x)
        if row.left:
            found.append((place.text_x, middle - 5, place.text_x + used, middle + 5))
        y += row_height(row)
    return found


@RELAXED
@given(graphs())
def test_no_line_crosses_a_text(case: tuple[Desired, Graph]) -> None:
    assert_legible(case[1])


def test_no_line_crosses_a_text_of_the_running_example_or_of_a_large_system() -> None:
    for way in (overlay_world, published_world, large_world):
        assert_legible(graph_of(*way()))


def assert_legible(graph: Graph) -> None:
    scene = scene_of(graph)
    layout = lay_out(scene)
    texts = [(place.box.id, text) for place in layout.placed.values() for text in labels(place)]
    for line in lines_of(scene, layout):
        for (x0, y0), (x1, y1) in pairwise(line.points):
            for owner, (left, top, right, bottom) in texts:
                across = min(max(x0, x1), right) - max(min(x0, x1), left)
                down = min(max(y0, y1), bottom) - max(min(y0, y1), top)
                assert across < 0 or down < 0, f"{line.title} crosses a text of {owner}"


@RELAXED
@given(graphs())
def test_every_world_is_drawn_tidily(case: tuple[Desired, Graph]) -> None:
    assert_tidy(case[1])


def test_the_running_example_and_a_large_system_are_drawn_tidily() -> None:
    for way in (overlay_world, published_world, large_world):
        assert_tidy(graph_of(*way()))


@RELAXED
@given(graphs())
def test_every_picture_is_well_formed_and_the_same_each_time(case: tuple[Desired, Graph]) -> None:
    _, graph = case
    svg = picture(graph)
    ElementTree.fromstring(svg)
    assert svg == picture(graph)
    assert text_of(graph) == text_of(graph)


@RELAXED
@given(graphs())
def test_every_host_vip_pool_and_member_is_named(case: tuple[Desired, Graph]) -> None:
    desired, graph = case
    said = "".join(ElementTree.fromstring(picture(graph)).itertext())
    text = text_of(graph)
    for name in [*(host.name for host in desired.hosts), *(vip.name for vip in desired.vips if vip.hosts)]:
        assert name in said
        assert name in text
    for member in graph.members:
        assert member.name in said
        assert member.name in text
        assert member.pool in said


def test_every_member_of_a_large_system_is_named() -> None:
    graph = graph_of(*large_world())
    said = "".join(ElementTree.fromstring(picture(graph)).itertext())
    assert [member.name for member in graph.members if member.name not in said] == []


@RELAXED
@given(graphs())
def test_no_line_of_the_text_is_wider_than_a_terminal(case: tuple[Desired, Graph]) -> None:
    assert [line for line in text_of(case[1]).splitlines() if len(line) > 80] == []


@RELAXED
@given(graphs())
def test_every_graph_survives_being_stored(case: tuple[Desired, Graph]) -> None:
    _, graph = case
    assert from_json(to_json(graph), "state.json") == graph


@RELAXED
@given(graphs(), graphs())
def test_any_two_states_can_be_compared_and_drawn(one: tuple[Desired, Graph], other: tuple[Desired, Graph]) -> None:
    found = compare(one[1], other[1])
    ElementTree.fromstring(picture(other[1], found))
    assert_tidy(found.graph)
    assert len(text_of(other[1], found)) > 0
