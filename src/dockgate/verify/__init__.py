"""Verify: the policy and the observed world → every question worth asking, and a judgement of what came of each.

``make_scene`` says who is where, ``all_jobs`` what is asked, ``judge`` what each answer is worth, ``report`` how it is
told. Expected is what ``firewall.evaluate`` says of the policy, never what the rules say. Pure: packets are sent by
``controller.verify`` through ``edges.reach``.
"""

from .jobs import all_jobs, controls, measure, places, responders, touching
from .judge import judge
from .model import Cell, Proof, Question, Result
from .scene import Scene, Survey, make_scene

__all__ = [
    "Cell",
    "Proof",
    "Question",
    "Result",
    "Scene",
    "Survey",
    "all_jobs",
    "controls",
    "judge",
    "make_scene",
    "measure",
    "places",
    "responders",
    "touching",
]
