"""What is said of certificates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.doctor.scenes import BALANCER, DESIRED, FACTS, HAPROXY, OBSERVED, causes, with_host

from dockgate.doctor import diagnose
from dockgate.doctor.model import Finding
from dockgate.model.desired import Desired, Listen
from dockgate.model.observed import LoadBalancer, Observed, ObservedHost
from dockgate.model.tls import Tls, TlsFile

SITE = TlsFile("certificate-a.pem", "d1", ("keys/a.crt",), names=("a.example",), expires=1_900_000_000)


def wanting(file: TlsFile) -> Desired:
    listens = (Listen(80, "http", "apps", Tls((file,))),)
    return replace(DESIRED, vips=tuple(replace(vip, listens=listens) for vip in DESIRED.vips))


def having(*files: tuple[str, str]) -> Observed:
    home = OBSERVED.host("docker1")
    assert isinstance(home, ObservedHost)
    held = (LoadBalancer(BALANCER.name, "cfg", HAPROXY, tls_files=files),)
    return with_host(replace(home, loadbalancers=held), "docker1")


def said(file: TlsFile, observed: Observed) -> tuple[Finding, ...]:
    return diagnose(wanting(file), observed, FACTS)


def test_nothing_is_said_of_one_that_is_good_and_there() -> None:
    assert said(SITE, having(("certificate-a.pem", "d1"))) == ()


@pytest.mark.parametrize(
    ("term", "severity", "cause"),
    [("over", "error", "certificate-expired"), ("soon", "warning", "certificate-expires")],
)
def test_one_whose_term_ends_is_told_with_its_date_and_names(term: str, severity: str, cause: str) -> None:
    (found,) = said(replace(SITE, term=term), having(("certificate-a.pem", "d1")))  # type: ignore[arg-type]
    assert (found.severity, found.cause, found.where) == (severity, cause, "certificate keys/a.crt")
    assert "2030-03-17 17:46 UTC, for a.example" in found.evidence


@pytest.mark.parametrize(
    ("held", "seen"), [((), "none of that name"), ((("certificate-a.pem", "d0"),), "another one of that name")]
)
def test_one_that_the_load_balancer_does_not_have_is_told(held: tuple[tuple[str, str], ...], seen: str) -> None:
    (found,) = said(SITE, having(*held))
    assert (found.severity, found.cause) == ("warning", "certificate-not-in-use")
    assert seen in found.evidence


def test_of_a_load_balancer_that_is_not_there_only_that_is_told() -> None:
    home = OBSERVED.host("docker1")
    assert isinstance(home, ObservedHost)
    gone = with_host(replace(home, containers=(), loadbalancers=()), "docker1")
    assert causes(said(SITE, gone))[0] == ("balancer-missing", "VIP web on docker1")
    assert not [each for each in said(SITE, gone) if each.cause.startswith("certificate")]
