"""dockgate: container services behind load-balanced virtual IPs, every other way in closed, and both proved."""

__version__ = "0.1.0"
