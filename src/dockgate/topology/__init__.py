"""The picture of the system: one graph from the file and the world, drawn as SVG and text, stored as JSON, compared."""

from dockgate.topology.build import graph_of
from dockgate.topology.diff import Difference, compare
from dockgate.topology.graph import Graph
from dockgate.topology.scene import scene_of
from dockgate.topology.stored import from_json, to_json
from dockgate.topology.svg import draw
from dockgate.topology.text import text_of

__all__ = ["Difference", "Graph", "compare", "from_json", "graph_of", "picture", "text_of", "to_json"]


def picture(graph: Graph, difference: Difference | None = None) -> str:
    """The graph as an SVG document; with ``difference`` what it has, marked."""
    return draw(scene_of(graph, difference))
