"""The sequence picture of any walk is well-formed and holds every namespace once."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests.worlds_trace import predicted, seen

from dockgate.trace import Walk, dry, join
from dockgate.trace.picture import picture

SVG = "{http://www.w3.org/2000/svg}"


def walks() -> dict[str, Walk]:
    hostile = predicted()
    hostile = replace(hostile, request=replace(hostile.request, url='http://a/<script>&"x"'))
    return {
        "arrived": join(predicted(), seen(predicted())),
        "stopped": join(predicted(), replace(seen(predicted(), until=2), log=None)),
        "nowhere": join(predicted(), replace(seen(predicted(), until=0), log=None)),
        "predicted": dry(predicted(nat=True)),
        "hostile": join(hostile, seen(hostile)),
    }


@pytest.mark.parametrize("name", walks())
def test_every_walk_is_a_well_formed_picture(name: str) -> None:
    walk = walks()[name]
    root = ElementTree.fromstring(picture(walk))
    lifelines = [line for line in root.iter(f"{SVG}line") if line.get("x1") == line.get("x2")]
    assert len(lifelines) == len({step.hop.place.key for step in walk.steps})
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.get("x") or 0) < width
        assert 0 < float(text.get("y") or 0) < height
