"""Stateful stand-ins for the outside world, with fault knobs."""
