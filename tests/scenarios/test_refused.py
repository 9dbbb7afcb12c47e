"""A configuration that HAProxy refuses is never activated, under constant load; it is kept, and explained.

What our own checks let through and HAProxy does not is provoked by an image whose HAProxy knows one word less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.scenarios.traffic import Measurement, Scene, Underway, example_scene, measure

from dockgate.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

PICKY = "dockgate/haproxy-picky:1"
PICKY_HAPROXY = """\
#!/bin/sh
# HAProxy, but for one word: it takes the path /refuse-me in a configuration for a keyword that it does not know.
if [ "$1 $2" = "-c -f" ]; then
    sed 's|^ *stats uri /refuse-me$|    no-such-keyword|' "$3" | exec /usr/sbin/haproxy -c -f /dev/stdin
else
    exec /usr/sbin/haproxy "$@"
fi
"""


@pytest.fixture(scope="module")
def picky(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The running example on an image whose HAProxy refuses what ours accepts."""
    make_picky_image(lab)
    image = "networks:\n"
    try:
        edits = (image, f"haproxy: {{image: {PICKY}}}\n\n{image}")
        yield from example_scene(lab, tmp_path_factory.mktemp("refused"), edits)
    finally:
        lab.docker("docker1", "rmi", "-f", PICKY, check=False)


def make_picky_image(lab: Lab) -> None:
    script, carrier = "/run/picky-haproxy", "picky-carrier"
    lab.exec("docker1", ["sh", "-c", f"cat >{script} && chmod 755 {script}"], input=PICKY_HAPROXY, check=True)
    lab.docker("docker1", "rm", "-f", carrier, check=False)
    lab.docker("docker1", "create", "--name", carrier, "dockgate/haproxy:3.2-1")
    lab.docker("docker1", "cp", script, f"{carrier}:/usr/local/bin/haproxy")
    lab.docker("docker1", "commit", carrier, PICKY)
    lab.docker("docker1", "rm", carrier)


@pytest.fixture(scope="module")
def refused(picky: Scene) -> tuple[Measurement, str, str]:
    """Traffic while a refused file is put up; what ``up`` said, and the configuration that was active before."""
    active = picky.stage.dockgate("config", picky.file, "web").stdout
    said: list[str] = []
    picky.stage.edit(picky.file, "path: /lbstats", "path: /refuse-me")

    def up(underway: Underway) -> None:
        done = picky.stage.dockgate("up", picky.file, code=1)
        said.append(done.stdout + done.stderr)

    return measure(picky, up), said[-1], active


def test_clients_notice_nothing_of_a_refused_configuration(refused: tuple[Measurement, str, str]) -> None:
    measured = refused[0]
    assert (measured.gets.failed, measured.posts.failed, measured.acceptable) == (0, 0, True), str(measured.gets)


def test_a_refused_configuration_is_never_activated(picky: Scene, refused: tuple[Measurement, str, str]) -> None:
    assert picky.stage.dockgate("config", picky.file, "web").stdout == refused[2]


def test_a_refused_configuration_does_not_touch_the_running_haproxy(refused: tuple[Measurement, str, str]) -> None:
    assert refused[0].after == refused[0].before


def test_a_refused_configuration_is_kept_for_reading(picky: Scene, refused: tuple[Measurement, str, str]) -> None:
    kept = picky.stage.dockgate("config", picky.file, "web", "--which", "refused").stdout
    assert "stats uri /refuse-me" in kept


def test_haproxys_message_stands_against_our_files_line(picky: Scene, refused: tuple[Measurement, str, str]) -> None:
    lines = picky.file.read_text().splitlines()
    number = 1 + next(index for index, line in enumerate(lines) if "/refuse-me" in line)
    assert re.search(rf"dockgate\.yaml:{number}:\d+: HAProxy says: unknown keyword 'no-such-keyword'", refused[1])
