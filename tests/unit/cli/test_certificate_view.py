"""Certificates in the status."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.scene import desired
from tests.worlds import bare_world

from dockgate.cli.certificate_view import certificate_rows
from dockgate.cli.status_view import status_view
from dockgate.model.desired import Desired, Listen
from dockgate.model.observed import Observed, Unknown
from dockgate.model.tls import Tls, TlsFile
from dockgate.plan import plan, simulate, trees_of

LATE = TlsFile("certificate-a.pem", "d1", ("keys/a.crt", "keys/a.key"), names=("a.example",), expires=1_900_000_000)
SOON = TlsFile("certificate-b.pem", "d2", ("keys/b.pem",), names=("b.example",), expires=1_800_000_000)


def with_tls(*files: TlsFile) -> Desired:
    wanted = desired()
    listens = (Listen(443, pool="pres", tls=Tls(files)),)
    return replace(wanted, vips=tuple(replace(vip, listens=listens) for vip in wanted.vips))


def reached(wanted: Desired) -> Observed:
    world = bare_world(wanted)
    trees = trees_of(wanted, world)
    for step in plan(wanted, world).steps:
        world = simulate(world, step.action, trees)
    return world


def test_each_is_told_with_its_names_and_its_end_the_first_to_expire_first() -> None:
    wanted = with_tls(LATE, SOON)
    first, second = map(str, certificate_rows(wanted, reached(wanted)))
    assert first == "certificate keys/b.pem for b.example on docker1 (web) expires 2027-01-15 08:00"
    assert second == "certificate keys/a.crt for a.example on docker1 (web) expires 2030-03-17 17:46"


def test_an_expired_one_stays_where_it_is_and_gets_nowhere_else() -> None:
    expired = with_tls(replace(LATE, term="over"))
    assert not plan(expired, reached(with_tls(LATE))).blocked, "what runs goes on"
    for world in (bare_world(expired), reached(with_tls(replace(LATE, digest="old")))):
        decided = plan(expired, world)
        assert [item.why for item in decided.blocked] == ["certificate keys/a.crt has expired"]
        assert not any("load balancer" in step.cause for step in decided.steps)
    told = "certificate keys/a.crt for a.example on docker1 (web) has expired at 2030-03-17 17:46; renew it"
    assert status_view(expired, reached(with_tls(LATE))).as_json()["problems"] == [told]


def test_a_self_signed_one_is_put_once_and_has_no_date() -> None:
    wanted = with_tls(TlsFile("self-signed-1.pem", "self-signed", (), names=("a.example",)))
    world = reached(wanted)
    assert not plan(wanted, world).steps
    (row,) = certificate_rows(wanted, world)
    assert str(row) == "certificate self-signed for a.example on docker1 (web)"


def test_one_that_was_replaced_and_not_applied_yet_is_not_in_use() -> None:
    (row,) = certificate_rows(with_tls(replace(LATE, digest="new")), reached(with_tls(LATE)))
    assert row.in_use is False
    assert str(row).endswith("; not in use yet: dockgate up")


def test_of_a_host_that_cannot_be_read_nothing_is_claimed() -> None:
    (row,) = certificate_rows(with_tls(LATE), Observed((("docker1", Unknown("off")),)))
    assert row.in_use is None


def test_they_are_in_the_status_for_a_script() -> None:
    wanted = with_tls(LATE)
    (row,) = status_view(wanted, reached(wanted)).as_json()["certificates"]  # type: ignore[misc]
    assert row["expires"] == "2030-03-17 17:46"
    assert row["in_use"] is True
