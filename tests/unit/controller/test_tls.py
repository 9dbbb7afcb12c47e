"""TLS files on fakes: renewed live, kept when refused, converging after any interruption, gone when not needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.certificates import Pair, pair
from tests.fakes.network import FakeNetwork, Faults, Killed
from tests.fakes.scene import add_members, desired, see, three_hosts, world

from dockgate.controller.execute import execute
from dockgate.controller.report import Report
from dockgate.model.actions import Prove, ReloadConfig
from dockgate.model.desired import Desired, Listen
from dockgate.model.plan import Plan
from dockgate.model.tls import Tls, TlsFile
from dockgate.model.tls_actions import PutTlsFiles, RemoveTlsFiles
from dockgate.plan import describe, plan

SITE, NEXT, OTHER = (pair("site.example") for _ in range(3))


@dataclass
class Keys:
    """The user's files of a test: what each certificate's file in the volume would hold."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def file(self, name: str, made: Pair) -> TlsFile:
        content = made.cert + made.key
        digest = sha256(content).hexdigest()
        self.contents[digest] = content
        return TlsFile(f"certificate-{name}.pem", digest, (f"{name}.pem",), fingerprint=made.fingerprint)

    def content(self, file: TlsFile) -> bytes:
        return self.contents[file.digest]


KEYS = Keys()


def with_tls(*files: TlsFile) -> Desired:
    wanted = desired()
    listens = (Listen(443, pool="pres", tls=Tls(files)),)
    return replace(wanted, vips=tuple(replace(vip, listens=listens) for vip in wanted.vips))


BEFORE = with_tls(KEYS.file("site", SITE))
RENEWED = with_tls(KEYS.file("site", NEXT))
CHANGES: dict[str, Desired] = {
    "first up": BEFORE,
    "renewed": RENEWED,
    "one more": with_tls(KEYS.file("site", SITE), KEYS.file("other", OTHER)),
    "one more and renewed": with_tls(KEYS.file("site", NEXT), KEYS.file("other", OTHER)),
    "another one": with_tls(KEYS.file("other", OTHER)),
}


async def turn(network: FakeNetwork, wanted: Desired) -> tuple[Plan, Report]:
    decided = plan(wanted, await see(network))
    return decided, await execute(decided, replace(world(network), key_content=KEYS.content))


async def running(folder: Path, *, first: bool = False) -> FakeNetwork:
    network = three_hosts(folder)
    if not first:
        _, report = await turn(network, BEFORE)
        assert report.ok, report.failures
        add_members(network, "web1", "web2")
        await turn(network, BEFORE)
    network.calls.clear()
    return network


def shown(network: FakeNetwork) -> str:
    engine = network.engines["docker1"]
    (container,) = [each for each in engine.kept.values() if each.volume and each.seen.state == "running"]
    return engine.shown(container, 443)


def volume(network: FakeNetwork) -> set[str]:
    return {path.name for path in network.folder.glob("docker1/dockgate-example-web-*/*") if ".pem" in path.name}


async def test_a_renewed_certificate_is_live_without_a_reload_and_proved(tmp_path: Path) -> None:
    network = await running(tmp_path)
    decided, report = await turn(network, RENEWED)
    assert report.ok, report.failures
    assert [type(step.action) for step in decided.steps] == [PutTlsFiles, Prove]
    assert shown(network) == NEXT.fingerprint
    assert plan(RENEWED, await see(network)).empty


async def test_one_that_haproxy_refuses_changes_nothing(tmp_path: Path) -> None:
    network = await running(tmp_path)
    network.faults.refuse_certificate = "unable to load the certificate"
    _, report = await turn(network, RENEWED)
    assert "does not take certificate-site.pem: unable to load the certificate" in str(report.failures[0].error)
    assert shown(network) == SITE.fingerprint
    assert volume(network) == {"certificate-site.pem"}
    assert [type(step.action) for step in plan(RENEWED, await see(network)).steps] == [PutTlsFiles, Prove]


async def test_a_proof_that_sees_another_certificate_fails(tmp_path: Path) -> None:
    network = await running(tmp_path)
    asked = tuple(step for step in plan(RENEWED, await see(network)).steps if isinstance(step.action, Prove))
    report = await execute(Plan(asked), world(network))
    error = report.failures[0].error
    assert error is not None
    assert "not a certificate of the file" in error.hint


async def test_what_no_port_uses_is_removed_after_the_proof(tmp_path: Path) -> None:
    network = await running(tmp_path)
    decided, report = await turn(network, CHANGES["another one"])
    assert report.ok, report.failures
    kinds = [type(step.action) for step in decided.steps]
    assert kinds.index(PutTlsFiles) < kinds.index(ReloadConfig) < kinds.index(Prove) < kinds.index(RemoveTlsFiles)
    assert volume(network) == {"certificate-other.pem"}


async def test_no_plan_and_no_call_holds_a_key(tmp_path: Path) -> None:
    network = await running(tmp_path, first=True)
    decided, _ = await turn(network, BEFORE)
    told = describe(decided) + repr(decided) + "\n".join(network.calls) + repr(await see(network))
    assert not [line for line in SITE.key.decode().splitlines() if line in told]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
async def test_killed_at_any_call_the_next_up_converges(tmp_path: Path, change: str, when: str) -> None:
    wanted, first = CHANGES[change], change == "first up"
    counted = await running(tmp_path / "count", first=first)
    await turn(counted, wanted)
    for number in range(1, len(counted.calls) + 1):
        network = await running(tmp_path / str(number), first=first)
        network.faults = Faults(kill_before=number) if when == "before" else Faults(kill_after=number)
        with pytest.raises(Killed):
            await turn(network, wanted)
        network.faults = Faults()
        _, report = await turn(network, wanted)
        assert report.ok, (network.calls, report.failures)
        tls = wanted.vips[0].listens[0].tls
        assert tls
        assert shown(network) == tls.certificates[0].fingerprint
        assert plan(wanted, await see(network)).empty
        assert volume(network) == {file.name for file in wanted.vips[0].tls_files()}
