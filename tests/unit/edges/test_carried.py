"""What a controller elsewhere is given: everything that the file names, and nothing that would not work there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockgate.edges.carried import Keys, carry, content_mark
from dockgate.edges.files import load_file
from dockgate.errors import DockgateError
from dockgate.spec import SpecError

FILE = """\
project: shop
hosts: {a: {engine: "ssh://ops@a.example"}}
networks: {back: {driver: overlay, internal: true}}
vips:
  web: {hosts: [a], listen: [{port: 80}], pool: p, stats: {path: /s, user: u, password: {file: secrets/pw}}}
  two: {hosts: [a], listen: [{port: 81}], pool: p, stats: {path: /s, user: u, password: {env: PW2}}}
pools: {p: {network: back, port: 80, members: [web1]}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PW2", "hunter3")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pw").write_text("hunter2\n")
    (tmp_path / "secrets" / "pw").chmod(0o600)
    (tmp_path / "key").write_text("a private key")
    (tmp_path / "known").write_text("a.example ssh-ed25519 AAAA")
    file = tmp_path / "dockgate.yaml"
    file.write_text(FILE)
    return file


def keys(file: Path) -> Keys:
    return Keys(file.parent / "key", file.parent / "known")


def test_the_file_is_a_config_and_what_it_names_are_secrets_in_their_place(file: Path) -> None:
    carried = carry(file, keys(file))
    assert carried.spec == "/etc/dockgate/shop/dockgate.yaml"
    assert {target: kind for target, (kind, _) in carried.files.items()} == {
        "/etc/dockgate/shop/dockgate.yaml": "config",
        "/etc/dockgate/shop/secrets/pw": "secret",
        "/run/secrets/PW2": "secret",
        "/home/dockgate/.ssh/config": "config",
        "/home/dockgate/.ssh/key": "secret",
        "/home/dockgate/.ssh/known_hosts": "config",
    }
    assert carried.environment == (("PW2_FILE", "/run/secrets/PW2"),)


def test_no_content_is_in_what_it_shows_of_itself(file: Path) -> None:
    shown = repr(carry(file, keys(file)))
    assert [word for word in ("hunter2", "hunter3", "private key") if word in shown] == []


def test_read_where_it_is_carried_to_it_asks_for_the_same(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = carry(file, keys(file))
    there = tmp_path / "container"
    for target, content in carried.contents.items():
        place = there / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o400)
    monkeypatch.delenv("PW2")
    monkeypatch.setenv("PW2_FILE", str(there / "run/secrets/PW2"))
    assert load_file(there / carried.spec.lstrip("/")).desired == carried.loaded.desired


def test_a_project_named_after_its_folder_keeps_its_name_there(file: Path) -> None:
    file.write_text(FILE.replace("project: shop\n", ""))
    carried = carry(file, keys(file))
    assert Path(carried.spec).parent.name == carried.loaded.desired.project


def test_a_local_socket_is_refused_with_its_line(file: Path) -> None:
    file.write_text(
        FILE.replace("ssh://ops@a.example", "unix:///var/run/docker.sock").replace("engine", "address: a.b, engine")
    )
    with pytest.raises(SpecError, match=r"dockgate.yaml:2:.*another engine on every node"):
        carry(file, keys(file))


def test_hosts_by_ssh_need_a_key_that_is_named(file: Path) -> None:
    with pytest.raises(DockgateError, match="needs a key of its own") as caught:
        carry(file, Keys())
    assert "--ssh-key" in caught.value.hint


def test_more_than_swarm_takes_is_refused_before_anything_is_done(file: Path) -> None:
    (file.parent / "key").write_bytes(b"x" * 600_000)
    with pytest.raises(DockgateError, match="has 600000 bytes; Swarm takes 1 to 500000 in a secret"):
        carry(file, keys(file))


def test_the_mark_stays_while_the_content_does_and_says_nothing_of_it(file: Path) -> None:
    files = carry(file, keys(file)).files
    mark = content_mark(files, before="", fresh="aa")
    assert content_mark(files, before=mark, fresh="bb") == mark
    (file.parent / "secrets" / "pw").write_text("another\n")
    other = content_mark(carry(file, keys(file)).files, before=mark, fresh="bb")
    assert other.startswith("bb:")
    assert other.partition(":")[2] != mark.partition(":")[2]
