"""The lab: real Docker hosts on one Linux machine, and the faults that happen to them.

Role: make, enter, break and remove a set of Docker hosts joined by one LAN, without a VM and without a registry.
It must not touch anything of the machine that it did not make itself, nor send a packet out of its namespaces.
Invariant: whatever exists is written in the lab's state file before it is made, so any leftover can be removed.
"""

from dockgate.lab.errors import LabError
from dockgate.lab.lab import Lab

__all__ = ["Lab", "LabError"]
