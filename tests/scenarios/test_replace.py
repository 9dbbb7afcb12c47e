"""`dockgate replace` on real hosts: under load without a failed request, by itself back when the new one is no good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenarios.stage import WEB, Stage
from tests.scenarios.traffic import Measurement, Scene, Underway, example_scene, measure

from dockgate.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

NEW, BROKEN, LYING = "demo/web:2", "demo/web:broken", "demo/web:lying"


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The running example, and three images beside its own: as good, never listening, and well only when checked."""
    for host in ("docker2", "docker3"):
        lab.docker(host, "tag", WEB, NEW)
        _image(lab, host, BROKEN, '["sh","-c","sleep 600"]')
        _image(lab, host, LYING, f'["python3","-c","{_LYING}"]')
    yield from example_scene(lab, tmp_path_factory.mktemp("replace"))
    for host in ("docker2", "docker3"):
        lab.docker(host, "rmi", NEW, BROKEN, LYING, check=False)


_LYING = (
    "import http.server as h;"
    "H=type('H',(h.BaseHTTPRequestHandler,),dict("
    "do_HEAD=lambda s:(s.send_response(200),s.end_headers()),"
    "do_GET=lambda s:(s.send_response(503),s.end_headers()),log_message=lambda s,*a:None));"
    "h.ThreadingHTTPServer(('',80),H).serve_forever()"
)


def _image(lab: Lab, host: str, image: str, entrypoint: str) -> None:
    """Members bring a command of their own, which such an entry point ignores."""
    lab.docker(host, "create", "--name", "template", WEB)
    lab.docker(host, "commit", "--change", f"ENTRYPOINT {entrypoint}", "template", image)
    lab.docker(host, "rm", "template")


def images(stage: Stage, host: str) -> dict[str, str]:
    """The containers of a host that are not ours, with their images."""
    said = stage.lab.docker(host, "ps", "-a", "--format", "{{.Names}} {{.Image}}").stdout.splitlines()
    return {name: image for name, image in map(str.split, said) if not name.startswith("dockgate-")}


@pytest.fixture(scope="module")
def replaced(scene: Scene) -> tuple[Measurement, str]:
    """Every member of the pool replaced, one after the other, under traffic; and what the verb printed."""
    said: list[str] = []

    def replace_all(underway: Underway) -> None:
        said.append(scene.stage.dockgate("replace", scene.file, "pres_containers", "--image", NEW).stdout)

    return measure(scene, replace_all), said[-1]


def test_a_pool_is_replaced_without_a_failed_request(replaced: tuple[Measurement, str]) -> None:
    measured, _ = replaced
    assert (measured.gets.failed, measured.posts.failed) == (0, 0), f"{measured.gets}\n{measured.posts}"
    assert measured.acceptable, str(measured.gets)


def test_no_post_is_delivered_twice_while_a_pool_is_replaced(replaced: tuple[Measurement, str]) -> None:
    assert replaced[0].reached_twice() == {}


def test_its_own_load_says_how_many_failed(replaced: tuple[Measurement, str]) -> None:
    last = replaced[1].splitlines()[-1].split()
    assert last[:2] == ["failed:", "0"]
    assert int(last[-1]) > 50


def test_the_new_ones_have_the_names_of_the_old_ones_and_nothing_is_left(
    scene: Scene, replaced: tuple[Measurement, str]
) -> None:
    assert images(scene.stage, "docker2") == {"web1": NEW}
    assert images(scene.stage, "docker3") == {"web2": NEW}


def test_the_load_balancer_is_the_same_process(replaced: tuple[Measurement, str]) -> None:
    assert replaced[0].after == replaced[0].before


@pytest.mark.usefixtures("replaced")
def test_an_image_that_never_answers_is_taken_back_by_itself(scene: Scene) -> None:
    done = scene.stage.dockgate("replace", scene.file, "web1", "--image", BROKEN, "--healthy", "3", code=1)
    assert "was taken back, and the old one serves" in done.stdout
    assert "failed: 0 of" in done.stdout
    assert images(scene.stage, "docker2") == {"web1": NEW}
    scene.wait_up()


@pytest.mark.usefixtures("replaced")
def test_an_image_that_only_looks_well_is_found_out_by_the_load_and_taken_back(scene: Scene) -> None:
    done = scene.stage.dockgate("replace", scene.file, "web1", "--image", LYING, code=1)
    assert "requests through the VIP" in done.stdout
    assert images(scene.stage, "docker2") == {"web1": NEW}
    scene.wait_up()
    assert {scene.stage.get(scene.url)[0] for _ in range(8)} == {200}
