"""The web application firewall: what its container is given, and what it says. Pure."""
