"""Desired x Observed -> Plan. Pure: the same two values give the same plan, byte for byte.

What may be relied on (and is property-tested): carrying out a plan reaches the desired state; so does stopping after
any step and planning again; a plan for a world as desired is empty; objects without the project's mark are never
touched; nothing is removed on a host that could not be read.
"""

from dockgate.plan.describe import describe
from dockgate.plan.down import plan_down
from dockgate.plan.planner import desired_config, plan, proofs, trees_of
from dockgate.plan.simulate import simulate

__all__ = ["describe", "desired_config", "plan", "plan_down", "proofs", "simulate", "trees_of"]
