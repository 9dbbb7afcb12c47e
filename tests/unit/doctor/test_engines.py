"""What is said of engines that do not do what the file says about Docker's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.doctor.scenes import DESIRED, FACTS, OBSERVED, with_host

from dockgate.doctor import diagnose
from dockgate.doctor.model import Finding
from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import ObservedHost
from dockgate.model.policy import Firewall


def said(rules: EngineRules, *, docker_iptables: bool) -> list[Finding]:
    home = OBSERVED.host("docker1")
    assert isinstance(home, ObservedHost)
    desired = replace(DESIRED, firewall=Firewall(docker_iptables=docker_iptables))
    return list(diagnose(desired, with_host(replace(home, engine_rules=rules), "docker1"), FACTS))


def test_an_engine_that_writes_rules_which_the_file_leaves_to_us_is_an_error() -> None:
    (found,) = said(EngineRules(chains=("ip nat DOCKER",)), docker_iptables=False)
    assert (found.severity, found.cause, found.where) == ("error", "docker-rules", "docker1")
    assert '"iptables": false' in found.advice


def test_an_engine_that_writes_none_which_the_file_leaves_to_it_is_a_warning() -> None:
    (found,) = said(EngineRules(iptables=False), docker_iptables=True)
    assert (found.severity, found.cause) == ("warning", "docker-rules")
    assert "docker_iptables: off" in found.advice


@pytest.mark.parametrize("on", [True, False])
def test_an_engine_that_does_what_the_file_says_is_well(on: bool) -> None:
    assert said(EngineRules(iptables=on), docker_iptables=on) == []
