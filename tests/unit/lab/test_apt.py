"""The machine's apt configuration, as it is found on real machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockgate.lab.apt import (
    Source,
    debian_mirror,
    kept_options,
    parse_deb822,
    parse_list,
    plain_address,
    read_sources,
    single_source,
    tools_mirror,
)
from dockgate.lab.errors import NotRight

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/ http://second.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: trixie
Components: main
"""


def test_a_deb822_file_gives_a_source_for_each_address_and_suite() -> None:
    assert parse_deb822(DEB822) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib")),
        Source("http://second.example/debian", "bookworm", ("main", "contrib")),
        Source("http://second.example/debian", "bookworm-updates", ("main", "contrib")),
    ]


def test_a_list_file_gives_its_binary_sources_without_their_options() -> None:
    text = """
# deb http://comment.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://mirror.example/debian/ bookworm main contrib # why
deb cdrom:[Debian_12]/ bookworm main
"""
    assert parse_list(text)[0] == Source("https://mirror.example/debian", "bookworm", ("main", "contrib"))
    assert debian_mirror(parse_list(text)) == "https://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb http://mirror.example/debian-security bookworm-security main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/debian bookworm contrib",
        "deb http://archive.example/ubuntu noble main",
        "deb cdrom:[Debian_12]/ bookworm main",
    ],
)
def test_a_source_that_is_no_whole_debian_release_is_not_taken_for_the_mirror(line: str) -> None:
    assert debian_mirror(parse_list(line)) is None


def test_both_formats_are_read_and_files_that_apt_ignores_are_not(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (parts / "a.sources").write_text(DEB822)
    (parts / "b.list").write_text("deb http://three.example/debian sid main\n")
    (parts / "c.list.save").write_text("deb http://old.example/debian sid main\n")
    found = [source.uri for source in read_sources(tmp_path)]
    assert found[0] == "http://one.example/debian"
    assert found[-1] == "http://three.example/debian"
    assert "http://old.example/debian" not in found


def test_a_machine_without_sources_has_none(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []


def test_a_file_of_mirrors_stands_for_its_first_address(tmp_path: Path) -> None:
    mirrors = tmp_path / "debian.list"
    mirrors.write_text("# ours\nhttps://near.example/debian/ priority:1\nhttps://far.example/debian\n")
    assert plain_address(f"mirror+file:{mirrors}") == "https://near.example/debian"
    assert plain_address("http://mirror.example/debian") == "http://mirror.example/debian"


def test_proxies_certificates_and_validity_are_taken_over_but_nothing_that_weakens_signatures() -> None:
    dump = """\
Acquire "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::direct.example "DIRECT";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::https "";
Acquire::Check-Valid-Until "false";
Acquire::AllowInsecureRepositories "1";
Acquire::AllowWeakRepositories "1";
APT::Get::AllowUnauthenticated "1";
Dir::Etc "etc/apt";
"""
    assert kept_options(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::http::Proxy::direct.example "DIRECT";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
        'Acquire::Check-Valid-Until "false";',
    )


def test_a_mirror_address_that_would_smuggle_options_into_a_source_line_is_refused() -> None:
    assert single_source("http://m.example/debian", "trixie") == "deb http://m.example/debian trixie main"
    with pytest.raises(NotRight, match="spaces or brackets"):
        single_source("[trusted=yes] http://m.example/debian", "trixie")


def test_without_a_debian_archive_in_apt_the_tools_own_mirror_is_used(tmp_path: Path) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text('#!/usr/bin/perl\nmy $mirror = "https://mirror.example/debian";\n')
    assert tools_mirror(str(program)) == "https://mirror.example/debian"


def test_no_mirror_anywhere_says_what_to_set(tmp_path: Path) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(NotRight, match="DOCKGATE_DEBIAN_MIRROR"):
        tools_mirror(str(program))
