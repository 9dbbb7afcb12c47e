"""Observe and act: the world read into a value, and a plan carried out on it. What to do is decided in ``plan``."""
