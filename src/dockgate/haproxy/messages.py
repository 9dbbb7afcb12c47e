"""Messages: what HAProxy says of a configuration, against the line of the user's file that caused it.

Role: take the findings out of ``haproxy -c``'s output; notices about its version, the closing summary, and what it says
of servers that have no address yet are left out.
"""

from __future__ import annotations

import re

from dockgate.model.actions import HaproxyConfig

_SAID = re.compile(r"^\[(?P<level>ALERT|WARNING)\]\s+\(\d+\)\s*:\s*(?P<text>.*)$")
_PLACE = re.compile(r"^(?:config\s*:\s*)?(?:parsing\s+)?\[(?:[^\]:]*):(?P<line>\d+)\]\s*:?\s*(?P<text>.*)$")
_SECTION = re.compile(r"(?:proxy|backend|frontend) '(?P<name>[^']+)'", re.IGNORECASE)
_SUMMARY = re.compile(r"(Error\(s\) found in configuration|Fatal errors found in configuration)")
_WITHOUT_ADDRESS = "We generated two equal cookies for two different servers"
"""Of servers whose cookie is made of their address, before they have one; then they get others."""


def explain(output: str, config: HaproxyConfig) -> tuple[str, ...]:
    """One sentence for each alert and warning: ``dockgate.yaml:12:5: HAProxy says: …`` where the line is known."""
    said = (_SAID.match(line) for line in output.splitlines())
    return tuple(_sentence(found["text"].strip(), config) for found in said if found and _matters(found["text"]))


def _matters(text: str) -> bool:
    return bool(text.strip()) and not _SUMMARY.search(text) and _WITHOUT_ADDRESS not in text


def _sentence(text: str, config: HaproxyConfig) -> str:
    place = _PLACE.match(text)
    said = place["text"] if place else text.removeprefix("config :").strip()
    number = int(place["line"]) if place else _section_of(said, config)
    origin = config.origins[number - 1] if 0 < number <= len(config.origins) else None
    where = f"{origin}: " if origin else f"haproxy.cfg:{number}: " if number else ""
    return f"{where}HAProxy says: {said}"


def _section_of(said: str, config: HaproxyConfig) -> int:
    """The line on which the section begins that a message without a place speaks of; 0 when it names none."""
    found = _SECTION.search(said)
    heads = (f"frontend {found['name']}", f"backend {found['name']}") if found else ()
    return next((number for number, line in enumerate(config.text.split("\n"), 1) if line in heads), 0)
