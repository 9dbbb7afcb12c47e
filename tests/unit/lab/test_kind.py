"""Which hosts a lab is asked for, in words."""

from __future__ import annotations

import pytest

from dockgate.lab.errors import NotRight
from dockgate.lab.kind import USUAL, Kind, kinds_of
from dockgate.lab.rootfs import HOST

HOSTS = ("docker1", "docker2")


def test_a_version_alone_is_for_every_host_and_one_with_a_name_for_that_host() -> None:
    kinds = kinds_of(HOSTS, ["docker2=28.5", "20.10"])
    assert kinds == {"docker1": Kind("20.10"), "docker2": Kind("28.5")}


def test_what_is_common_holds_beside_the_version() -> None:
    kinds = kinds_of(HOSTS, ["docker1=20.10"], Kind(iptables=False))
    assert kinds == {"docker1": Kind("20.10", iptables=False), "docker2": Kind(iptables=False)}


@pytest.mark.parametrize(
    ("word", "said"),
    [("docker9=20.10", "no host 'docker9'"), ("19.03", "no engine '19.03'"), ("docker1=", "no engine ''")],
)
def test_a_host_or_an_engine_that_is_not_there_is_named(word: str, said: str) -> None:
    with pytest.raises(NotRight, match=said):
        kinds_of(HOSTS, [word])


def test_the_usual_host_is_made_from_the_recipe_that_every_lab_has() -> None:
    assert USUAL.recipe() == HOST
    assert Kind(iptables=False).recipe() == HOST


def test_another_engine_comes_from_its_own_suite() -> None:
    recipe = Kind("20.10").recipe()
    assert recipe.suite == "bookworm"
    assert "docker.io=20.10.*" in recipe.packages
    assert {"iptables", "nftables", "openssh-server"} <= set(recipe.packages)


def test_firewalld_is_installed_only_where_it_is_asked_for() -> None:
    assert "firewalld" not in USUAL.recipe().packages
    assert {"firewalld", "dbus"} <= set(Kind(firewalld=True).recipe().packages)


def test_an_engine_without_rules_is_told_so_for_both_families() -> None:
    assert Kind(iptables=False).flags() == ("--iptables=false", "--ip6tables=false")
