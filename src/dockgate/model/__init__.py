"""Frozen values: Desired, Observed, actions, Plan. No I/O, no imports from the other packages."""
